"""Loss and accuracy take classes and distributions; ten crops answer with their mean probability."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.process.errors import BadInput
from train.step.targets import CrossEntropy, answers, hits, losses_of, require_loss
from train.step.trainer import Trainer

COUNT, CLASSES = 8, 3


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(COUNT, CLASSES)).astype(np.float32)


@pytest.fixture
def labels():
    return np.arange(COUNT) % CLASSES


def test_the_loss_of_a_class_is_that_of_its_distribution(logits, labels):
    of = np.eye(CLASSES, dtype=np.float32)[labels]
    np.testing.assert_allclose(CrossEntropy()(labels, logits), CrossEntropy()(of, logits), rtol=1e-6)
    for each in (labels, of):
        np.testing.assert_array_equal(hits(each, logits), logits.argmax(1) == labels)


def test_hits_match_keras_for_ties_and_for_more_classes_than_16_bits_can_count():
    logits = keras.ops.cast(np.eye(300)[[256, 257, 3]] + np.eye(300)[[256, 257, 5]], "bfloat16")
    for labels, right in (([257, 257, 3], [0, 1, 1]), ([256, 258, 5], [1, 0, 0])):  # the first of equals is the answer
        for each in (np.array(labels), np.eye(300, dtype=np.float32)[labels]):
            np.testing.assert_array_equal(hits(each, logits), right)


def test_the_loss_of_a_mix_is_the_mix_of_the_losses(logits, labels):
    of, other = (np.eye(CLASSES, dtype=np.float32)[shifted] for shifted in (labels, (labels + 1) % CLASSES))
    mixed = CrossEntropy()(0.3 * of + 0.7 * other, logits)
    expected = 0.3 * CrossEntropy()(of, logits) + 0.7 * CrossEntropy()(other, logits)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


def test_ten_crops_answer_with_their_mean_probability():
    images = np.random.default_rng(0).normal(size=(4, 10, 5, 5, 3)).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    each = tf.nn.softmax(model(images.reshape(40, 5, 5, 3))).numpy().reshape(4, 10, CLASSES)
    ours = answers(model, tf.constant(images))
    np.testing.assert_allclose(tf.nn.softmax(ours), each.mean(1), rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(ours), 1), 1, rtol=1e-5)
    np.testing.assert_array_equal(answers(model, tf.constant(images[:, 0])), model(images[:, 0]))


class Squared(keras.losses.Loss):
    """A loss of the user's, with a reduction of its own."""

    def call(self, labels, logits):
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True) ** 2


def test_a_loss_of_the_users_is_that_of_each_image(logits, labels):
    each = CrossEntropy().call(labels, logits)
    np.testing.assert_allclose(losses_of(Squared())(labels, logits), each**2, rtol=1e-6)
    found = losses_of(lambda labels, logits: tf.cast(logits[:, 0], tf.float64))(labels, logits)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, logits[:, 0])
    with pytest.raises(BadInput, match=r"^--loss must return a loss for each image, \[batch\]; got the shape \(\)\.$"):
        losses_of(lambda labels, logits: tf.reduce_mean(logits))(labels, logits)


@pytest.mark.parametrize("distributions", [False, True])
def test_a_loss_is_tried_on_labels_as_they_will_be(distributions):
    seen = []

    def loss(labels, logits):
        seen.append((labels.numpy().tolist(), logits.shape.as_list()))
        return tf.reduce_sum(logits, -1)

    require_loss(loss, 3, distributions)
    numbers = [0, 1, 2, 0]
    assert seen == [(np.eye(3)[numbers].tolist() if distributions else numbers, [4, 3])]
    with pytest.raises(BadInput, match=r"^--loss must return a loss for each image, \[4\] for as many; got \[3\]\.$"):
        require_loss(lambda labels, logits: logits[0], 3, distributions)
    kind = r"float32 \[4, 3\]" if distributions else r"int64 \[4\]"
    with pytest.raises(BadInput, match=rf"^--loss: ZeroDivisionError for labels {kind}: .* by zero\.$"):
        require_loss(lambda labels, logits: 1 // 0, 3, distributions)


def linear():
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 1))
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images)))


def test_images_of_weight_0_do_not_count():
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 1), dtype=np.uint8)
    labels = np.arange(COUNT) % CLASSES
    judge = Trainer(linear(), keras.layers.Rescaling(1 / 255), keras.optimizers.SGD())
    expected = judge.test_step(images[:5], labels[:5], tf.ones(5), 0.0)
    weights = tf.constant([1.0] * 5 + [0.0] * 3)
    halves = [slice(0, 4), slice(4, 8)]
    measured = sum(judge.test_step(images[h], labels[h], weights[h], 0.0) for h in halves)
    assert measured[2] == 5
    np.testing.assert_allclose(measured, expected, rtol=1e-6)


def test_a_step_on_mixed_labels_follows_their_gradient():
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 1), dtype=np.uint8)
    of = np.random.default_rng(1).dirichlet(np.ones(CLASSES), COUNT).astype(np.float32)
    model = linear()
    kernel, bias = (w.numpy().astype(np.float64) for w in model.trainable_variables)
    learner = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(0.1))
    learner.train_step(images, of, 0.0)
    pixels = images.reshape(COUNT, -1) / 255
    logits = pixels @ kernel + bias
    errors = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - of) / COUNT
    np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.1 * pixels.T @ errors, atol=1e-6)
