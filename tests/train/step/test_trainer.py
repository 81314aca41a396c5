"""Training and test steps match NumPy."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import CoupledSGD, PreActResNet
from train.step.trainer import Trainer, means

SHAPE, CLASSES = (4, 4, 1), 3


def linear() -> keras.Model:
    """The smallest network: one dense layer over the pixels."""
    keras.utils.set_random_seed(0)
    images = keras.Input(SHAPE)
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images)))


def trainer(model=None, rate=0.05) -> Trainer:
    model = model or linear()
    return Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(rate, momentum=0.9))


NOBODY = tf.constant(0.0)  # asks to stop


def evaluated(judge: Trainer, batches) -> dict[str, float]:
    """Loss and accuracy over all batches, each image of weight 1."""
    steps = [judge.test_step(images, labels, tf.ones(len(labels)), NOBODY) for images, labels in batches]
    return means(np.sum(steps, 0)[:3])


def batches(files, *sizes: int, shape=SHAPE) -> list:
    """Batches of these sizes, of one problem."""
    arrays = files.arrays(train=sum(sizes), shape=shape, classes=CLASSES)
    bounds = np.cumsum([0, *sizes])
    return [
        (tf.constant(arrays["x_train"][a:b]), tf.constant(arrays["y_train"][a:b]))
        for a, b in itertools.pairwise(bounds)
    ]


def reference(model, batches) -> tuple[float, float]:
    """Loss and accuracy over all examples, by numpy in float64."""
    images = np.concatenate([images for images, _ in batches]).astype(np.float64) / 255
    labels = np.concatenate([labels for _, labels in batches])
    logits = np.asarray(model(images.astype(np.float32), training=False), np.float64)
    log_sums = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    losses = log_sums - logits[np.arange(len(labels)), labels]
    return losses.mean(), (logits.argmax(1) == labels).mean()


@pytest.mark.parametrize("sizes", [(6,), (6, 6), (6, 6, 1), (7, 2)])
def test_test_metrics_match_numpy_over_all_examples_however_they_are_batched(files, sizes):
    judge, test = trainer(), batches(files, *sizes)
    measured = evaluated(judge, test)
    np.testing.assert_allclose((measured["loss"], measured["accuracy"]), reference(judge.model, test), rtol=1e-5)
    assert evaluated(judge, test) == measured  # nothing is left over from the first time


def test_testing_changes_no_weight_and_no_statistic(files):
    judge = trainer(PreActResNet(8, (8, 8, 1), CLASSES))
    before = [variable.numpy() for variable in judge.variables]
    assert len(before) == len(judge.model.variables) + len(judge.optimizer.variables)
    evaluated(judge, batches(files, 5, shape=(8, 8, 1)))
    for variable, old in zip(judge.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_a_step_is_the_gradient_of_the_mean_loss_times_the_rate(files):
    learner = trainer(rate=0.1)
    (images, labels) = batches(files, 6)[0]
    kernel, bias = (w.numpy().astype(np.float64) for w in learner.model.trainable_variables)
    expected_loss, _ = reference(learner.model, [(images, labels)])
    loss = learner.train_step(images, labels, NOBODY).numpy()[0] / 6
    pixels = images.numpy().reshape(6, -1) / 255
    logits = pixels @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[labels.numpy()]) / 6
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(learner.model.trainable_variables[0], kernel - 0.1 * pixels.T @ errors, atol=1e-6)
    np.testing.assert_allclose(learner.model.trainable_variables[1], bias - 0.1 * errors.sum(0), atol=1e-6)


def test_training_moves_statistics_and_each_step_is_traced_once(files):
    learner = trainer(PreActResNet(8, (8, 8, 1), CLASSES))
    means_before = [w.numpy() for w in learner.model.weights if w.path.endswith("moving_mean")]
    for images, labels in batches(files, 5, 5, shape=(8, 8, 1)):
        learner.train_step(images, labels, NOBODY)
    means_after = [w.numpy() for w in learner.model.weights if w.path.endswith("moving_mean")]
    assert means_before and all((a != b).any() for a, b in zip(means_before, means_after, strict=True))
    assert learner.train_step.experimental_get_tracing_count() == 1
    evaluated(learner, batches(files, 5, 4, 3, 2, shape=(8, 8, 1)))
    assert learner.test_step.experimental_get_tracing_count() <= 2  # whatever the sizes of the last batches


def test_a_step_augments_by_its_number_which_is_0_unless_given(files):
    learner = trainer()
    learner.augment = lambda images, step: tf.cast(images, tf.float32) * 0 + 255 * tf.cast(step, tf.float32)
    images, labels = batches(files, 6)[0]
    before = learner.model.weights[0].numpy()
    learner.train_step(images, labels, NOBODY)
    np.testing.assert_array_equal(learner.model.weights[0], before)  # the kernel of black images has no gradient
    learner.train_step(images, labels, NOBODY, tf.constant(1))
    assert (learner.model.weights[0].numpy() != before).any()


def test_the_gradient_norm_is_the_last_updates_where_the_optimiser_keeps_it(files):
    images, labels = batches(files, 6)[0]
    assert trainer().gradient_norm is None
    for scaled in (False, True):
        model, sgd = linear(), CoupledSGD(1.0, momentum=0.0, nesterov=False, coupled_weight_decay=0.0)
        made = keras.optimizers.LossScaleOptimizer(sgd) if scaled else sgd
        learner = Trainer(model, keras.layers.Rescaling(1 / 255), made)
        before = model.get_weights()
        learner.train_step(images, labels, NOBODY)
        moved = sum(((a - b) ** 2).sum() for a, b in zip(before, model.get_weights(), strict=True))
        assert learner.gradient_norm == pytest.approx(moved**0.5, rel=1e-4)


def test_without_images_there_is_no_loss_and_no_accuracy():
    assert means([6.0, 3.0, 4.0]) == {"loss": 1.5, "accuracy": 0.75}
    nothing = means([0.0, 0.0, 0.0])
    assert np.isnan(nothing["loss"]) and nothing["accuracy"] == 0.0


def test_the_step_under_float16_is_the_unscaled_one(files):
    images, labels = batches(files, 6)[0]
    kernels = []
    for scaled in (False, True):
        model = linear()
        sgd = keras.optimizers.SGD(0.1)
        learner = Trainer(
            model, keras.layers.Rescaling(1 / 255), keras.optimizers.LossScaleOptimizer(sgd) if scaled else sgd
        )
        learner.train_step(images, labels, NOBODY)
        kernels.append(model.trainable_variables[0].numpy())
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_a_step_returns_sums_and_whether_any_replica_was_asked_to_stop(files):
    learner, (images, labels) = trainer(), batches(files, 6)[0]
    wanted, right = reference(learner.model, [(images, labels)])
    for asked in (0.0, 1.0):
        sums = learner.test_step(images, labels, tf.ones(6), tf.constant(asked)).numpy()
        np.testing.assert_allclose(sums, [6 * wanted, 6 * right, 6, asked], rtol=1e-5)
    *sums, rate = learner.train_step(images, labels, tf.constant(1.0)).numpy()
    np.testing.assert_allclose(sums, [6 * wanted, 6 * right, 6, 1], rtol=1e-5)
    assert rate == np.float32(learner.optimizer.learning_rate)
