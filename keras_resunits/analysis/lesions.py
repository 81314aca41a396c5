"""Units deleted, removed one after the other, and exchanged (Veit et al. 2016, sec. 4.1 and 4.2).

A deleted unit outputs its input where it keeps the shape; where it changes the shape, its branch is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np

from keras_resunits.analysis.chains import Chain, chain_of, require_images, require_labels
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished, name_units
from keras_resunits.analysis.importance import CRITERIA, importance
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.scoring import plan_without, scored
from keras_resunits.arguments import checked, require_index, require_names, require_network, require_positive_int


@dataclass(frozen=True, repr=False)
class Lesions(Record):
    """What `lesions` returns: a row for each unit.

    Args:
        rows, arrays: `error` and `loss` without the unit; NaN, `None` in rows, where nothing would be left.
        whole: Error of the network itself.
    """

    whole: float = 0.0

    def plot(self, ax=None):
        """Draw the error without each unit.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        names = [row["unit"] for row in self.rows]
        ax.bar(range(len(names)), 100 * self.arrays["error"], color=COLOURS[0], label="without the unit")
        ax.axhline(100 * self.whole, color=COLOURS[1], linestyle="--", label="whole network")
        name_units(ax, names)
        return finished(ax, "One unit deleted", "unit", "error, %")


@checked(model=require_network, units=require_names)
def lesions(model: keras.Model, images, labels, units: str | Sequence[str] | None = None) -> Lesions:
    """Measure the error without each unit, at inference (Veit et al. 2016, sec. 4.1).

    A deleted unit outputs its input where it keeps the shape; where it changes the shape, its branch is 0.

    Args:
        model: A network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.
        units: One or more names of units to delete, one at a time. Defaults to all.

    Returns:
        Errors are shares in [0, 1], losses mean cross-entropies.

    Raises:
        ValueError: if a unit is unknown, or the model, the images or the labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> [row["unit"] for row in kr.analysis.lesions(kr.PreActResNet(depth=8), images, labels).rows]
    ['unit000', 'unit001', 'unit002']
    """
    chain = chain_of(model, "lesions")
    images = require_images(images, model, "lesions")
    labels = require_labels(labels, len(images), chain.classes, "lesions")
    names = chain.names if units is None else list(units)
    places = [chain.position(name, "lesions") for name in names]
    possible = [i for i in places if chain.skippable(i)]
    whole, *found = scored(chain, images, labels, [plan_without(chain, {i}) for i in (None, *possible)], "lesions")
    by_place = dict(zip(possible, found, strict=True))
    arrays = {
        name: np.array([getattr(by_place[i], name) if i in by_place else np.nan for i in places])
        for name in ("error", "loss")
    }
    return Lesions(rows_of(names, "unit", **arrays), arrays, whole.error)


@dataclass(frozen=True, repr=False)
class Removal(Record):
    """What `removal` returns: a row for each number of removed units, with the error by each criterion.

    Args:
        rows, arrays: `removed`, and the error by each criterion.
        orders: The units in the order of their removal, by criterion.
    """

    orders: dict[str, tuple[str, ...]] = None  # type: ignore[assignment]

    def plot(self, ax=None):
        """Draw the error over the number of removed units, a line for each criterion.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        for by in self.orders:
            colour = COLOURS[list(CRITERIA).index(by)]  # that of the criterion in every network's picture
            ax.plot(100 * self.arrays[by], color=colour, label=by, marker="." * (len(self.rows) < 30))
        return finished(ax, "Units removed, least important first", "units removed", "error, %")


@checked(model=require_network, by=require_names, seed=require_index)
def removal(model: keras.Model, images, labels, by: str | Sequence[str] | None = None, seed: int = 0) -> Removal:
    """Measure the error as units are removed one after the other, least important first, by one or more criteria.

    Only units that keep the shape are removed. The order is fixed before the first removal.

    Args:
        model: A network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.
        by: Criteria of `importance`, one or several. Defaults to all that score every unit.
        seed: Seed of the criterion "random". Defaults to 0.

    Raises:
        ValueError: if a criterion is unknown or not defined for the network, no unit keeps the shape, or the model, the
            images or the labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> kr.analysis.removal(kr.PreActResNet(depth=8), images, labels, by="ratio").orders
    {'ratio': ('unit000',)}
    """
    chain = chain_of(model, "removal")
    images = require_images(images, model, "removal")
    labels = require_labels(labels, len(images), chain.classes, "removal")
    if not any(chain.keeps_shape):
        raise ValueError(
            f"`removal` requires a network with units that keep the shape. Received: '{model.name}', in which all "
            f"{len(chain.units)} change it."
        )
    ranked = importance(model, images, labels, by, seed)
    names = ranked.complete if by is None else tuple(ranked.scores)
    orders = {name: tuple(ranked.ranking(name)) for name in names}
    most = sum(chain.keeps_shape)
    plans = [
        plan_without(chain, {chain.names.index(unit) for unit in order[:count]})
        for order in orders.values()
        for count in range(most + 1)
    ]
    errors = np.array([score.error for score in scored(chain, images, labels, plans, "removal")])
    arrays = dict(zip(orders, errors.reshape(len(orders), most + 1), strict=True))
    rows = [{"removed": n, **{name: float(values[n]) for name, values in arrays.items()}} for n in range(most + 1)]
    return Removal(rows, {"removed": np.arange(most + 1), **arrays}, orders)


@dataclass(frozen=True, repr=False)
class Reorder(Record):
    """What `reorder` returns: a row for each order, the network's own first.

    Args:
        rows, arrays: Kendall's `tau` of the order with the network's own, 1 for the same and -1 for the reverse, and
            the `error`.
        orders: The units at each position, for each row.
    """

    orders: tuple[tuple[str, ...], ...] = ()

    def plot(self, ax=None):
        """Draw the error over Kendall's tau.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        ax.plot(self.arrays["tau"], 100 * self.arrays["error"], "o", color=COLOURS[0], markersize=4, alpha=0.7)
        ax.invert_xaxis()
        return finished(
            ax, "Units exchanged within stages", "Kendall's tau with the own order", "error, %", legend=False
        )


