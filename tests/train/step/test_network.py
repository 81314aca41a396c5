"""The names and the depth of a network are checked before any image is read."""

from __future__ import annotations

import keras
import pytest

from keras_resunits import ResNet
from train.process.errors import BadInput
from train.settings.sections import Network
from train.step.network import check_network, synchronize


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"depth": 21}, r"no network of depth 21.*Nearest: 18, 20, 26"),
        ({"model": "WideResNet", "depth": 29}, r"Nearest: 28, 34"),
        ({"model": "ResNett"}, r"ResNett.*Did you mean 'ResNet'"),
        ({"order": "post"}, r"unknown order 'post'"),
        ({"model": "FullyConnectedResNet", "stem": "cifar"}, r"--stem=cifar has no effect on --model=Full"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(values, text):
    with pytest.raises(BadInput, match=text):
        check_network(Network(**values))


@pytest.mark.parametrize("values", [{}, {"depth": 20}, {"model": "WideResNet", "depth": 16, "order": "post_act"}])
def test_a_network_that_exists_is_not_built_to_check_it(values):
    check_network(Network(**values))


def test_every_batch_normalisation_uses_the_batch_of_all_replicas():
    model = ResNet(depth=8, input_shape=(8, 8, 3), classes=2)
    norms = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    assert norms and not any(norm.synchronized for norm in norms)
    synchronize(model)
    assert all(norm.synchronized for norm in norms)
    assert [each for each in model._flatten_layers() if hasattr(each, "synchronized") and each not in norms] == []
