"""Pooling that pads by itself."""

import math

import pytest

import keras_resunits as kr
from keras_resunits.layers.words import word


@pytest.mark.parametrize(
    ("pads", "expected"), [(-math.inf, "max"), (0.0, "max_over_zeros"), (1.0, "max_over_1"), (-0.5, "max_over_-0.5")]
)
def test_what_pads_is_part_of_the_word(pads, expected):
    assert word(kr.PaddedMaxPool(3, pads=pads)) == expected
