"""A step that overflows on one replica is skipped on all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import CoupledSGD
from train.step.optimizer import LossScale


def stepped(strategy, gradients, **options):
    """`(weight, scale)` on each replica after a step with a gradient each."""
    with strategy.scope():
        variable = keras.Variable([1.0])
        optimizer = LossScale(CoupledSGD(0.5, coupled_weight_decay=0.0, momentum=0.0, **options), initial_scale=8.0)
        optimizer.build([variable])
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([gradients[context.replica_id_in_sync_group]])
    )
    tf.function(lambda part: strategy.run(lambda each: optimizer.apply([each], [variable]), (part,)))(parts)
    found = (variable, optimizer.dynamic_scale)
    return [[copy.numpy().item() for copy in strategy.experimental_local_results(v.value)] for v in found]


@pytest.mark.parametrize("gradients", [(np.inf, 8.0), (8.0, np.inf), (8.0, np.nan), (np.inf, -np.inf)])
def test_an_overflow_on_one_replica_skips_the_step_on_both(two_devices, gradients):
    assert stepped(two_devices, gradients) == [[1.0, 1.0], [4.0, 4.0]]


def test_finite_gradients_are_summed_and_unscaled(two_devices):
    assert stepped(two_devices, (8.0, 16.0)) == [[-0.5, -0.5], [8.0, 8.0]]  # 1 - 0.5 * (1 + 2)


def test_clipping_sees_the_gradient_in_its_own_scale(two_devices):
    assert stepped(two_devices, (8.0, 16.0), global_clipnorm=1.0) == [[0.5, 0.5], [8.0, 8.0]]


def test_it_is_saved_with_its_optimiser():
    made = LossScale(CoupledSGD(0.5, global_clipnorm=2.0))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is LossScale
    assert again.get_config() == made.get_config()
