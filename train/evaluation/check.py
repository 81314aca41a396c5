"""Checks of an exported model against the trained one: by a process that imports only TensorFlow, or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from keras_resunits.serving.heads import probabilities

from ..process.backend import tf

PROGRAM = Path(__file__).parents[1] / "answer.py"
SERVED = {"float32": 0.0, "bfloat16": 0.25}
"""The same by the export's own precision: bfloat16 moves what is undecided, and its accuracy is measured."""
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 2e-3}
"""The largest difference of a probability. Folded norms round differently: by 6e-7 at depth 20, 2e-5 at depth 164."""


def check_answers(
    saved_model: Path, model: keras.Model, preprocessing: keras.layers.Layer, images: np.ndarray
) -> float:
    """The largest difference between the probabilities of the two models over `images`.

    Raises:
        RuntimeError: if it is larger than the network's precision allows, or the other process fails.
    """
    with tf.device("CPU"):  # both on the CPU: an accelerator rounds differently, and its memory may be in use
        outputs = model(preprocessing(images), training=False)
        expected = probabilities(tf.cast(outputs, tf.float32), _head(saved_model)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = f"{folder}/images.npy", f"{folder}/answers.npz"
        np.save(asked, images)
        code, err = run_answer(str(saved_model), asked, answered)
        if code:
            raise RuntimeError(f"{saved_model} cannot be read:\n{err}")
        with np.load(answered) as answers:
            return _close(saved_model, model, answers["probabilities"], expected)


def run_answer(*arguments: str) -> tuple[int, str]:
    """Run the command `answer` by its path; return its exit code and what it wrote to standard error."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    process = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, env=environment
    )
    return process.returncode, process.stderr


def check_on_noise(saved_model: Path, model: keras.Model, preprocessing: keras.layers.Layer | None) -> float:
    """The largest difference between the probabilities of the two models over random images, in this process.

    Raises:
        RuntimeError: if it is larger than the network's precision allows.
    """
    shape = [8, *(side or 64 for side in model.input_shape[1:])]
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with tf.device("CPU"):
        pixels = tf.cast(images, tf.float32)
        outputs = model(preprocessing(pixels) if preprocessing else pixels, training=False)
        expected = probabilities(tf.cast(outputs, tf.float32), _head(saved_model)).numpy()
        loaded = tf.saved_model.load(str(saved_model))
        found = loaded.signatures["serving_default"](images=tf.constant(images))["probabilities"].numpy()
    return _close(saved_model, model, found, expected)


def _head(saved_model: Path) -> str:
    """What the network's outputs are, as the export states it."""
    return json.loads((saved_model / "metadata.json").read_text())["head"]


def _close(saved_model: Path, model: keras.Model, found: np.ndarray, expected: np.ndarray) -> float:
    difference = float(np.abs(found - expected).max())
    allowed = max(TOLERANCE.get(layer.compute_dtype, 0) for layer in model._flatten_layers())
    if not difference <= max(allowed, SERVED[json.loads((saved_model / "metadata.json").read_text())["precision"]]):
        raise RuntimeError(f"{saved_model}: its answers differ from the trained network's by {difference}.")
    return difference


def save_picture(image: np.ndarray, path: Path) -> None:
    """Save a uint8 image `[height, width, channels]` as a PNG, if it has 1, 3 or 4 channels."""
    if image.shape[-1] in (1, 3, 4):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
