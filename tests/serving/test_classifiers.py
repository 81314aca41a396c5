"""`kr.load`: a `.keras` file that takes pixels and states its classes."""

from __future__ import annotations

import json
import shutil
from zipfile import ZipFile

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters.statistics import STATISTICS, normalized, normalizing, preceded
from keras_resunits.serving.classifiers import save_classifier, stated_by
from tests.catalog import randomize
from tests.support.serving import pixels

SHAPE, NAMES = (8, 8, 3), ["cat", "dog", "eel"]


def made(**choices) -> keras.Model:
    model = kr.PreActResNet(8, SHAPE, len(NAMES), **choices)
    randomize(model)
    return model


def probabilities(model, images) -> np.ndarray:
    logits = np.asarray(keras.ops.cast(model(images, training=False), "float32"), np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_saved_classifier_takes_pixels_and_keeps_its_classes(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    model, images = made(), pixels((5, *SHAPE))
    layer = keras.layers.Normalization(mean=[100.1, 120.2, 140.3], variance=[900.4, 400.5, 1600.6], dtype="float32")
    save_classifier(model, tmp_path / "net.keras", NAMES, layer, "paper", {"run": "mine"})
    keras.config.set_dtype_policy("float32")
    found = kr.load(tmp_path / "net.keras")
    assert (found.class_names, found.image_shape, found.view, found.head) == (NAMES, SHAPE, "paper", "logits")
    assert found.facts == {"run": "mine"} and type(found.preprocessing) is keras.layers.Normalization
    answers = found.predict(images, batch_size=2)
    assert answers.dtype == np.float32
    tolerance = 1e-6 if policy == "float32" else 2e-2
    np.testing.assert_allclose(answers, probabilities(model, layer(images.astype("float32"))), atol=tolerance)
    plain = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(answers, probabilities(plain, images.astype("float32")), atol=tolerance)
    assert [weight.path for weight in plain.weights] == [weight.path for weight in model.weights]


def test_keras_own_metadata_stays(tmp_path):
    save_classifier(made(), tmp_path / "net.keras", NAMES)
    with ZipFile(tmp_path / "net.keras") as archive:
        metadata = json.loads(archive.read("metadata.json"))
        assert archive.testzip() is None and len(archive.namelist()) == 3
    assert metadata["keras_version"] == keras.__version__
    assert metadata["classifier"] == {"class_names": NAMES, "view": "stretch"}


def test_a_synchronized_network_is_saved_as_one_for_a_single_device(tmp_path):
    model = made()
    norms = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.synchronized = True
    save_classifier(model, tmp_path / "net.keras", NAMES, keras.layers.Rescaling(1 / 255))
    assert all(norm.synchronized for norm in norms)
    copies = kr.load(tmp_path / "net.keras").model._flatten_layers()
    assert not any(getattr(each, "synchronized", False) for each in copies)


def test_a_network_that_is_no_chain_is_kept_inside(tmp_path):
    images = keras.Input(SHAPE)
    pooled = [keras.layers.GlobalAveragePooling2D()(images), keras.layers.GlobalMaxPooling2D()(images)]
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Concatenate()(pooled)))
    scaled = preceded(model, keras.layers.Rescaling(1 / 255))
    asked = pixels((4, *SHAPE)).astype("float32")
    np.testing.assert_allclose(scaled(asked), model(asked / 255), rtol=1e-5)
    assert len(scaled.layers) == 3 and normalizing(scaled) is scaled.layers[1]


def test_a_converted_file_and_a_plain_one_have_no_names(tmp_path):
    model, images = made(), pixels((3, *SHAPE))
    normalized(model, STATISTICS["cifar10"]).save(tmp_path / "converted.keras")
    found = kr.load(tmp_path / "converted.keras")
    assert found.class_names is None and found.preprocessing.name == "normalization"
    model.save(tmp_path / "plain.keras")
    plain = kr.load(str(tmp_path / "plain.keras"))
    assert plain.preprocessing is None and plain.facts == {}
    np.testing.assert_allclose(plain.predict(images), probabilities(model, images.astype("float32")), atol=1e-6)


