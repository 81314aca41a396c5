"""One exported network for all tests of signatures."""

import keras
import pytest

import keras_resunits as kr
from tests.catalog import randomize

SHAPE, NAMES = (8, 8, 3), ["cat", "dog", "newt", "naïve café"]


@pytest.fixture(scope="session")
def classifier():
    """A network with random weights, and its preprocessing."""
    keras.utils.set_random_seed(0)
    model = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=len(NAMES))
    randomize(model)
    return model, keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3600.0, 3700.0, 3800.0])


@pytest.fixture(scope="session")
def exported(classifier, tmp_path_factory):
    """Its export, with all classes in the answers."""
    model, preprocessing = classifier
    return kr.export_saved_model(model, tmp_path_factory.mktemp("served"), NAMES, preprocessing)
