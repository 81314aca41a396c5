"""The papers' training recipe, scaled to the run's length."""

from __future__ import annotations

import keras

from keras_resunits import CoupledSGD, scalar_gates

WARM_UP = 400 / 64_000  # He et al. 2016: the first 400 of 64,000 steps, at a tenth of the rate
DROPS = (0.5, 0.75)  # at 32,000 and 48,000 steps, to a tenth and a hundredth


def schedule(learning_rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Warm-up, then two drops (He et al. 2016, sec. 3): 0.01, 0.1, 0.01, 0.001 for a rate of 0.1.

    Args:
        learning_rate: The rate after the warm-up.
        steps: Length of the run.

    Example:

    >>> rate = schedule(0.1, steps=64_000)
    >>> [round(float(rate(step)), 4) for step in (0, 399, 400, 31_999, 32_000, 48_000)]
    [0.01, 0.01, 0.1, 0.1, 0.01, 0.001]
    """
    boundaries = [round(fraction * steps) - 1 for fraction in (WARM_UP, *DROPS)]  # Keras counts the boundary in
    factors = (0.1, 1.0, 0.1, 0.01)
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [learning_rate * f for f in factors])


def optimizer(config, steps: int, model: keras.Model) -> keras.optimizers.Optimizer:
    """SGD as the configuration asks for; its loss is scaled where float16 needs it.

    Residual gates do not decay (Savarese et al. 2016, Table 3: better so).
    """
    sgd = CoupledSGD(
        schedule(config.learning_rate, steps),
        momentum=config.momentum,
        nesterov=config.nesterov,
        coupled_weight_decay=config.weight_decay,
    )
    sgd.exclude_from_weight_decay(var_list=[gate.k for gates in scalar_gates(model).values() for gate in gates])
    return keras.optimizers.LossScaleOptimizer(sgd) if config.precision == "mixed_float16" else sgd