@checked(model=require_network, runs=require_positive_int, seed=require_index)
def reorder(model: keras.Model, images, labels, runs: int = 20, seed: int = 0) -> Reorder:
    """Measure the error with units in another order, exchanged within their stage (Veit et al. 2016, sec. 4.2).

    Orders go from few exchanges to random ones. Units that change the shape stay where they are.

    Args:
        model: A network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.
        runs: Number of orders besides the network's own. Defaults to 20.
        seed: Seed of the orders. Defaults to 0.

    Raises:
        ValueError: if no stage has two units that keep the shape, or the model, the images or the labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> kr.analysis.reorder(kr.PreActResNet(depth=14), images, labels, runs=2).rows[0]["tau"]
    1.0
    """
    chain = chain_of(model, "reorder")
    images = require_images(images, model, "reorder")
    labels = require_labels(labels, len(images), chain.classes, "reorder")
    stages = _stages(chain)
    if not stages:
        raise ValueError(
            f"`reorder` requires a stage with two units that keep the shape. Received: '{model.name}', which has none."
        )
    rng, own = np.random.default_rng(seed), tuple(range(len(chain.units)))
    plans = [own, *(_shuffled(own, stages, share, rng) for share in np.linspace(0.1, 1.0, runs))]
    arrays = {
        "tau": np.array([_tau(plan, stages) for plan in plans]),
        "error": np.array([score.error for score in scored(chain, images, labels, plans, "reorder")]),
    }
    orders = tuple(tuple(chain.names[i] for i in plan) for plan in plans)
    return Reorder(rows_of([str(i) for i in range(len(plans))], "order", **arrays), arrays, orders)


def _stages(chain: Chain) -> list[range]:
    """Return the runs of at least two units that keep the shape."""
    ends = [-1, *(i for i, keeps in enumerate(chain.keeps_shape) if not keeps), len(chain.units)]
    return [range(a + 1, b) for a, b in pairwise(ends) if b - a > 2]


def _shuffled(own: tuple[int, ...], stages: list[range], share: float, rng: np.random.Generator) -> tuple[int, ...]:
    """Return another order, in which units are sorted by their place and, to a share or more, by chance."""
    plan = list(own)
    for stage in stages:
        order = np.argsort((1 - share) * np.linspace(0, 1, len(stage)) + share * rng.random(len(stage)))
        plan[stage.start : stage.stop] = [stage[i] for i in order]
    found = tuple(plan)
    return found if found != own else _shuffled(own, stages, min(share + 0.05, 1.0), rng)


def _tau(plan: Sequence[int], stages: list[range]) -> float:
    """Return Kendall's tau within the stages.

    >>> _tau([0, 2, 1, 3], [range(1, 3)]), _tau([0, 1, 2], [range(3)])
    (-1.0, 1.0)
    """
    pairs = [(plan[i], plan[j]) for stage in stages for i in stage for j in stage if i < j]
    return float(np.mean([1 if a < b else -1 for a, b in pairs]))
