"""Weights from `keras.applications`: equal logits from a model and from each kind of its files."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import ConversionError, load_keras_weights
from keras_resunits.converters.keras_applications import APPLICATIONS, read_weights

CLASSES = 5
SHAPE = (32, 32, 3)
QUICK = ["ResNet50", "ResNet50V2", "DenseNet121"]
QUICK_AND_SLOW = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(APPLICATIONS.values())
]


def randomized(model: keras.Model, seed: int = 5) -> keras.Model:
    """With no bias, gamma, beta or statistic left at a value that it might also have by accident."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if len(variable.shape) == 1:
            center = 1.0 if variable.path.endswith(("gamma", "moving_variance")) else 0.0
            variable.assign(center + rng.uniform(-0.3, 0.3, variable.shape))
    return model


def application(name: str) -> keras.Model:
    make = getattr(keras.applications, name)
    return randomized(make(weights=None, input_shape=SHAPE, classes=CLASSES, classifier_activation=None))


def ours(name: str, **kwargs) -> keras.Model:
    return kr.create(f"keras_{name.lower()}", **{"input_shape": SHAPE, "classes": CLASSES, **kwargs})


def largest_difference(model: keras.Model, theirs: keras.Model) -> float:
    """As a fraction of the largest logit."""
    x = np.random.default_rng(6).normal(size=(2, *SHAPE)).astype("float32")
    wanted = np.asarray(theirs(x))
    return np.abs(np.asarray(model(x)) - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("name", QUICK_AND_SLOW)
def test_both_networks_answer_alike(name):
    model, theirs = ours(name), application(name)
    assert largest_difference(model, theirs) > 1e-2  # there is something to carry
    assert load_keras_weights(model, theirs).startswith("keras_")
    assert largest_difference(model, theirs) < 1e-4


@pytest.fixture(scope="module")
def theirs():
    return application("ResNet50")


@pytest.mark.parametrize("file", ["x.keras", "x.weights.h5", "x.h5"])
def test_each_kind_of_file_is_read_by_name(tmp_path, theirs, file):
    save = theirs.save_weights if file == "x.weights.h5" else theirs.save
    save(tmp_path / file)
    model = ours("ResNet50")
    load_keras_weights(model, tmp_path / file)
    assert largest_difference(model, theirs) < 1e-4
