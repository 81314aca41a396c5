"""The papers' optimiser."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.normalization import ON_TENSORFLOW
from keras_resunits.serialization import register

if ON_TENSORFLOW:
    import tensorflow as tf


@register
class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum and *coupled* weight decay, as the papers and Torch mean it:

        g  = gradient + weight_decay * w
        m  = momentum * m - learning_rate * g
        w += m                                           (plain)
        w += momentum * m - learning_rate * g            (Nesterov)

    Keras' own `weight_decay` is decoupled: it shrinks `w` past the momentum. This one equals an L2 penalty of
    `weight_decay / 2` on every variable, norms and biases included (fb.resnet.torch decays all of them), but for those
    that `exclude_from_weight_decay` names before the optimiser is built.

    Args:
        learning_rate: A float or a `keras.optimizers.schedules.LearningRateSchedule`; 0.1 by default.
        momentum: 0.9 by default.
        nesterov: Whether the step looks ahead; yes by default, as in the authors' Torch code.
        coupled_weight_decay: 1e-4 by default.
        **kwargs: As `keras.optimizers.SGD`.

    Example: one step from w = 1 with gradient 0 is pure decay

    >>> import keras
    >>> from keras_resunits import CoupledSGD
    >>> w = keras.Variable([1.0])
    >>> CoupledSGD(0.1, momentum=0.5, nesterov=False, coupled_weight_decay=0.1).apply([keras.ops.zeros(1)], [w])
    >>> round(float(w.numpy()[0]), 4)
    0.99
    """

    def __init__(self, learning_rate=0.1, momentum=0.9, nesterov=True, coupled_weight_decay=1e-4, **kwargs):
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay

    def build(self, variables):
        super().build(variables)
        if ON_TENSORFLOW:  # made once, outside the traced step, in which every use would make them anew
            with tf.init_scope():
                self._factors = tf.constant(self.coupled_weight_decay), tf.constant(self.momentum)

    def update_step(self, gradient, variable, learning_rate):
        """One variable's step.

        Args:
            gradient: Of the loss without the decay; the variable's shape.
            variable: What is moved, in place.
            learning_rate: A scalar.
        """
        if not (ON_TENSORFLOW and self.momentum):
            if self._use_weight_decay(variable):
                gradient = gradient + self.coupled_weight_decay * ops.convert_to_tensor(variable)
            super().update_step(gradient, variable, learning_rate)
            return
        # One kernel for the three equations: a network of 500 variables starts seconds sooner.
        decay, momentum = (tf.cast(factor, variable.dtype) for factor in self._factors)
        gradient = tf.cast(gradient, variable.dtype)
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient + decay * variable if self._use_weight_decay(variable) else gradient,
            momentum=momentum,
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}
