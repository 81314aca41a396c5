"""The names and the depth of a network are checked before any image is read."""

from __future__ import annotations

import keras
import pytest

from keras_resunits import ResNet
from train.process.errors import BadInput
from train.settings.sections import Network
from train.step.network import check_network, network, synchronize


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


def flat(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten()])


def none(input_shape, classes):
    return 3


def test_a_function_of_the_users_makes_the_network():
    given = []

    def small(input_shape, classes, **choices):
        given.append(choices)
        return ResNet(depth=8, input_shape=input_shape, classes=classes)

    assert network(Network(model=small), (8, 16, 1), 3).input_shape == (None, 8, 16, 1)
    network(Network(model=small, depth=14), (8, 8, 1), 3, remat="2")
    network(Network(model=small), (8, 8, 1), 3, remat="auto")
    assert given == [{}, {"depth": 14, "remat": 2}, {"remat": "auto"}]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"model": none}, r"^--model: none\(\) must return a Keras model; got int\.$"),
        (
            {"model": flat},
            r"^--model: flat\(\) must return a network from \(None, 8, 16, 1\) to \(None, 3\); "
            r"got \(\(None, 8, 16, 1\), \(None, 128\)\)\.$",
        ),
        (
            {"model": flat, "depth": 8},
            r"^--model: flat\(\): got an unexpected keyword argument 'depth'; it gets input_shape, classes, and the",
        ),
        (
            {"model": "keras_resnet50"},
            r"^images must be at least 32x32.* Those of --dataset are 8x16; --image_size resizes images of a folder",
        ),
    ],
)
def test_what_is_no_network_for_the_images_is_refused(values, line):
    with pytest.raises(BadInput, match=line):
        network(Network(**values), (8, 16, 1), 3)


@pytest.mark.parametrize("remat", ["some", "0"])
def test_what_cannot_be_computed_again_is_refused(remat):
    for good in (None, "2", "auto"):
        check_network(Network(), good)
    check_network(Network(model=None))
    with pytest.raises(BadInput, match=r"--remat"):
        check_network(Network(), remat)


def test_every_batch_normalisation_uses_the_batch_of_all_replicas():
    model = ResNet(depth=8, input_shape=(8, 8, 3), classes=2)
    norms = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    assert norms and not any(norm.synchronized for norm in norms)
    synchronize(model)
    assert all(norm.synchronized for norm in norms)
    assert [each for each in model._flatten_layers() if hasattr(each, "synchronized") and each not in norms] == []
