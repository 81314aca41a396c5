"""An exported model answers by itself: no Keras, nothing of this project."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_resunits import PreActResNet, export_saved_model
from train import answer
from train.data.datasets.folder import _read

NAMES = ["cat", "dog", "eel"]
SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(path, network, normalisation)`."""
    keras.utils.set_random_seed(0)
    model = PreActResNet(8, SHAPE, len(NAMES))
    preprocessing = keras.layers.Normalization(mean=[100.0, 120.0, 140.0], variance=[900.0, 400.0, 1600.0])
    preprocessing.build((None, *SHAPE))
    return export_saved_model(model, tmp_path_factory.mktemp("models"), NAMES, preprocessing), model, preprocessing


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)


@pytest.fixture
def alone(spawn, tmp_path):
    """`alone(...)` runs `train/answer.py` in another folder, where Keras and this project cannot be imported."""
    errors = {
        "keras": "ImportError('no Keras here')",
        "keras_resunits": "SystemExit('imported')",
        "train": "SystemExit('imported')",
    }
    for package, error in errors.items():  # TensorFlow itself tries Keras, and does without
        (tmp_path / "blocked" / package).mkdir(parents=True)
        (tmp_path / "blocked" / package / "__init__.py").write_text(f"raise {error}\n")

    def alone(*arguments):
        return spawn(answer.__file__, *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path / "blocked"))

    return alone


def test_answers_are_the_networks_and_classes_are_named_likeliest_first(exported, images):
    path, model, preprocessing = exported
    answers = answer.answer(str(path), images)
    logits = np.asarray(model(preprocessing(images), training=False), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    order = np.argsort(-expected, axis=1)
    assert answers["classes"].astype(str).tolist() == np.array(NAMES)[order].tolist()
    np.testing.assert_allclose(answers["scores"], np.take_along_axis(expected, order, axis=1), atol=1e-6)


def test_pictures_of_the_models_size_are_read_as_they_are(images, files, tmp_path):
    paths = [str(files.image(tmp_path / f"{i}.png", image)) for i, image in enumerate(images)]
    np.testing.assert_array_equal(answer.pictures(paths, SHAPE), images)


def test_grey_pictures_get_colour_and_colour_pictures_go_grey(files, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    path = str(files.image(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(answer.pictures([path], SHAPE)[0], np.stack([grey] * 3, -1))
    path = str(files.image(tmp_path / "colour.png", np.stack([grey] * 3, -1)))
    assert np.abs(answer.pictures([path], (8, 8, 1))[0, ..., 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("size", [(32, 32), (20, 50), (5, 3)])
def test_pictures_are_resized_as_training_resized_them(files, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    path = files.image(tmp_path / "picture.png", pixels)
    difference = answer.pictures([str(path)], SHAPE)[0].astype(int) - _read(path, 8)
    assert np.abs(difference).max() <= 2


def test_the_command_prints_the_classes_without_keras_and_without_this_project(
    exported, images, files, tmp_path, alone
):
    path, _, _ = exported
    for i in range(2):
        files.image(tmp_path / f"{i}.png", images[i])
    outcome = alone(path, "0.png", "1.png")
    assert outcome.code == 0, outcome.err
    answers = answer.answer(str(path), images[:2])
    expected = []
    for i in range(2):
        named = zip(answers["classes"][i], answers["scores"][i], strict=True)
        expected.append("  ".join([f"{i}.png", *(f"{name.decode()} {score:.1%}" for name, score in named)]))
    assert outcome.out.splitlines() == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "python answer.py saved_models/RUN/1 PICTURE.png"),
        (("nowhere/1", "0.png"), "answer: nowhere/1/saved_model.pb: there is no such file."),
    ],
)
def test_what_is_missing_is_said_with_exit_code_2(alone, arguments, text):
    outcome = alone(*arguments)
    assert outcome.code == 2
    assert text in outcome.err and "Traceback" not in outcome.err
