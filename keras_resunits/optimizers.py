"""The papers' optimiser."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.layers.backend import ON_TENSORFLOW, tf
from keras_resunits.layers.serialization import register


@register
class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum and *coupled* weight decay, as the papers and Torch mean it:

        g  = gradient + weight_decay * w
        m  = momentum * m - learning_rate * g
        w += m                                           (plain)
        w += momentum * m - learning_rate * g            (Nesterov)

    Keras' own `weight_decay` is decoupled: it shrinks `w` past the momentum. This one equals an L2 penalty of
    `weight_decay / 2` on every variable, norms and biases included (fb.resnet.torch decays all of them), but for those
    that `exclude_from_weight_decay` names before the optimiser is built, and for the scalars of `ScalarGate`, which
    never decay (Savarese et al. 2016, Table 3: better so).

    `global_clipnorm` and `gradient_accumulation_steps` are Keras', with two repairs. On TensorFlow gradients are summed
    over the replicas of a strategy before they are clipped and accumulated, not after, so that several devices take the
    step that one would take. And a schedule counts updates, not the steps that accumulate to one.

    Attributes:
        gradient_norm: On TensorFlow, the global norm of the last update's gradient: summed over the replicas, averaged
            over the accumulated steps, without the weight decay, before it was clipped; no number as soon as a step
            that only accumulates has none. A float32 scalar variable.

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
        self._rate_factors: dict = {}

    def scale_learning_rate(self, var_list, factor):
        """Some variables' rate is `factor` times that of the others; to be said before the optimiser is built.

        Like `exclude_from_weight_decay`, it is not part of the configuration.

        Args:
            var_list: Their `keras.Variable`s.
            factor: A float; Fixup's scalars want 0.1 (the authors' code, hongyi-zhang/Fixup).

        Raises:
            ValueError: if the optimiser is built.

        Example:

        >>> import keras
        >>> from keras_resunits import CoupledSGD
        >>> fast, slow = keras.Variable([1.0]), keras.Variable([1.0])
        >>> sgd = CoupledSGD(0.5, momentum=0.0, coupled_weight_decay=0.0)
        >>> sgd.scale_learning_rate([slow], 0.1)
        >>> sgd.apply([keras.ops.ones(1), keras.ops.ones(1)], [fast, slow])
        >>> round(float(fast.numpy()[0]), 4), round(float(slow.numpy()[0]), 4)
        (0.5, 0.95)
        """
        if self.built:
            raise ValueError("`scale_learning_rate` wants an optimiser that is not built yet, and got a built one.")
        self._rate_factors |= {self._var_key(variable): factor for variable in var_list}

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        spared = {self._var_key(variable) for variable in variables if not getattr(variable, "decays", True)}
        self._exclude_from_weight_decay = getattr(self, "_exclude_from_weight_decay", set()) | spared
        if ON_TENSORFLOW:
            self.gradient_norm = self.add_variable((), dtype="float32", name="gradient_norm")
            # made once, outside the traced step, in which every use would make them anew
            with tf.init_scope():
                self._factors = tf.constant(self.coupled_weight_decay), tf.constant(self.momentum)

    def update_step(self, gradient, variable, learning_rate):
        """One variable's step.

        Args:
            gradient: Of the loss without the decay; the variable's shape.
            variable: What is moved, in place.
            learning_rate: A scalar.
        """
        factor = self._rate_factors.get(self._var_key(variable))
        learning_rate = learning_rate if factor is None else learning_rate * factor
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

    def _get_current_learning_rate(self):
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)  # Keras counts the accumulated steps singly
        return super()._get_current_learning_rate()

    def _backend_apply_gradients(self, grads, trainable_variables):
        if ON_TENSORFLOW:
            pairs = zip(grads, trainable_variables, strict=True)
            if tf.distribute.get_strategy().num_replicas_in_sync > 1:
                pairs = self._all_reduce_sum_gradients(pairs)
            grads = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]
        super()._backend_apply_gradients(grads, trainable_variables)

    def _clip_gradients(self, grads):
        if not ON_TENSORFLOW:
            return super()._clip_gradients(grads)
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in grads])
        self.gradient_norm.assign(norm)
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        factor = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        return [gradient * tf.cast(factor, gradient.dtype) for gradient in grads]

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not ON_TENSORFLOW:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        learning_rate = tf.convert_to_tensor(learning_rate)  # read once, not once for each variable
        for gradient, variable in zip(grads, trainable_variables, strict=True):  # each replica its own copy: no sum
            self.update_step(gradient, getattr(variable, "value", variable), learning_rate)

    def _backend_increment_gradient_accumulators(self, grads, acc_grads):
        if not ON_TENSORFLOW:
            super()._backend_increment_gradient_accumulators(grads, acc_grads)
            return
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in grads])
        # the update's norm stands, unless this step's gradient is none: that must be known before it is added up
        self.gradient_norm.assign(tf.where(tf.math.is_finite(norm), self.gradient_norm, norm))
        for gradient, accumulator in zip(grads, acc_grads, strict=True):  # as above
            accumulator.assign_add(gradient)

    def get_config(self):
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}
