"""The optimiser that the configuration asks for, with its rate over the run."""

from __future__ import annotations

import keras

from keras_resunits import CoupledSGD, fixup_scalars

from ..process.backend import tf
from .schedules import DROPS, cosine_schedule, one_cycle_schedule, steps_schedule


def schedule(config, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over `steps` updates.

    Args:
        config: Its `schedule`, `learning_rate`, `warm_up` and `drops` count.
        steps: Length of the run, in updates.
    """
    if config.schedule == "cosine":
        return cosine_schedule(config.learning_rate, steps, config.warm_up)
    if config.schedule == "one_cycle":
        return one_cycle_schedule(config.learning_rate, steps)
    return steps_schedule(config.learning_rate, steps, config.warm_up, config.drops or DROPS)


def optimizer(config, steps: int, model: keras.Model) -> keras.optimizers.Optimizer:
    """SGD as the configuration asks for; its loss is scaled where float16 needs it.

    Scalar gates do not decay (`CoupledSGD`). Fixup's scalars learn at a tenth of the rate (the authors' code,
    hongyi-zhang/Fixup).

    Args:
        config: The configuration.
        steps: Length of the run, in batches; `config.accumulate` of them make one update.
        model: Of which Fixup's scalars are taken; any network.
    """
    sgd = CoupledSGD(
        schedule(config, max(steps // config.accumulate, 1)),
        momentum=config.momentum,
        nesterov=config.nesterov,
        coupled_weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        gradient_accumulation_steps=config.accumulate if config.accumulate > 1 else None,
    )
    sgd.scale_learning_rate(fixup_scalars(model), 0.1)
    return LossScale(sgd) if config.precision == "mixed_float16" else sgd


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
