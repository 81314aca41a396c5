"""Gradients with respect to the input as noise: how fast they decorrelate with depth (Balduzzi et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from keras.layers import ReLU

from keras_resunits.analysis.chains import Chain, chain_of
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished
from keras_resunits.analysis.inside import outputs_of
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.arguments import (
    checked,
    require_function,
    require_index,
    require_maker,
    require_network,
    require_positive_int,
)
from keras_resunits.layers.arrays import array
from keras_resunits.layers.centering import Centering
from keras_resunits.layers.modes import in_mode
from keras_resunits.layers.pullback import pullback
from keras_resunits.layers.redrawing import redraw
from keras_resunits.units.unit import Unit

POINTS, EDGE = 256, 2.0
"""Points on the line through the input, and where they end on both sides."""


@dataclass(frozen=True, repr=False)
class Shattering(Record):
    """What `shattering` returns: a row for each depth.

    Args:
        rows, arrays: `variance`, the mean square of the gradient at the first unit over that at the end; `correlation`
            of the gradients of two inputs, the mean of all pairs; `autocorrelation`, of neighbours on the line; and
            `coactivation`, the share of rectifiers that are open for both inputs of a pair. `expected_variance` and
            `expected_correlation` are the closed forms; NaN, `None` in rows, where there is none.
            `arrays["gradients"]` is `[depth, run, point]`.
    """

    def plot(self, ax=None):
        """Draw the correlation of all pairs over the depth, its closed form, and the autocorrelation.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        depths = self.arrays["depth"]
        for name, label, style, colour in (
            ("correlation", "correlation, all pairs", "-o", COLOURS[0]),
            ("expected_correlation", "its closed form", "--", COLOURS[0]),
            ("autocorrelation", "autocorrelation, neighbours", "-o", COLOURS[1]),
        ):
            ax.plot(depths, self.arrays[name], style, color=colour, label=label, markersize=4)
        return finished(ax, "Correlation of gradients with respect to the input", "depth", "correlation")


@checked(
    network_of_depth=require_function,
    norm=require_maker,
    runs=require_positive_int,
    seed=require_index,
)
def shattering(
    network_of_depth: Callable[[int, Callable], keras.Model],
    depths: Sequence[int],
    norm: Callable[..., keras.layers.Layer] = Centering,
    runs: int = 20,
    seed: int = 0,
) -> Shattering:
    """Measure how the gradients of untrained networks with respect to their input decorrelate with depth.

    256 points on a line through the input, from -2 to 2, form the batch. In each run the weights are drawn again, and a
    random projection of the last unit's output is differentiated along the line. Statistics of norms are those of the
    points, and are held in the gradient, as at inference.

    The closed forms are those of Balduzzi et al. 2017, Theorems 1 and 2, for `n` units of `m` layers: in plain networks
    the correlation is `2^-nm`; in residual ones it is `((1 + 2^-m) / 2)^n`, and the variance `2^n`. **Their premise is
    that a quarter of the rectifiers is open for both inputs of a pair.** Centring provides it: `Centering`, or batch
    normalisation. Without it the co-activation tends to a half, and gradients of neighbours stay correlated: compare
    `coactivation` with 1/4 first. Batch normalisation also divides, so it has another variance. The units must begin
    with norm and rectifier, and the stem must have none (`PreActBranch`), else there is a rectifier more.

    Args:
        network_of_depth: `(depth, norm) -> network`, with its classifier. Its initialisers must have no seed.
        depths: Depths to measure, positive ints.
        norm: What `network_of_depth` is to normalise with: makes a layer from a `name`. Defaults to `Centering`;
            `kr.no_norm` shows what is lost without.
        runs: Draws of the weights, at least 2. Defaults to 20.
        seed: Seed of the draws. Defaults to 0. It sets Keras' global seed.

    Raises:
        ValueError: if there are no depths, `runs` is 1, a result of `network_of_depth` is not a network of the package
            with a classifier, or its input has sides of any size.

    Example: the networks of the theorems, residual

    >>> import keras_resunits as kr
    >>> def residual(depth, norm):
    ...     return kr.FullyConnectedResNet(
    ...         depth, input_shape=(1, 1, 1), classes=1, filters=50, layers=1, order=kr.PreActBranch(norm=norm)
    ...     )
    >>> row = kr.analysis.shattering(residual, [2], runs=2).rows[0]
    >>> row["expected_variance"], row["expected_correlation"]
    (4.0, 0.5625)
    """
    depths = require_positive_int.each(depths, "depths", "shattering")
    if not depths or runs < 2:
        raise ValueError(
            "`shattering` requires at least one depth and two runs, since a correlation is over runs. Received: "
            f"depths={depths}, runs={runs}."
        )
    keras.utils.set_random_seed(seed)
    found = [_of_depth(network_of_depth(depth, norm), runs, np.random.default_rng(seed)) for depth in depths]
    columns = {name: np.array([each[name] for each in found]) for name in found[0] if name != "gradients"}
    rows = rows_of([str(depth) for depth in depths], "depth", **columns)
    gradients = np.stack([each["gradients"] for each in found])
    return Shattering(rows, {"depth": np.array(depths), **columns, "gradients": gradients})


