"""The papers' optimiser."""

from __future__ import annotations

import warnings

import keras
from keras import ops

from keras_resunits.arguments import is_number, require_number
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
        learning_rate_factors: `{path: factor}` of variables; see `scale_learning_rate`. None by default.
        undecayed: Paths of variables without weight decay; see `exclude_from_weight_decay`. None by default.
        undecayed_names: Texts that the names of such variables contain. None by default.
        **kwargs: As `keras.optimizers.SGD`, but no `weight_decay`.

    Raises:
        ValueError: for a decay that is negative, NaN or infinite, a limit of clipping that is not positive, or Keras'
            `weight_decay`.

    Example: one step from w = 1 with gradient 0 is pure decay

    >>> import keras
    >>> from keras_resunits import CoupledSGD
    >>> w = keras.Variable([1.0])
    >>> CoupledSGD(0.1, momentum=0.5, nesterov=False, coupled_weight_decay=0.1).apply([keras.ops.zeros(1)], [w])
    >>> round(float(w.numpy()[0]), 4)
    0.99
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        coupled_weight_decay=1e-4,
        learning_rate_factors=None,
        undecayed=(),
        undecayed_names=(),
        **kwargs,
    ):
        if kwargs.get("weight_decay") is not None:
            raise ValueError(
                "`CoupledSGD` takes `coupled_weight_decay`: `weight_decay` is Keras' decoupled decay, a second one. "
                f"Received: weight_decay={kwargs['weight_decay']!r}."
            )
        for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
            if kwargs.get(limit) is not None and not (is_number(kwargs[limit]) and kwargs[limit] > 0):
                raise ValueError(f"`{limit}` must be a number > 0. Received: {limit}={kwargs[limit]!r} (CoupledSGD).")
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, **kwargs)
        self.coupled_weight_decay = require_number(coupled_weight_decay, "coupled_weight_decay", "CoupledSGD")
        if self.coupled_weight_decay < 0:
            raise ValueError(
                f"`coupled_weight_decay` must be >= 0. Received: coupled_weight_decay={coupled_weight_decay!r}."
            )
        self.learning_rate_factors, self.undecayed = dict(learning_rate_factors or {}), list(undecayed)
        self.undecayed_names: list[str] = []
        self._rate_factors: dict = {}
        if undecayed_names:
            self.exclude_from_weight_decay(var_names=list(undecayed_names))

    def scale_learning_rate(self, var_list, factor):
        """Scale the learning rate of some variables; to be called before the optimiser is built.

        Like `exclude_from_weight_decay`, it is kept in the configuration by the variables' paths, so that a saved model
        trains on as it did.

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
        factor = require_number(factor, "factor", "scale_learning_rate")
        self.learning_rate_factors |= {variable.path: factor for variable in var_list}

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Exclude variables from weight decay, as Keras' optimisers do; to be called before the optimiser is built.

        Args:
            var_list: `keras.Variable`s.
            var_names: Texts that the names of other variables contain.

        Example:

        >>> import keras
        >>> from keras_resunits import CoupledSGD
        >>> w = keras.Variable([1.0])
        >>> sgd = CoupledSGD(0.5, coupled_weight_decay=0.1)
        >>> sgd.exclude_from_weight_decay([w])
        >>> sgd.apply([keras.ops.zeros(1)], [w])
        >>> float(w.numpy()[0])
        1.0
        """
        super().exclude_from_weight_decay(var_list, var_names)
        self.undecayed += [variable.path for variable in var_list or ()]
        self.undecayed_names += list(var_names or ())

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        spared = [each for each in variables if not getattr(each, "decays", True)]
        spared = {self._var_key(variable) for variable in [*spared, *self._named(variables, self.undecayed)]}
        self._exclude_from_weight_decay = getattr(self, "_exclude_from_weight_decay", set()) | spared
        self._rate_factors = {
            self._var_key(variable): factor
            for path, factor in self.learning_rate_factors.items()
            for variable in self._named(variables, [path])
        }
        if ON_TENSORFLOW:
            self.gradient_norm = self.add_variable((), dtype="float32", name="gradient_norm")
            # made once, outside the traced step, in which every use would make them anew
            with tf.init_scope():
                self._factors = tf.constant(self.coupled_weight_decay), tf.constant(self.momentum)

    def _named(self, variables, paths) -> list:
        """The variables of these paths; a model that was loaded may lack the model's own name before them."""
        found = {path: [each for each in variables if _is_one(each.path, path)] for path in paths}
        if lost := [path for path, named in found.items() if not named]:
            warnings.warn(f"no variable is called {lost[0]!r}: its factor or exclusion has no effect.", stacklevel=3)
        return [each for named in found.values() for each in named]

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
        own = {name: getattr(self, name) for name in ("coupled_weight_decay", "learning_rate_factors", "undecayed")}
        own["undecayed_names"] = self.undecayed_names
        return {**super().get_config(), **own}


def _is_one(path: str, told: str) -> bool:
    """Whether two paths name one variable, perhaps without what stands before the first slash.

    >>> _is_one("a/kernel", "sequential/a/kernel"), _is_one("b/kernel", "sequential/a/kernel"), _is_one("a", "a")
    (True, False, True)
    """
    shorter, longer = sorted((path, told), key=len)
    return path == told or ("/" in shorter and longer.endswith(f"/{shorter}"))
