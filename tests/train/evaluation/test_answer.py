"""An exported model answers by itself, without Keras or this project."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resunits import PreActResNet, export_saved_model
from train import answer
from train.data.datasets.folder import pixels as read

NAMES = ["cat", "dog", "eel", "fox"]
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
    for package, error in errors.items():  # TensorFlow itself tries to import Keras, and works without it
        (tmp_path / "blocked" / package).mkdir(parents=True)
        (tmp_path / "blocked" / package / "__init__.py").write_text(f"raise {error}\n")

    def alone(*arguments):
        return spawn(answer.__file__, *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path / "blocked"))

    return alone


def test_answers_match_the_network_and_classes_are_sorted_by_probability(exported, images):
    path, model, preprocessing = exported
    answers = answer.answer(str(path), images)
    logits = np.asarray(model(preprocessing(images), training=False), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    order = np.argsort(-expected, axis=1)
    assert answers["classes"].astype(str).tolist() == np.array(NAMES)[order].tolist()
    np.testing.assert_allclose(answers["scores"], np.take_along_axis(expected, order, axis=1), atol=1e-6)


def test_pictures_of_the_models_size_are_read_unchanged(images, files, tmp_path):
    paths = [str(files.image(tmp_path / f"{i}.png", image)) for i, image in enumerate(images)]
    np.testing.assert_array_equal(answer.pictures(paths, SHAPE), images)


def test_a_photograph_is_answered_as_a_server_does_upright_and_through_the_view_of_the_test(exported, tmp_path):
    _, model, preprocessing = exported
    path = export_saved_model(model, tmp_path / "model", NAMES, preprocessing, view="central")
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 60, 3), dtype=np.uint8))
    exif = photograph.getexif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "turned.jpg", exif=exif)
    served = tf.saved_model.load(str(path)).signatures["serve_bytes"]
    expected = served(image_bytes=tf.constant([(tmp_path / "turned.jpg").read_bytes()]))["probabilities"]
    found = answer.answer(str(path), [str(tmp_path / "turned.jpg")])["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_file_that_is_no_picture_is_named(exported, files, images, tmp_path, capsys):
    good, bad = files.image(tmp_path / "0.png", images[0]), tmp_path / "1.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="2"):
        answer.main(str(exported[0]), str(good), str(bad))
    assert capsys.readouterr().err.startswith(f"answer: {bad}: not an image: expected JPEG, PNG, GIF, or BMP")


def test_a_model_of_any_size_answers_a_picture_of_its_own_size_and_refuses_several(files, tmp_path, capsys):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    model.add(keras.layers.Dense(4))
    path = export_saved_model(model, tmp_path / "model", NAMES)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 50, 3), dtype=np.uint8)
    picture, other = files.image(tmp_path / "0.png", pixels), files.image(tmp_path / "1.png", pixels[:9])
    found, expected = answer.answer(str(path), [str(picture)]), answer.answer(str(path), pixels[np.newaxis])
    np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])
    with pytest.raises(SystemExit, match="2"):
        answer.main(str(path), str(picture), str(other))
    assert capsys.readouterr().err.endswith("but one size in a batch; got (9, 50) and (20, 50).\n")


def test_grey_pictures_become_rgb_and_colour_pictures_become_grey(files, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    path = str(files.image(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(answer.pictures([path], SHAPE)[0], np.stack([grey] * 3, -1))
    path = str(files.image(tmp_path / "colour.png", np.stack([grey] * 3, -1)))
    assert np.abs(answer.pictures([path], (8, 8, 1))[0, ..., 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("size", [(32, 32), (20, 50), (5, 3)])
def test_pictures_are_resized_as_training_resized_them(files, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    path = files.image(tmp_path / "picture.png", pixels)
    difference = answer.pictures([str(path)], SHAPE)[0].astype(int) - read(path, 8)[0]
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
        named = list(zip(answers["classes"][i], answers["scores"][i], strict=True))[:3]
        expected.append("  ".join([f"{i}.png", *(f"{name.decode()} {score:.1%}" for name, score in named)]))
    assert outcome.out.splitlines() == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "python answer.py saved_models/RUN/1 PICTURE.png"),
        (("nowhere/1", "0.png"), "answer: nowhere/1/saved_model.pb: there is no such file."),
    ],
)
def test_what_is_missing_is_reported_with_exit_code_2(alone, arguments, text):
    outcome = alone(*arguments)
    assert outcome.code == 2
    assert text in outcome.err and "Traceback" not in outcome.err


@pytest.fixture
def asked(exported, tmp_path, capsys):
    """`asked(ARRAY, OUT)` is the command on an array, in this process: its exit code, and what it wrote to stderr."""

    def asked(array, out="out.npz"):
        np.save(tmp_path / "images.npy", array)
        try:
            answer.main(str(exported[0]), str(tmp_path / "images.npy"), str(tmp_path / out))
        except SystemExit as end:
            return end.code, capsys.readouterr().err
        return 0, ""

    return asked


def test_an_arrays_answers_are_read_by_a_plain_load(asked, exported, images, tmp_path):
    assert asked(images)[0] == 0
    expected = answer.answer(str(exported[0]), images)
    with np.load(tmp_path / "out.npz") as found:  # pickled objects would be refused
        assert found["classes"].tolist() == expected["classes"].astype(str).tolist()
        np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda images: images / 255,
        lambda images: images.astype("float32") * np.nan,
        lambda images: images > 9,
        lambda images: images.astype("int16"),
        lambda images: images.astype("uint16") * 256,
        lambda images: images[0],
        lambda images: images[:, :, :, :1],
        lambda images: images[:, :4],
        lambda images: images[:0],
        lambda images: np.array(["a"]),
    ],
    ids=["0..1", "nan", "bool", "int16", "uint16", "rank 3", "channels", "size", "none", "text"],
)
def test_an_array_that_is_not_uint8_images_of_the_models_size_is_refused(asked, images, spoil, tmp_path):
    code, err = asked(spoil(images))
    assert code == 2 and not (tmp_path / "out.npz").exists()
    assert re.match(r"answer: expected uint8 images \[n, (8, 8, 3|height, width, channels)\], 0..255; got ", err)
    assert err.count("\n") == 1
    assert ("Pixels in 0..1 become" in err) == (spoil(images).dtype.kind == "f")


def test_what_needs_no_model_is_refused_before_tensorflow_is_imported(asked, images, monkeypatch):
    monkeypatch.setattr(answer, "tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    assert "got float64 [" in asked(images / 255)[1]
    assert "there is no folder" in asked(images, "nowhere/out.npz")[1]


@pytest.mark.parametrize(("outputs", "got"), [((), "none"), (("a.npz", "b.npz"), "a.npz b.npz")])
def test_an_array_requires_one_file_for_its_answers(exported, outputs, got, capsys):
    with pytest.raises(SystemExit, match="2"):
        answer.main(str(exported[0]), "images.npy", *outputs)
    assert capsys.readouterr().err == f"answer: IMAGES.npy must be followed by one OUT.npz; got {got}.\n"


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', "])
def test_a_file_that_is_not_an_array_is_named(exported, tmp_path, capsys, content):
    (tmp_path / "images.npy").write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        answer.main(str(exported[0]), str(tmp_path / "images.npy"), str(tmp_path / "out.npz"))
    assert "images.npy is not a readable .npy file" in capsys.readouterr().err


def test_answers_that_cannot_be_written_leave_nothing(asked, images, tmp_path):
    code, err = asked(images, "nowhere/out.npz")
    assert (code, "nowhere/out.npz cannot be written: there is no folder" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npy"]


def test_a_saved_model_of_another_program_is_named(tmp_path, files, capsys):
    module = tf.Module()
    module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures=module.double)
    picture = files.image(tmp_path / "0.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SystemExit, match="2"):
        answer.main(str(tmp_path / "other"), str(picture))
    assert "other is not a SavedModel of this program: its signature" in capsys.readouterr().err


def test_pictures_of_a_folder_are_answered_in_the_order_of_their_names(exported, images, files, tmp_path, capsys):
    path, _, _ = exported
    for i, name in enumerate(["b.png", "in/a.png", "a.png"]):
        files.image(tmp_path / "pictures" / name, images[i])
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    answer.main(str(path), str(tmp_path / "pictures"), str(tmp_path / "pictures" / "b.png"))
    said = capsys.readouterr().out.splitlines()
    names = ["a.png", "b.png", "in/a.png", "b.png"]
    assert [line.split("  ")[0] for line in said] == [str(tmp_path / "pictures" / name) for name in names]
    assert said[1] == said[3]


def test_a_folder_without_pictures_is_refused(exported, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as end:
        answer.main(str(exported[0]), str(tmp_path / "empty"))
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"answer: {tmp_path}/empty has no pictures (.bmp, ")
