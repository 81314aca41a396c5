"""What pruning costs and gains on the way: accuracy and latency as units are dropped one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import keras
import numpy as np

from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished
from keras_resunits.analysis.records import Record
from keras_resunits.arguments import checked, require_network, require_positive_int, require_text
from keras_resunits.surgery.chains import take_apart
from keras_resunits.surgery.costs import Cost, costs
from keras_resunits.surgery.pruning import require_examples
from keras_resunits.surgery.rearranging import drop, require_removable
from keras_resunits.units.unit import units_of

TUNED = "tuned"
"""The name of the network that was trained on."""


@dataclass(frozen=True, repr=False)
class PruningCurve(Record):
    """What `pruning_curve` returns: a row for each network.

    Args:
        rows, arrays: The `network`, the number of `dropped` units, and what `Cost` has: `units`, `parameters`,
            `multiply_adds`, `latency` in seconds, and `accuracy`, a share in [0, 1]. `multiply_adds` that are not known
            are NaN, `None` in rows.
        costs: The same as records.
    """

    costs: tuple[Cost, ...] = ()

    def plot(self, ax=None):
        """Draw the accuracy and, on the axis at the right, the latency over the number of dropped units.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes of the accuracy.
        """
        ax = axes_or_new(ax)
        right = ax.twinx()
        finished(ax, "Units dropped, least important first", "units dropped", "accuracy, %", legend=False)
        finished(right, "", "", "latency, ms", legend=False)
        right.grid(False)
        tuned = np.array([row["network"] == TUNED for row in self.rows])
        lines = []
        for axes, name, factor, colour in ((ax, "accuracy", 100, COLOURS[0]), (right, "latency", 1000, COLOURS[1])):
            x, y = self.arrays["dropped"], factor * self.arrays[name]
            lines += axes.plot(x[~tuned], y[~tuned], marker=".", color=colour, label=name)
            if tuned.any():
                lines += axes.plot(x[tuned], y[tuned], "*", markersize=11, color=colour, label=f"{name}, trained on")
            axes.yaxis.label.set_color(colour)
            axes.set_ylim(bottom=0)
        ax.legend(handles=lines, fontsize=8, frameon=False, loc="lower left")
        return ax


@checked(model=require_network, dropped=require_text.each, tuned=require_network.or_none, points=require_positive_int)
def pruning_curve(
    model: keras.Model,
    dropped: Sequence[str],
    images,
    labels,
    tuned: keras.Model | None = None,
    points: int = 10,
) -> PruningCurve:
    """Measure accuracy and latency as units are dropped one after the other.

    Latencies are those of up to 256 images, medians of 7 turns that the networks take one after the other.

    Args:
        model: A network of the package with its classifier; it does not change.
        dropped: The units to drop, in this order: `dropped` of `prune`, or an order of `analysis.removal`.
        images: Images `[images, height, width, channels]` as the model takes them.
        labels: Their classes, ints `[images]`.
        tuned: The last network after training on, to measure as well: without the dropped units, with the same inputs
            and outputs. Defaults to `None`.
        points: The most networks to measure between `model` and the last one, which is included. Defaults to 10.

    Raises:
        ValueError: if a unit is unknown, changes the shape or is named twice, or the model, `tuned`, the images or the
            labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> model = kr.PreActResNet(depth=14)
    >>> pruned = kr.surgery.prune(model, "ratio", keep=4, images=images, labels=labels)
    >>> curve = kr.surgery.pruning_curve(model, pruned.dropped, images, labels)
    >>> [(row["dropped"], row["units"]) for row in curve.rows]
    [(0, 6), (1, 5), (2, 4)]
    """
    parts = take_apart(model)
    for name in dropped:
        require_removable(parts, name)
        if dropped.count(name) > 1:
            raise ValueError(f"`dropped` must name each unit once. Received: '{name}' twice (pruning_curve).")
    images, labels = require_examples(model, parts, images, labels, "pruning_curve")
    counts = sorted({round(each) for each in np.linspace(0, len(dropped), points + 1)})
    models = {"whole": model} | {f"-{n}": drop(model, *dropped[:n]) for n in counts[1:]}
    if tuned is not None:
        _require_tuned(tuned, list(models.values())[-1])
        models[TUNED], counts = tuned, [*counts, len(dropped)]
    found = tuple(costs(models, images, labels))
    rows = [{"network": cost.network, "dropped": n, **asdict(cost)} for n, cost in zip(counts, found, strict=True)]
    columns = [name for name in rows[0] if name != "network"]
    return PruningCurve(rows, {name: np.array([row[name] for row in rows], float) for name in columns}, found)


def _require_tuned(tuned: keras.Model, last: keras.Model) -> None:
    """Refuse a network that is not the last one after training on."""
    wanted, found = (
        f"{len(units_of(each))} units, inputs {each.input_shape[1:]} and outputs {each.output_shape[1:]}"
        for each in (last, tuned)
    )
    if found != wanted:
        raise ValueError(
            f"`tuned` must be the network without the dropped units, after training on: {wanted}. Received: "
            f"'{tuned.name}' with {found} (pruning_curve)."
        )
