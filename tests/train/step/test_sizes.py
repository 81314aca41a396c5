"""Training on smaller images first."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import FullyConnectedResNet, PreActResNet
from tests.support.processes import finished
from train.process.errors import BadInput
from train.run.session import Plan
from train.step.sizes import answered, planned_sizes, require_sizes, resized
from train.step.trainer import Trainer

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)


def test_each_size_trains_an_equal_part_of_the_run():
    plan = Plan(epochs=3, steps=5, sizes=planned_sizes([8, 12, 16], (16, 16, 3)))
    sizes = [plan.size(step) for step in range(15)]
    assert sizes == [(8, 8)] * 5 + [(12, 12)] * 5 + [None] * 5 and plan.largest is None
    assert Plan(epochs=1, steps=5).size(4) is None
    descending = Plan(epochs=1, steps=2, sizes=planned_sizes([12, 8], (16, 16, 3)))
    assert descending.largest == (12, 12)


@pytest.mark.parametrize("side", [7, 17, 1])
def test_a_size_that_skips_pixels_or_is_larger_is_refused(side):
    with pytest.raises(BadInput, match=f"--sizes must be from 8 to 16 for images of 16x20; got {side}"):
        planned_sizes([16, side], (16, 20, 3))
    assert planned_sizes([8], (15, 30, 1)) == ((8, 16),)


def test_half_the_size_is_the_mean_of_squares():
    means = IMAGES.reshape(4, 8, 2, 8, 2, 3).mean((2, 4))
    np.testing.assert_allclose(resized(tf.constant(IMAGES), (8, 8)), means, rtol=1e-6)
    assert resized(IMAGES, None) is IMAGES


@pytest.mark.parametrize("remat", [None, 2])
def test_a_step_on_smaller_images_is_that_of_a_network_of_this_size(remat):
    made = []
    for side in (16, 8):
        keras.utils.set_random_seed(0)
        model = PreActResNet(8, input_shape=(side, side, 3), remat=remat)
        optimizer = keras.optimizers.SGD(0.1)
        trainer = Trainer(model, keras.layers.Rescaling(1 / 255), optimizer)
        images = tf.constant(IMAGES) if side == 16 else resized(tf.constant(IMAGES), (8, 8))
        arguments = images, tf.constant([0, 1, 2, 3]), tf.constant(0.0), tf.constant(0, tf.int64)
        told = trainer.train_step(*arguments, (8, 8) if side == 16 else None)
        made.append((told.numpy(), [weight.numpy() for weight in model.weights]))
    (told, weights), (wanted, expected) = made
    np.testing.assert_array_equal(told, wanted)
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_network_of_fixed_size_is_refused():
    model = FullyConnectedResNet(4, input_shape=(8, 8, 1), filters=4)
    with pytest.raises(BadInput, match=f"--sizes: {model.name} does not take images of 4x4"):
        require_sizes(model, [(4, 4), None], 1)
    require_sizes(model, [None], 1)
    images = tf.zeros((2, 8, 8, 1))
    np.testing.assert_array_equal(answered(model, images, training=False), model(images))


STOPPING = """
import os, signal
import keras

class Once(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 5 and os.environ.get("STOPS"):
            os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.slow
def test_a_run_that_stops_between_sizes_ends_as_one_that_does_not(files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=32, shape=(16, 16, 3)))
    (tmp_path / "stopping.py").write_text(STOPPING)
    line = [f"--dataset={data}", f"--output={tmp_path}", "--depth=8", "--batch_size=8", "--sizes=8,12,16", "--epochs=3"]
    line += ["--noexport", f"--callbacks={tmp_path}/stopping.py:Once"]
    whole = finished("train", *line, "--run=whole")
    stopped = finished("train", *line, "--run=stopped", STOPS="1")
    again = finished("train", *line, "--run=stopped", "--resume")
    assert [each.code for each in (whole, stopped, again)] == [0, 42, 0]
    assert "saved at step 5" in stopped.err or "saved at step 6" in stopped.err
    hashes = [re.search(r"^state +(\w{12}) ", each.out, re.M)[1] for each in (whole, again)]
    assert hashes[0] == hashes[1]
