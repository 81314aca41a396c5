"""Statistics of pixels: parsed from options, and a layer of the network that is written."""

import re

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters.statistics import STATISTICS, Statistics, normalized, statistics_of


@pytest.fixture(scope="module")
def model():
    return kr.PreActResNet(depth=8, input_shape=(8, 8, 3), classes=5)


def images():
    return np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("saved", [False, True], ids=["made", "loaded"])
def test_a_normalised_network_takes_pixels_and_keeps_its_weights(model, tmp_path, saved):
    statistics = Statistics((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    copy = normalized(model, statistics)
    if saved:
        copy.save(tmp_path / "x.keras")
        copy = keras.saving.load_model(tmp_path / "x.keras")
    wanted = model((images() / 255 - np.array(statistics.mean)) / np.array(statistics.deviation))
    np.testing.assert_allclose(copy(images()), wanted, rtol=1e-4, atol=1e-5)
    assert [weight.path for weight in copy.weights] == [weight.path for weight in model.weights]
    assert len(kr.new_head(copy, classes=3).weights) == len(copy.weights)
    assert list(kr.features(copy).output) == ["stage1", "stage2", "stage3"]


def test_weights_go_from_a_normalised_network_to_one_that_is_not_and_back(model, tmp_path):
    copy = normalized(model, STATISTICS["cifar10"])
    copy.save_weights(tmp_path / "x.weights.h5")
    other = kr.PreActResNet(depth=8, input_shape=(8, 8, 3), classes=5)
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(other(images()), model(images()))


def test_a_layer_called_in_training_mode_stays_so(model):
    dropped = keras.layers.Dropout(0.5, seed=0)(model.output, training=True)
    copy = normalized(keras.Model(model.input, dropped), STATISTICS["cifar10"])
    assert (np.asarray(copy(images())) == 0).any()


def test_one_number_is_for_all_channels():
    layer = Statistics((0.5,), (0.25,)).layer(4)
    pixels = np.full((1, 1, 1, 4), 255.0, "float32")
    np.testing.assert_allclose(layer(pixels), np.full((1, 1, 1, 4), 2.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "prepare"),
    [
        ("caffe", None, keras.applications.resnet.preprocess_input),
        ("0.5", "0.5", keras.applications.resnet_v2.preprocess_input),
        ("imagenet", None, keras.applications.densenet.preprocess_input),
    ],
)
def test_the_preparations_of_keras_applications_have_statistics(model, mean, std, prepare):
    statistics = statistics_of(mean, std)
    wanted = model(prepare(images()))
    np.testing.assert_allclose(normalized(model, statistics)(images()), wanted, rtol=1e-4, atol=1e-4)
    assert ("in the order blue, green, red" in str(statistics)) == (mean == "caffe")


def test_channels_are_reversed_only_before_a_convolution(model):
    dense = kr.FullyConnectedResNet(input_shape=(8, 8, 3), classes=5)
    with pytest.raises(ValueError, match="reversed channels require a convolution first"):
        normalized(dense, STATISTICS["caffe"])
    with pytest.raises(ValueError, match="require another kernel in the stem"):
        STATISTICS["caffe"].layer(3)


@pytest.mark.parametrize(
    ("mean", "std", "wanted"),
    [
        (None, None, None),
        ("imagenet", None, STATISTICS["imagenet"]),
        (None, "imagenet", STATISTICS["imagenet"]),
        ("cifar10", "cifar10", STATISTICS["cifar10"]),
        ("0.1,0.2,0.3", "1", Statistics((0.1, 0.2, 0.3), (1.0,))),
    ],
)
def test_options_state_statistics(mean, std, wanted):
    assert statistics_of(mean, std) == wanted


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        ("0.5", None, "--mean and --std must both be numbers, or one name"),
        (None, "0.5", "--mean and --std must both be numbers, or one name"),
        ("imagenet", "cifar10", "Received: --mean=imagenet --std=cifar10"),
        ("imagenet", "0.5", "or one name: imagenet, cifar10, caffe"),
        ("imagnet", "0.5", "--mean must be numbers from 0 to 1"),
        ("123.675,116.28,103.53", "58.395,57.12,57.375", "divide those for 0..255 by 255"),
        ("-0.1", "0.5", "--mean must be numbers from 0 to 1"),
        ("0.5", "0", "--std must be numbers above 0 to 1"),
        ("nan", "0.5", "--mean must be numbers"),
        ("0.5,", "0.5", "--mean must be numbers"),
        ("", "", "--mean must be numbers"),
    ],
)
def test_options_that_state_no_statistics_are_refused(mean, std, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        statistics_of(mean, std)


def test_statistics_of_other_channels_are_refused(model):
    with pytest.raises(ValueError, match=r"expected 1 or 3 numbers, .* Received: mean 0.1, 0.2 and deviation 0.5"):
        normalized(model, Statistics((0.1, 0.2), (0.5,)))
