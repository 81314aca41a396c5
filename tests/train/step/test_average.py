"""Averages of the weights: against the formula, under accumulation, loss scaling, two devices, and resume."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import BatchNormalization, CoupledSGD
from train.step.average import Average
from train.step.optimizer import LossScale

STEPS = 12


def network() -> keras.Model:
    """A dense layer and a batch normalisation over `[batch, 1, 1, 2]`."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1, 1, 2))
    return keras.Model(inputs, keras.layers.Dense(2)(BatchNormalization()(inputs)))


def batches(count=STEPS):
    return np.random.default_rng(0).normal(1.0, 2.0, (count, 4, 1, 1, 2)).astype("float32")


class Training:
    """Steps on a network whose weights are averaged."""

    def __init__(self, decay=0.5, optimizer=None, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            self.model = network()
            self.optimizer = optimizer() if optimizer else CoupledSGD(0.1)
            self.optimizer.build(self.model.trainable_variables)
            self.average = Average(self.model, self.optimizer, decay)
        self.run = tf.function(lambda x: self.strategy.run(self._step, (x,)))

    def _step(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.model(x, training=True) ** 2) / self.strategy.num_replicas_in_sync
            loss = self.optimizer.scale_loss(loss)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        self.average.update()

    def steps(self, batches) -> list[list[np.ndarray]]:
        """The weights after each step."""
        trail = []
        for batch in batches:
            self.run(tf.constant(batch))
            trail.append(self.model.get_weights())
        return trail

    @property
    def averages(self) -> list[np.ndarray]:
        return [average.numpy() for average in self.average.averages]


def by_hand(initial, trail, decay):
    """The rule of `tf.train.ExponentialMovingAverage`, in float64."""
    averages = [weight.astype(np.float64) for weight in initial]
    for n, weights in enumerate(trail, start=1):
        kept = min(decay, (1 + n) / (10 + n))
        averages = [kept * a + (1 - kept) * w for a, w in zip(averages, weights, strict=True)]
    return averages


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_the_average_matches_the_formula_and_covers_the_statistics(decay):
    training = Training(decay)
    initial = training.model.get_weights()
    trail = training.steps(batches())
    assert len(trail[0]) == 6  # gamma, beta, two statistics, kernel, bias
    assert_close(training.averages, by_hand(initial, trail, decay))
    assert not any(np.array_equal(a, w) for a, w in zip(training.averages, trail[-1], strict=True))


def test_it_equals_tensorflows_average():
    training = Training(0.9)
    own, twins = tf.train.ExponentialMovingAverage(0.9), [tf.Variable(w) for w in training.model.get_weights()]
    own.apply(twins)  # registers them; their first average is their value
    for n, batch in enumerate(batches(), start=1):
        training.run(tf.constant(batch))
        for twin, weight in zip(twins, training.model.get_weights(), strict=True):
            twin.assign(weight)
        own._num_updates = n
        own.apply(twins)
    assert_close(training.averages, [own.average(twin).numpy() for twin in twins])


def test_steps_that_accumulate_count_once():
    training = Training(optimizer=lambda: CoupledSGD(0.1, gradient_accumulation_steps=3))
    initial = training.model.get_weights()
    trail = training.steps(batches())
    assert_close(training.averages, by_hand(initial, trail[2::3], 0.5))


def test_under_loss_scaling_the_inner_optimisers_updates_count():
    training = Training(optimizer=lambda: LossScale(CoupledSGD(0.1), initial_scale=4.0))
    initial = training.model.get_weights()
    trail = training.steps(batches())
    assert_close(training.averages, by_hand(initial, trail, 0.5))


def test_two_devices_keep_the_same_average(two_devices):
    one, two = Training(), Training(strategy=two_devices)
    one.steps(batches())
    two.steps(batches())  # the same batch on both: the gradient is its mean
    assert_close(two.averages, one.averages)
    for average in two.average.averages:
        first, second = (copy.numpy() for copy in two_devices.experimental_local_results(average))
        np.testing.assert_array_equal(first, second)
    raw = two.model.get_weights()
    with two.average.swapped():
        assert_close(two.model.get_weights(), two.averages)
    assert all(np.array_equal(a, b) for a, b in zip(two.model.get_weights(), raw, strict=True))


def test_the_weights_are_restored_bit_for_bit_even_after_an_error():
    training = Training()
    training.steps(batches())
    raw, averages = training.model.get_weights(), training.averages
    with pytest.raises(KeyError), training.average.swapped():
        assert all(np.array_equal(a, b) for a, b in zip(training.model.get_weights(), averages, strict=True))
        raise KeyError
    assert all(np.array_equal(a, b) for a, b in zip(training.model.get_weights(), raw, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(training.averages, averages, strict=True))


@pytest.mark.parametrize("accumulate", [None, 5])  # in the middle of an accumulation, too
def test_a_checkpoint_restores_it(tmp_path, accumulate):
    def made():
        return Training(0.9, lambda: CoupledSGD(0.1, gradient_accumulation_steps=accumulate))

    def checkpoint(training):
        return tf.train.Checkpoint(model=training.model, optimizer=training.optimizer, average=training.average)

    whole, first, second = made(), made(), made()
    whole.steps(batches())
    first.steps(batches()[:7])
    path = checkpoint(first).save(tmp_path / "half")
    checkpoint(second).restore(path).assert_consumed()
    second.steps(batches()[7:])
    for a, b in zip(
        [*second.model.get_weights(), *second.averages, *(v.numpy() for v in second.optimizer.variables)],
        [*whole.model.get_weights(), *whole.averages, *(v.numpy() for v in whole.optimizer.variables)],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
