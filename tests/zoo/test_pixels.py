"""What normalises the pixels of published weights."""

from __future__ import annotations

import pytest

import keras_resunits as kr
from keras_resunits.converters.statistics import statistics_of
from keras_resunits.zoo.libraries import LIBRARIES
from keras_resunits.zoo.pixels import CIFAR, published_pixels


@pytest.mark.parametrize("name", [*LIBRARIES, *kr.list_models("keras_*")])
def test_every_network_of_a_library_has_statistics(name):
    mean, _, deviation = published_pixels(name).partition("/")
    assert statistics_of(mean, deviation or None) is not None


def test_networks_of_no_library_have_none_and_cifar_is_not_imagenet():
    assert {published_pixels(name) for name in set(kr.list_models()) - set(LIBRARIES) if "keras_" not in name} == {None}
    sides = {name: entry.arguments["input_shape"][0] for name, entry in LIBRARIES.items() if "pytorchcv" in name}
    assert {name for name in sides if published_pixels(name) == CIFAR} == {name for name in sides if sides[name] == 32}
