"""The export equals the trained network, or the run reports it."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resunits import PreActResNet, export_saved_model
from train.evaluation.check import TOLERANCE, _close, check_answers, run_answer, save_picture

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 1)


def network(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return PreActResNet(8, SHAPE, 3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(path, network, normalisation)`."""
    model, preprocessing = network(0), keras.layers.Rescaling(1 / 127.5, offset=-1.0)
    return (
        export_saved_model(model, tmp_path_factory.mktemp("models"), preprocessing=preprocessing),
        model,
        preprocessing,
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)


def test_the_exported_model_answers_like_the_trained_one(exported, images):
    assert 0 <= check_answers(*exported, images) <= 1e-5


def test_independent_probabilities_are_compared_as_such(images, tmp_path):
    model, scaled = network(0), keras.layers.Rescaling(1 / 255)
    path = export_saved_model(model, tmp_path, preprocessing=scaled, head="sigmoid_logits")
    assert check_answers(path, model, scaled, images) <= 1e-5


def test_another_network_is_detected(exported, images):
    path, _, preprocessing = exported
    with pytest.raises(RuntimeError, match=r"/1: its answers differ from the trained network's by 0\.\d+\."):
        check_answers(path, network(1), preprocessing, images)


def test_a_damaged_export_is_detected(exported, images, tmp_path):
    path, model, preprocessing = exported
    tampered = shutil.copytree(path, tmp_path / "1")
    graph = tampered / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(RuntimeError, match=r"1 cannot be read:\nanswer: .* is not a SavedModel of this program: "):
        check_answers(tampered, model, preprocessing, images)


@pytest.mark.parametrize(
    ("policy", "precision", "most"),
    [
        ("float32", "float32", 1e-3),
        ("mixed_float16", "float32", 2e-3),
        ("mixed_bfloat16", "float32", 2e-2),
        ("float32", "bfloat16", 0.25),
    ],
)
def test_a_difference_is_as_large_as_the_precision_allows(policy, precision, most, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype=policy)])
    (tmp_path / "metadata.json").write_text(json.dumps({"precision": precision}))
    expected = np.zeros((1, 2))
    assert _close(tmp_path, model, expected - 0.9 * most, expected) == pytest.approx(0.9 * most)
    with pytest.raises(RuntimeError, match="its answers differ from the trained network's by"):
        _close(tmp_path, model, expected + 1.1 * most, expected)


def test_every_precision_has_a_tolerance():
    for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
        assert keras.DTypePolicy(precision).compute_dtype in TOLERANCE


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_has_the_images_pixels(channels, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    save_picture(image, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture).reshape(image.shape), image)


def test_an_image_of_2_channels_is_not_saved(tmp_path):
    save_picture(np.zeros((5, 7, 2), np.uint8), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_the_command_answers_in_a_process_of_its_own(exported, images, tmp_path):
    path, model, preprocessing = exported
    np.save(tmp_path / "images.npy", images)
    code, err = run_answer(str(path), str(tmp_path / "images.npy"), str(tmp_path / "answers.npz"))
    assert (code, err) == (0, "")
    wanted = keras.ops.softmax(model(preprocessing(images), training=False))
    with np.load(tmp_path / "answers.npz") as answers:
        np.testing.assert_allclose(answers["probabilities"], wanted, atol=1e-5)
    assert run_answer("nowhere", "images.npy", "answers.npz")[0] == 2
