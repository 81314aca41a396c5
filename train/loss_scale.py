"""Loss scaling that several devices agree on."""

from __future__ import annotations

import keras

from train.backend import tf


@keras.saving.register_keras_serializable(package="keras_resunits.train")
class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, skipping a step where the gradient of *any* replica overflows.

    Keras asks the first replica alone (or lets each decide for itself), and an infinite gradient of another one would
    reach the weights.

    Example: a step that overflows is left out and halves the scale

    >>> optimizer, variable = LossScale(keras.optimizers.SGD(0.5), initial_scale=8.0), keras.Variable([1.0])
    >>> for gradient in (float("inf"), 4.0):
    ...     optimizer.apply([tf.constant([gradient])], [variable])
    >>> float(optimizer.dynamic_scale.numpy()), float(variable.numpy()[0])
    (4.0, 0.5)
    """

    def check_finite(self, grads):
        """Whether all gradients of all replicas are finite: a boolean scalar."""
        overflown = tf.cast(tf.logical_not(super().check_finite(grads)), tf.float32)
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, overflown) == 0.0
