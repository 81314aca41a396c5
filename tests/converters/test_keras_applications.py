"""Weights of `keras.applications`: equal logits from a model and from each type of its files."""

import os
import re
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import KERAS_LAYOUTS, ConversionError, load_keras_weights
from keras_resunits.converters.keras_applications import APPLICATIONS, read_weights
from keras_resunits.models.dense import IMAGENET_BLOCKS
from keras_resunits.models.depths import IMAGENET_UNITS
from tests.catalog import long_but

pytestmark = pytest.mark.slow

CLASSES = 5
SHAPE = (64, 64, 3)
QUICK = ["ResNet50V2", "DenseNet121"]


def randomized(model: keras.Model, seed: int = 5) -> keras.Model:
    """The model with random biases, gammas, betas and statistics, so that no weight is right by accident."""
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


@pytest.mark.parametrize("name", long_but(QUICK, {name: name for name in sorted(APPLICATIONS.values())}))
def test_both_networks_return_the_same_logits(name):
    model, theirs = ours(name), application(name)
    assert largest_difference(model, theirs) > 1e-2  # the weights make a difference
    assert load_keras_weights(model, theirs).startswith("keras_")
    assert largest_difference(model, theirs) < 1e-4


@pytest.fixture(scope="module")
def theirs():
    return application("ResNet50")


@pytest.mark.parametrize("file", ["x.keras", "x.weights.h5", "x.h5"])
def test_each_type_of_file_is_read_by_name(tmp_path, theirs, file):
    save = theirs.save_weights if file == "x.weights.h5" else theirs.save
    save(tmp_path / file)
    model = ours("ResNet50")
    load_keras_weights(model, tmp_path / file)
    assert largest_difference(model, theirs) < 1e-4


def test_a_file_of_keras_2_is_read(tmp_path):
    rng = np.random.default_rng(7)
    layers = {  # Keras 2 let names have slashes
        "input_1": {},
        "conv1/conv": {"kernel": rng.normal(size=(7, 7, 3, 4))},
        "conv1/bn": {leaf: rng.normal(size=4) for leaf in ("gamma", "beta", "moving_mean", "moving_variance")},
        "fc1000": {"kernel": rng.normal(size=(4, 5)), "bias": rng.normal(size=5)},
    }
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names0"] = [
            b"input_1",
            b"conv1/conv",
        ]  # a list too long for one attribute is stored in several
        file.attrs["layer_names1"] = [b"conv1/bn", b"fc1000"]
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{leaf}:0".encode() for leaf in weights]
            for leaf, value in weights.items():
                group[f"{layer}/{leaf}:0"] = value
    read = read_weights(tmp_path / "x.h5")
    wanted = {
        f"{layer.replace('/', '_')}/{leaf}": v for layer, weights in layers.items() for leaf, v in weights.items()
    }
    assert list(read) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(read[name], value)
    assert "predictions/kernel" in KERAS_LAYOUTS["keras_densenet"].renamed(read)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals.


def refused(model, source, match):
    before = model.get_weights()
    with pytest.raises(ConversionError, match=match) as raised:
        load_keras_weights(model, source)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def small():
    """A network of ours, for errors that come before the weights."""
    return kr.ResNet([1, 1, 1], input_shape=(8, 8, 3), classes=CLASSES)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.h5", None, r"no such file: '.*x.h5'"),
        ("x.txt", b"", r"a model, 'imagenet', or a file that ends in .h5, .hdf5, .keras. Received: '.*x.txt'"),
        ("x.h5", b"no HDF5", r"'.*x.h5' is not a readable Keras file"),
        ("x.keras", b"no zip", r"'.*x.keras' is not a readable Keras file"),
    ],
    ids=["missing", "kind", "damaged", "damaged-keras"],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, small, name, content, match):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(small, tmp_path / name, match)


def test_a_file_without_layer_names_is_refused_with_a_hint(tmp_path, small):
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(3)
    refused(small, tmp_path / "x.weights.h5", r"does not name its layers.*pass that model")


def test_other_classes_are_one_error(theirs):
    refused(
        ours("ResNet50", classes=7),
        theirs,
        r"2 of the shapes in the model 'resnet50' do not fit.*wanted \(2048, 7\), got \(2048, 5\)",
    )


def test_a_network_that_is_not_that_of_the_weights_is_refused(theirs):
    refused(kr.ResNet(50, SHAPE, CLASSES), theirs, r"computes something other than those of layout 'keras_resnet'")


def test_the_applications_have_the_units_of_their_depths():
    units = {depth: stages for depth, (_, stages) in IMAGENET_UNITS.items()}
    units |= {depth: stages for depth, (stages, _) in IMAGENET_BLOCKS.items()}
    for (_, stages), name in APPLICATIONS.items():
        assert stages == units[int(re.search(r"\d+", name)[0])], name


def test_names_of_no_known_layout_are_not_blamed_on_arithmetic(small):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="block1_conv1")(inputs)
    theirs = keras.Model(inputs, keras.layers.Dense(5, name="predictions")(keras.layers.Flatten()(x)), name="vgg")
    theirs = keras.Model(inputs, keras.layers.Dense(5, name="logits")(theirs.output), name="vgg")
    nearest = r"the nearest, 'keras_\w+', has 2 of 6\. It lacks block1_conv1/bias, .* and 1 more; for network"
    refused(small, theirs, rf"^the names of the model 'vgg' are of no known layout: {nearest}")


def test_imagenet_has_no_weights_for_other_networks(small):
    refused(small, "imagenet", r"ImageNet's weights fit keras_resnet50, .*stages of \(1, 1, 1\) units")


@pytest.mark.parametrize(
    ("name", "fitting"), [("resnet50", "keras_resnet50, keras_resnet50v2"), ("densenet121", "keras_densenet121")]
)
def test_the_networks_that_have_imagenets_weights_are_named(name, fitting):
    model = kr.create(name, input_shape=SHAPE)
    refused(model, "imagenet", rf"ImageNet's weights fit {fitting}, which compute the same as .* Received: '{name}'")


def test_other_classes_than_imagenets_are_refused_before_a_download(monkeypatch):
    monkeypatch.setattr(keras.applications, "ResNet50", None)
    refused(ours("ResNet50"), "imagenet", r"are for 1000 classes\. Received: classes=5 \('keras_resnet50'\)")


def test_a_failed_download_is_reported_with_the_folder_of_the_cache(monkeypatch, tmp_path):
    def fails(**_):
        raise Exception("no route\nto host.")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, "ResNet50", fails)
    text = rf"not in Keras' cache, '{tmp_path}/models', and could not be downloaded to it: no route to host\.$"
    refused(ours("ResNet50", classes=1000), "imagenet", text)


@pytest.mark.slow
def test_without_network_and_cache_imagenet_is_refused_in_one_line(tmp_path):
    nowhere = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "keras_resunits.converters", "imagenet", "--model", "keras_resnet50"]
    run = subprocess.run(
        [*command, "--output", str(tmp_path / "x.keras")], capture_output=True, text=True, env={**os.environ, **nowhere}
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("converters: ImageNet's weights of ResNet50 are not in Keras' cache")
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "x.keras").exists()
