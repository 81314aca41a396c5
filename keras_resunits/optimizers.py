"""The optimisers of the papers: SGD and Nadam, with coupled weight decay."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import keras
from keras import ops

from keras_resunits.arguments import (
    instance_of,
    require_bool,
    require_function,
    require_not_negative,
    require_number,
    require_positive_number,
    require_rate,
    require_text,
)
from keras_resunits.layers.backend import ON_TENSORFLOW, tf
from keras_resunits.layers.serialization import register

require_mapping = instance_of(Mapping, "a mapping")


class _Coupled(keras.optimizers.Optimizer):
    """What the optimisers below share: coupled weight decay, factors of the rate, and steps as if on one device."""

    def __init__(
        self, learning_rate, *, coupled_weight_decay, learning_rate_factors, undecayed, undecayed_names, **kwargs
    ):
        title = type(self).__name__
        if kwargs.get("weight_decay") is not None:
            raise ValueError(
                f"`{title}` takes `coupled_weight_decay`, not Keras' decoupled `weight_decay`. "
                f"Received: weight_decay={kwargs['weight_decay']!r}."
            )
        for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
            require_positive_number.or_none(kwargs.get(limit), limit, title)
        if callable(learning_rate):
            require_function(learning_rate, "learning_rate", title)
        super().__init__(learning_rate, **kwargs)
        self.coupled_weight_decay = require_not_negative(coupled_weight_decay, "coupled_weight_decay", title)
        factors = require_mapping.or_none(learning_rate_factors, "learning_rate_factors", title) or {}
        self.learning_rate_factors = {
            path: require_number(factor, f"learning_rate_factors[{path!r}]", title) for path, factor in factors.items()
        }
        self.undecayed = list(require_text.each(undecayed, "undecayed", title))
        self.undecayed_names: list[str] = []
        self._rate_factors: dict = {}
        if names := list(require_text.each(undecayed_names, "undecayed_names", title)):
            self.exclude_from_weight_decay(var_names=names)

    def scale_learning_rate(self, var_list, factor):
        """Multiply the learning rate of some variables by a factor; to be called before the optimiser is built.

        Like the exclusions from weight decay, the factors are part of the configuration, by the paths of the variables.
        A saved model therefore continues training with them.

        Args:
            var_list: A list of `keras.Variable`s.
            factor: A float; 0.1 for Fixup's scalars (the authors' code, hongyi-zhang/Fixup).

        Raises:
            ValueError: if the optimiser is already built.

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
            raise ValueError(
                "`scale_learning_rate` requires an optimiser that is not built yet. Received: a built one."
            )
        factor = require_number(factor, "factor", "scale_learning_rate")
        self.learning_rate_factors |= {variable.path: factor for variable in var_list}

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Exclude variables from weight decay, as in Keras; to be called before the optimiser is built.

        Args:
            var_list: A list of `keras.Variable`s.
            var_names: Strings that the names of other variables contain.

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

    def _named(self, variables, paths) -> list:
        """Return the variables of these paths; in a loaded model, paths may lack the name of the model in front."""
        found = {path: [each for each in variables if _is_one(each.path, path)] for path in paths}
        if lost := [path for path, named in found.items() if not named]:
            warnings.warn(f"no variable has the path {lost[0]!r}: its factor or exclusion has no effect.", stacklevel=3)
        return [each for named in found.values() for each in named]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable.

        Args:
            gradient: Gradient of the loss without weight decay, in the shape of the variable.
            variable: The variable, updated in place.
            learning_rate: A scalar.
        """
        if self._use_weight_decay(variable):
            gradient = gradient + self.coupled_weight_decay * ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, self._rate_of(variable, learning_rate))

    def _rate_of(self, variable, learning_rate):
        """Return the learning rate of one variable."""
        factor = self._rate_factors.get(self._var_key(variable))
        return learning_rate if factor is None else learning_rate * factor

    def _get_current_learning_rate(self):
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)  # Keras counts every accumulated step
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
        learning_rate = tf.convert_to_tensor(learning_rate)  # read once, not for each variable
        for gradient, variable in zip(grads, trainable_variables, strict=True):  # each replica its own copy: no sum
            self.update_step(gradient, getattr(variable, "value", variable), learning_rate)

    def _backend_increment_gradient_accumulators(self, grads, acc_grads):
        if not ON_TENSORFLOW:
            super()._backend_increment_gradient_accumulators(grads, acc_grads)
            return
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in grads])
        # keep the update's norm unless this gradient is NaN or infinite, which must be known before it is accumulated
        self.gradient_norm.assign(tf.where(tf.math.is_finite(norm), self.gradient_norm, norm))
        for gradient, accumulator in zip(grads, acc_grads, strict=True):  # as above
            accumulator.assign_add(gradient)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("coupled_weight_decay", "learning_rate_factors", "undecayed")}
        own["undecayed_names"] = self.undecayed_names
        return {**super().get_config(), **own}


@register
class CoupledSGD(_Coupled, keras.optimizers.SGD):
    """SGD with momentum and *coupled* weight decay, as in the papers and in Torch:

        g  = gradient + weight_decay * w
        m  = momentum * m - learning_rate * g
        w += m                                           (plain)
        w += momentum * m - learning_rate * g            (Nesterov)

    Keras' own `weight_decay` is decoupled: it shrinks `w` outside the momentum. Coupled weight decay equals an L2
    penalty of `weight_decay / 2` on every variable, including norms and biases (fb.resnet.torch decays all of them).
    Variables passed to `exclude_from_weight_decay` before the optimiser is built do not decay. Nor do the scalars of
    `ScalarGate`, which is better according to Savarese et al. 2016, Table 3.

    `global_clipnorm` and `gradient_accumulation_steps` are those of Keras, with two fixes. On TensorFlow, gradients are
    summed over the replicas of a strategy before they are clipped and accumulated. Several devices then take the same
    step as one. And a schedule counts updates, not the steps that are accumulated.

    Attributes:
        gradient_norm: On TensorFlow, the global norm of the last update's gradient, a float32 scalar variable. It is
            the norm after the sum over replicas and the mean over accumulated steps, before clipping and without weight
            decay. It becomes NaN or infinite as soon as the gradient of an accumulated step is.

    Args:
        learning_rate: A float or a `keras.optimizers.schedules.LearningRateSchedule`. Defaults to 0.1.
        momentum: The momentum. Defaults to 0.9.
        nesterov: Whether to use Nesterov momentum. Defaults to `True`, as in the authors' Torch code.
        coupled_weight_decay: The coupled weight decay. Defaults to 1e-4.
        learning_rate_factors: `{path: factor}` of variables; see `scale_learning_rate`. Defaults to none.
        undecayed: Paths of variables without weight decay; see `exclude_from_weight_decay`. Defaults to none.
        undecayed_names: Strings that the names of other variables without weight decay contain. Defaults to none.
        **kwargs: Keyword arguments of `keras.optimizers.SGD`, except `weight_decay`.

    Raises:
        ValueError: if the weight decay is negative, NaN or infinite, a limit of clipping is not positive, or Keras'
            `weight_decay` is given.

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
        super().__init__(
            learning_rate,
            momentum=momentum,
            nesterov=require_bool(nesterov, "nesterov", "CoupledSGD"),
            coupled_weight_decay=coupled_weight_decay,
            learning_rate_factors=learning_rate_factors,
            undecayed=undecayed,
            undecayed_names=undecayed_names,
            **kwargs,
        )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        if ON_TENSORFLOW:
            # created once, outside the traced step, where every use would create them again
            with tf.init_scope():
                self._factors = tf.constant(self.coupled_weight_decay), tf.constant(self.momentum)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable; see `Optimizer.update_step`."""
        if not (ON_TENSORFLOW and self.momentum):
            super().update_step(gradient, variable, learning_rate)
            return
        # One kernel for the three equations: training of a network of 500 variables starts seconds earlier.
        decay, momentum = (tf.cast(factor, variable.dtype) for factor in self._factors)
        gradient = tf.cast(gradient, variable.dtype)
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(self._rate_of(variable, learning_rate), variable.dtype),
            grad=gradient + decay * variable if self._use_weight_decay(variable) else gradient,
            momentum=momentum,
            use_nesterov=self.nesterov,
        )


@register
class CoupledNadam(_Coupled, keras.optimizers.Nadam):
    """Keras' Nadam with coupled weight decay, which is added to the gradient: an L2 penalty.

    Nadam (Dozat 2016) is the optimiser of Savarese et al. 2016 on MNIST, at a constant rate of 0.002. Its first decay
    rate rises as `beta_1 * (1 - 0.96**step / 2)`. That of Keras in 2016 rose 250 times as slowly.

    Weight decay, clipping, accumulation, `gradient_norm`, the exclusions and the factors of the learning rate are those
    of `CoupledSGD`.

    Args:
        learning_rate: A float or a `keras.optimizers.schedules.LearningRateSchedule`. Defaults to 0.002.
        beta_1: Decay rate of the mean gradient. Defaults to 0.9.
        beta_2: Decay rate of the mean square of the gradient. Defaults to 0.999.
        coupled_weight_decay: The coupled weight decay. Defaults to 1e-4.
        learning_rate_factors: As for `CoupledSGD`.
        undecayed: As for `CoupledSGD`.
        undecayed_names: As for `CoupledSGD`.
        **kwargs: Keyword arguments of `keras.optimizers.Nadam`, except `weight_decay`.

    Raises:
        ValueError: as for `CoupledSGD`.

    Example: the first step is about as long as the learning rate, whatever the gradient's scale

    >>> import keras
    >>> from keras_resunits import CoupledNadam
    >>> w = keras.Variable([1.0])
    >>> CoupledNadam(0.01, coupled_weight_decay=0.0).apply([keras.ops.array([1000.0])], [w])
    >>> 0.98 < float(w.numpy()[0]) < 0.99
    True
    """

    def __init__(
        self,
        learning_rate=0.002,
        beta_1=0.9,
        beta_2=0.999,
        coupled_weight_decay=1e-4,
        learning_rate_factors=None,
        undecayed=(),
        undecayed_names=(),
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            beta_1=require_rate(beta_1, "beta_1", "CoupledNadam"),
            beta_2=require_rate(beta_2, "beta_2", "CoupledNadam"),
            coupled_weight_decay=coupled_weight_decay,
            learning_rate_factors=learning_rate_factors,
            undecayed=undecayed,
            undecayed_names=undecayed_names,
            **kwargs,
        )

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if ON_TENSORFLOW:  # where the base class replaces Keras' method, which begins with this product
            step = ops.cast(self.iterations + 1, self._u_product.dtype)
            self.assign(self._u_product, self._u_product * self.beta_1 * (1.0 - 0.5 * ops.power(0.96, step)))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def assign(self, variable, value):
        """Assign a value to a variable, or to this replica's copy of it."""
        if not ON_TENSORFLOW:
            super().assign(variable, value)
            return
        variable = variable.value if isinstance(variable, keras.Variable) else variable
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=tf.cast(value, variable.dtype))

    def assign_add(self, variable, value):
        """Add a value to a variable, or to this replica's copy of it."""
        self.assign(variable, variable + ops.cast(value, variable.dtype))

    def assign_sub(self, variable, value):
        """Subtract a value from a variable, or from this replica's copy of it."""
        self.assign(variable, variable - ops.cast(value, variable.dtype))


def _is_one(path: str, told: str) -> bool:
    """Whether two paths denote one variable, one of them possibly without leading parts.

    >>> _is_one("a/kernel", "sequential/a/kernel"), _is_one("b/kernel", "sequential/a/kernel"), _is_one("a", "a")
    (True, False, True)
    """
    shorter, longer = sorted((path, told), key=len)
    return path == told or ("/" in shorter and longer.endswith(f"/{shorter}"))