def test_one_output_is_two_classes(tmp_path):
    model = kr.PreActResNet(8, SHAPE, 1, classifier_activation="sigmoid")
    save_classifier(model, tmp_path / "two.keras", NAMES[:2])
    answers = kr.load(tmp_path / "two.keras").predict(pixels((3, *SHAPE)))
    assert answers.shape == (3, 2)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-6)
    assert kr.load(tmp_path / "two.keras").predict(pixels((0, *SHAPE))).shape == (0, 2)


def test_a_stated_head_and_a_binary_loss_of_logits_are_obeyed(tmp_path):
    """A linear layer does not show that its outputs are logits of independent classes."""
    model, path, images = made(), tmp_path / "net.keras", pixels((3, *SHAPE))
    save_classifier(model, path, NAMES)
    assert kr.load(path).head == "logits"
    save_classifier(model, path, NAMES, head="sigmoid_logits")
    found = kr.load(path)
    logits = np.asarray(model(images.astype("float32"), training=False), np.float64)
    assert (found.head, found.facts) == ("sigmoid_logits", {})
    np.testing.assert_allclose(found.predict(images), 1 / (1 + np.exp(-logits)), atol=1e-6)
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    model.save(path)
    assert kr.load(path).head == "sigmoid_logits"
    for loss in (keras.losses.CategoricalCrossentropy(from_logits=True), "sparse_categorical_crossentropy"):
        model.compile(loss=loss)
        model.save(path)
        assert kr.load(path).head == "logits"
    save_classifier(model, path, NAMES, head="softmax")
    with pytest.raises(ValueError, match="`head` contradicts model"):
        kr.load(path)


def test_a_model_with_two_outputs_is_refused(tmp_path):
    images = keras.Input(SHAPE)
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    keras.Model(images, [keras.layers.Dense(3)(pooled), keras.layers.Dense(3)(pooled)]).save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"`path` must hold a model from .* to \[batch, classes\]"):
        kr.load(tmp_path / "net.keras")


@pytest.mark.parametrize(
    "spoil", [lambda x: x[0], lambda x: x[:, :7], lambda x: x[..., :1], lambda x: x / 255, lambda x: x.astype(int)]
)
def test_other_images_are_refused(tmp_path, spoil):
    made().save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"`images` must be uint8 \[n, 8, 8, 3\], 0..255. Received: "):
        kr.load(tmp_path / "net.keras").predict(spoil(pixels((2, *SHAPE))))


def test_a_batch_size_of_zero_is_refused(tmp_path):
    made().save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="`batch_size` must be a positive int"):
        kr.load(tmp_path / "net.keras").predict(pixels((2, *SHAPE)), batch_size=0)


def test_names_must_be_as_many_as_the_classes(tmp_path):
    with pytest.raises(ValueError, match="`class_names` must hold 3 names"):
        save_classifier(made(), tmp_path / "net.keras", NAMES[:2])
    assert not (tmp_path / "net.keras").exists()


def test_a_run_is_found_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    save_classifier(made(), tmp_path / "runs" / "mine" / "model.keras", NAMES)
    monkeypatch.chdir(tmp_path)
    assert kr.load("mine").class_names == kr.load("runs/mine").class_names == NAMES
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"`kr\.pretrained\('preactresnet20:digits'\)\.path`"):
        kr.load("preactresnet20:digits")
    with pytest.raises(ValueError, match=r"no file 'mine/model.keras': an unfinished run has none"):
        kr.load("mine")


def test_what_is_no_classifier_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Received: no file .*nowhere.keras'[.]"):
        kr.load(tmp_path / "nowhere.keras")
    with pytest.raises(
        ValueError, match=r"no file 'nowhere'; a run is its folder, such as 'runs/nowhere', or its name"
    ):
        kr.load("nowhere")
    with pytest.raises(ValueError, match=r"no file .*model.keras': an unfinished run has none"):
        kr.load(tmp_path)
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(ValueError, match=r"must be a .keras file. Received: .*text.keras': File is not a zip file"):
        kr.load(tmp_path / "text.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "dense.keras")
    with pytest.raises(ValueError, match=r"must hold a model from \[batch, height, width, channels\]"):
        kr.load(tmp_path / "dense.keras")
    shutil.copy(tmp_path / "dense.keras", tmp_path / "odd.keras")
    with ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("metadata.json", "[]")
    with pytest.raises(ValueError, match=r"must be a .keras file"):
        stated_by(tmp_path / "odd.keras")