class Drawn(NamedTuple):
    """Of one draw of the weights: the gradient along the line, its growth over the units, and the co-activation."""

    gradient: np.ndarray
    growth: float
    coactivation: float


def _of_depth(model: keras.Model, runs: int, rng: np.random.Generator) -> dict:
    chain = chain_of(require_network(model, "network_of_depth(depth, norm)", "shattering"), "shattering")
    shape = chain.model.inputs[0].shape[1:]
    if None in shape:
        raise ValueError(f"`shattering` requires inputs of a fixed size. Received: '{model.name}' of {tuple(shape)}.")
    draws = []
    for _ in progress(range(runs), f"shattering: run of '{model.name}'"):
        redraw(model)
        way = rng.normal(size=shape)
        draws.append(_drawn(chain, (way / np.linalg.norm(way)).astype("float32"), rng))
    gradients = np.stack([draw.gradient for draw in draws])
    units, layers = len(chain.units), len(_weights(chain.units[0]))
    plain = all(unit.merge.drops_carry for unit in chain.units)
    return {
        "variance": float(np.mean([draw.growth for draw in draws])),
        "expected_variance": 1.0 if plain else 2.0**units,
        "correlation": _correlation(gradients),
        "expected_correlation": 2.0 ** -(units * layers) if plain else ((1 + 2.0**-layers) / 2) ** units,
        "autocorrelation": float(np.mean([_autocorrelation(each) for each in gradients])),
        "coactivation": float(np.mean([draw.coactivation for draw in draws])),
        "gradients": gradients,
    }


def _drawn(chain: Chain, way: np.ndarray, rng: np.random.Generator) -> Drawn:
    steps = np.linspace(-EDGE, EDGE, POINTS, dtype="float32").reshape(-1, *[1] * way.ndim)
    points = ops.convert_to_tensor(steps * way)
    _settle(chain.model, points)
    return in_mode(False, lambda x: _evaluated(chain, x, way, rng), points)


def _evaluated(chain: Chain, points, way: np.ndarray, rng: np.random.Generator) -> Drawn:
    (first,), of_stem = pullback(lambda x: (chain.before(x),), points)
    (last,), of_units = pullback(lambda x: (_through(chain.units, x),), first)
    at_end = ops.convert_to_tensor(np.broadcast_to(rng.normal(size=last.shape[1:]), last.shape).astype("float32"))
    (at_first,) = of_units(at_end)
    (at_input,) = of_stem(at_first)
    return Drawn(
        (array(at_input) * way).reshape(POINTS, -1).sum(1),
        float(np.square(array(at_first)).mean() / np.square(array(at_end)).mean()),
        _coactivation(chain, first),
    )


def _coactivation(chain: Chain, x) -> float:
    """Return the share of the units' rectifiers that are open for both points of a pair; NaN without rectifiers."""
    rectifiers = [layer for unit in chain.units for layer in unit._flatten_layers() if isinstance(layer, ReLU)]
    with ExitStack() as recording:
        recorded = [recording.enter_context(outputs_of(layer)) for layer in rectifiers]
        _through(chain.units, x)
    shares = [(array(output).reshape(POINTS, -1) > 0).mean(0) for outputs in recorded for output in outputs]
    return float(np.mean([np.square(share).mean() for share in shares])) if shares else float("nan")


def _through(units: Sequence[Unit], x):
    for unit in units:
        x = unit(x)
    return x


def _settle(model: keras.Model, points) -> None:
    """Set the statistics of all norms to those of the points."""
    norms = [layer for layer in model._flatten_layers() if hasattr(layer, "moving_mean")]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        model(points, training=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _weights(unit: Unit) -> list[keras.layers.Layer]:
    """Return the layers of a unit's branch that count towards its depth."""
    return [layer for layer in unit.branch._flatten_layers() if hasattr(layer, "kernel")]


def _correlation(gradients: np.ndarray) -> float:
    """Return the mean correlation over runs of the gradients of two points, `[run, point]`.

    >>> round(_correlation(np.array([[1.0, 2.0], [-1.0, -2.0]])), 6)
    1.0
    """
    covariance = gradients.T @ gradients
    deviations = np.sqrt(np.diag(covariance))
    pairs = ~np.eye(len(covariance), dtype=bool)
    with np.errstate(invalid="ignore"):  # a gradient that is 0 in all runs
        return float(np.nanmean((covariance / np.outer(deviations, deviations))[pairs]))


def _autocorrelation(gradient: np.ndarray) -> float:
    """Return the correlation of neighbours on the line, about 0, which is the mean over draws.

    >>> _autocorrelation(np.array([1.0, -1.0, 1.0])), _autocorrelation(np.ones(3))
    (-1.0, 1.0)
    """
    power = np.square(gradient).mean()
    return float((gradient[1:] * gradient[:-1]).mean() / power) if power > 0 else float("nan")
