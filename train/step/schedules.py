"""Learning-rate schedules, as Keras schedules, so that they are saved with the optimiser."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from ..settings.sections import DROP_FACTOR, DROPS

WARM_UP = 400 / 64_000  # He et al. 2016: the first 400 of 64,000 steps, at a tenth of the rate
COSINE_WARM_UP = 5 / 90  # Goyal et al. 2017, sec. 2.2: the first 5 of 90 epochs
CYCLE = (0.0, 0.45, 0.9, 1.0)  # Smith 2018: up and down in equal times, then a final descent below the initial rate
CYCLE_RATES = (0.1, 1.0, 0.1, 0.001)  # "a factor of 10 or 20" below the peak, then orders of magnitude below that


def steps_schedule(
    learning_rate: float,
    steps: int,
    warm_up: float | None = None,
    drops: Sequence[float] = DROPS,
    factor: float = DROP_FACTOR,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A warm-up at a tenth of the rate, then the rate, multiplied by a factor after each drop.

    With the defaults, He et al. 2016, sec. 3: 0.01, 0.1, 0.01, 0.001 for a rate of 0.1.

    Args:
        learning_rate: The rate after the warm-up.
        steps: Number of updates in the run.
        warm_up: Fraction of the run at a tenth of the rate; 400/64,000 by default, 0 for none.
        drops: Fractions of the run after which the rate falls; a half and three quarters by default.
        factor: The factor of the rate at each drop; 0.1 by default.

    Example:

    >>> rate = steps_schedule(0.1, steps=64_000)
    >>> [round(float(rate(step)), 4) for step in (0, 399, 400, 31_999, 32_000, 48_000)]
    [0.01, 0.01, 0.1, 0.1, 0.01, 0.001]
    """
    fractions = (WARM_UP if warm_up is None else warm_up, *drops)
    boundaries = [round(fraction * steps) - 1 for fraction in fractions]  # Keras includes the boundary
    factors = (0.1, *((1 / factor) ** -i for i in range(len(fractions))))  # 10.0**-i: 0.1**i is not exact
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [learning_rate * f for f in factors])


def cosine_schedule(
    learning_rate: float, steps: int, warm_up: float | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A linear warm-up from zero, then half a cosine to zero (Loshchilov and Hutter 2017, eq. 5, without restarts).

    Args:
        learning_rate: The rate at the end of the warm-up.
        steps: Number of updates in the run.
        warm_up: Fraction of the run that the warm-up takes; 5/90 by default (Goyal et al. 2017), 0 for none.

    Example: half of the rate in the middle of the descent.

    >>> rate = cosine_schedule(0.1, steps=900)
    >>> [round(float(rate(step)), 4) for step in (0, 25, 50, 475, 900)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """
    risen = round(steps * (COSINE_WARM_UP if warm_up is None else warm_up))
    if not risen:
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - risen, 1), warmup_target=learning_rate, warmup_steps=risen
    )


def one_cycle_schedule(learning_rate: float, steps: int) -> PiecewiseLinear:
    """Linear from a tenth of the rate up to it, down again in equal time, then to a thousandth (Smith 2018, "1cycle").

    Momentum stays constant, whereas Smith lowers it while the rate is high.

    Args:
        learning_rate: The highest rate.
        steps: Number of updates in the run: 45 % rise, 45 % fall, and 10 % descend below the initial rate.

    Example:

    >>> rate = one_cycle_schedule(1.0, steps=1000)
    >>> [round(float(rate(step)), 4) for step in (0, 225, 450, 900, 950, 1000)]
    [0.1, 0.55, 1.0, 0.1, 0.0505, 0.001]
    """
    return PiecewiseLinear([part * steps for part in CYCLE], [learning_rate * part for part in CYCLE_RATES])


@keras.saving.register_keras_serializable(package="keras_resunits.train")
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is linear between knots, and constant before the first and after the last.

    Args:
        knots: Steps, in ascending order.
        rates: The rate at each knot.

    Example:

    >>> rate = PiecewiseLinear([10, 20], [1.0, 3.0])
    >>> [float(rate(step)) for step in (0, 10, 15, 20, 99)]
    [1.0, 1.0, 2.0, 3.0, 3.0]
    """

    def __init__(self, knots: Sequence[float], rates: Sequence[float]):
        super().__init__()
        self.knots, self.rates = [float(knot) for knot in knots], [float(rate) for rate in rates]
        if len(knots) != len(rates) or any(b <= a for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError(f"`knots` must be ascending, one for each rate. Received: knots={knots}, rates={rates}.")

    def __call__(self, step):
        begin, end = ops.array(self.knots[:-1]), ops.array(self.knots[1:])
        passed = ops.clip((ops.cast(step, begin.dtype) - begin) / (end - begin), 0.0, 1.0)  # [knots - 1]
        rises = [after - before for before, after in zip(self.rates, self.rates[1:], strict=False)]
        return self.rates[0] + ops.sum(passed * ops.array(rises))

    def get_config(self):
        return {"knots": self.knots, "rates": self.rates}
