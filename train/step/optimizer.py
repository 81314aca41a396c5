"""The optimiser that the configuration specifies, with its learning-rate schedule."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_resunits import CoupledNadam, CoupledSGD, fixup_scalars

from ..process.backend import tf
from ..process.errors import BadInput, first_line
from ..settings.sections import DROP_FACTOR, Recipe
from .parts import rate_factors
from .schedules import DROPS, cosine_schedule, one_cycle_schedule, steps_schedule


def schedule(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over `steps` updates.

    Args:
        recipe: Its `schedule`, `learning_rate`, `warm_up`, `drops` and `drop_factor` are used.
        steps: Number of updates in the run.

    Raises:
        BadInput: if an object is no schedule.
    """
    if not isinstance(recipe.schedule, str):
        return _own_schedule(recipe.schedule, recipe.learning_rate, steps)
    if recipe.schedule == "cosine":
        return cosine_schedule(recipe.learning_rate, steps, recipe.warm_up)
    if recipe.schedule == "one_cycle":
        return one_cycle_schedule(recipe.learning_rate, steps)
    factor = DROP_FACTOR if recipe.drop_factor is None else recipe.drop_factor
    return steps_schedule(recipe.learning_rate, steps, recipe.warm_up, recipe.drops or DROPS, factor)


def _own_schedule(chosen: Any, rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A schedule of the user's: itself, or what a function `(learning_rate, updates)` makes."""
    kind = keras.optimizers.schedules.LearningRateSchedule
    made = chosen if isinstance(chosen, kind) else _called("schedule", chosen, rate, steps)
    return _of_kind("schedule", made, kind)


def _own_optimizer(chosen: Any, rate: Any) -> keras.optimizers.Optimizer:
    """An optimiser of the user's: itself, with its own rate, or what a function of the rate makes."""
    made = chosen if isinstance(chosen, keras.optimizers.Optimizer) else _called("optimizer", chosen, rate)
    return _of_kind("optimizer", made, keras.optimizers.Optimizer)


def _called(option: str, function: Any, *arguments: Any) -> Any:
    if not callable(function):
        raise BadInput(f"--{option} must be a function or a Keras {option}; got {function!r}.")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        told = "(learning_rate)" if len(arguments) == 1 else "(learning_rate, updates)"
        raise BadInput(f"--{option}: {function!r} must take {told}: {error}.") from None
    try:
        return function(*arguments)
    except Exception as error:  # whatever it raises
        raise BadInput(f"--{option}: {function!r}: {type(error).__name__}: {first_line(error)}.") from error


def _of_kind(option: str, made: Any, kind: type) -> Any:
    if not isinstance(made, kind):
        raise BadInput(f"--{option} must make a Keras {kind.__name__}; got {type(made).__name__}.")
    return made


def optimizer(recipe: Recipe, steps: int, model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimiser that the recipe specifies, with loss scaling where the model computes in float16.

    Scalar gates have no weight decay (`CoupledSGD`). Fixup's scalars have a tenth of the learning rate (the authors'
    code, hongyi-zhang/Fixup), besides the factors of `recipe.rates`.

    Args:
        recipe: How to train.
        steps: Number of batches in the run; `recipe.accumulate` of them make one update.
        model: The network to train.

    Raises:
        BadInput: if an object is no optimiser, or the network requires one of the package's.
    """
    rate = schedule(recipe, max(steps // recipe.accumulate, 1))
    if recipe.optimizer is not None and not isinstance(recipe.optimizer, str):
        if any(weight.trainable for weight in fixup_scalars(model)):
            raise BadInput("Fixup's scalars require a tenth of the rate, which only --optimizer=sgd and nadam give.")
        own = _own_optimizer(recipe.optimizer, rate)
        return LossScale(own) if _in_float16(model) else own
    shared: dict[str, Any] = {
        "learning_rate": rate,
        "coupled_weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip_norm,
        "gradient_accumulation_steps": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    made: CoupledNadam | CoupledSGD
    if recipe.optimizer == "nadam":
        made = CoupledNadam(beta_1=recipe.momentum, **shared)
    else:
        made = CoupledSGD(momentum=recipe.momentum, nesterov=recipe.nesterov, **shared)
    scalars = {weight.path: 0.1 for weight in fixup_scalars(model) if weight.trainable}
    parts = rate_factors(model, recipe.factors)
    made.learning_rate_factors |= {path: scalars.get(path, 1.0) * parts.get(path, 1.0) for path in {**scalars, **parts}}
    return LossScale(made) if _in_float16(model) else made


def _in_float16(model: keras.Model) -> bool:
    """Whether a network or a layer of it computes in float16; a file's model does not tell by itself."""
    return any(layer.compute_dtype == "float16" for layer in model._flatten_layers())


@keras.saving.register_keras_serializable(package="keras_resunits.train")
class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, which skips a step if the gradient of *any* replica overflows.

    Keras checks only the first replica, or lets each replica decide for itself; an infinite gradient of another one
    would reach the weights.

    Example: a step that overflows is skipped and halves the scale.

    >>> optimizer, variable = LossScale(keras.optimizers.SGD(0.5), initial_scale=8.0), keras.Variable([1.0])
    >>> for gradient in (float("inf"), 4.0):
    ...     optimizer.apply([tf.constant([gradient])], [variable])
    >>> float(optimizer.dynamic_scale.numpy()), float(variable.numpy()[0])
    (4.0, 0.5)
    """

    def check_finite(self, grads):
        """Whether all gradients of all replicas are finite, as a boolean scalar."""
        overflown = tf.cast(tf.logical_not(super().check_finite(grads)), tf.float32)
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, overflown) == 0.0
