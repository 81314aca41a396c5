"""Pruning: the least important units are dropped until a budget is met, with a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_resunits.analysis.chains import require_images, require_labels
from keras_resunits.analysis.describe import describe
from keras_resunits.analysis.gates import gates
from keras_resunits.analysis.importance import importance
from keras_resunits.arguments import (
    checked,
    is_number,
    near_matches,
    one_of,
    require_network,
    require_positive_int,
    require_share,
)
from keras_resunits.surgery.chains import Parts, put_together, take_apart
from keras_resunits.surgery.costs import Cost, costs, table
from keras_resunits.surgery.rearranging import removable
from keras_resunits.units.unit import Unit

Criterion = Mapping[str, float] | Callable[..., Mapping[str, float]] | str


@dataclass(frozen=True)
class Pruned:
    """The result of `prune`.

    Args:
        model: The new model.
        dropped: Names that the dropped units had, least important first.
        scores: The score of every unit that could be dropped.
        before, after: The costs of the two networks.
    """

    model: keras.Model
    dropped: tuple[str, ...]
    scores: Mapping[str, float]
    before: Cost
    after: Cost

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The costs of both networks, as dicts."""
        return [asdict(self.before), asdict(self.after)]

    def __str__(self) -> str:
        return f"{table((self.before, self.after))}\ndropped: {', '.join(self.dropped) or 'nothing'}"


@checked(
    model=require_network,
    keep=require_positive_int.or_none,
    budget=require_share.or_none,
    of=one_of("multiply_adds", "parameters"),
)
def prune(
    model: keras.Model,
    by: Criterion,
    keep: int | None = None,
    budget: float | None = None,
    of: str = "multiply_adds",
    images=None,
    labels=None,
) -> Pruned:
    """Drop the least important units of a network until few enough are left, or it is cheap enough.

    Only units that keep their shape can be dropped. Train on afterwards: each dropped unit costs accuracy.

    Args:
        model: A trained network of the package.
        by: The importance of units, of which the lowest go first: a mapping from names to numbers, a function `(model,
            images, labels) -> mapping`, or a name. "gate" is `|g(k)|` (Savarese et al. 2016), "random" a fixed order by
            chance; "lesion", "ratio" and "taylor", which require images and labels, are those of `analysis.importance`.
        keep: Number of units to keep. Either this or `budget`.
        budget: Share of the network's cost to keep, in (0, 1].
        of: Which cost: "multiply_adds" (default) or "parameters".
        images: Images `[images, height, width, channels]` as the model takes them, for latency, accuracy and criteria.
        labels: Their classes, ints `[images]`, for accuracy and criteria.

    Returns:
        `Pruned`: the new model, what was dropped, and the costs before and after. Latencies are measured by turns, so
        that a machine that slows down slows both.

    Raises:
        ValueError: if the budget cannot be met, a score is missing or no number, a criterion is unknown, or images and
            labels do not fit.

    Invariant: the units that are kept have the weights that they had.

    Example:

    >>> import keras_resunits as kr
    >>> pruned = kr.surgery.prune(kr.GatedResNet(depth=20), by="random", keep=7)
    >>> pruned.before.units, pruned.after.units, len(pruned.dropped)
    (9, 7, 2)
    """
    parts = take_apart(model)
    images, labels = _examples(model, parts, images, labels)
    scores = _scores(model, parts, by, images, labels)
    dropped = _chosen(model, parts, scores, keep, budget, of)
    pruned = put_together(parts.with_chain(part for part in parts.chain if part.name not in dropped))
    before, after = costs({"before": model, "after": pruned}, images, labels)
    return Pruned(pruned, tuple(dropped), scores, before, after)


def _examples(model: keras.Model, parts: Parts, images, labels) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return images and labels as arrays, where there are any."""
    if labels is not None:
        return require_examples(model, parts, images, labels, "prune")
    return None if images is None else require_images(images, model, "prune"), None


def require_examples(model: keras.Model, parts: Parts, images, labels, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels as arrays; refuse images that the model does not take, and labels that do not fit."""
    if images is None:
        raise ValueError(f"`labels` require the `images` that they belong to. Received: no images ({where}).")
    images = require_images(images, model, where)
    last = max(i for i, part in enumerate(parts.chain) if part.is_unit)
    shape = model.output_shape
    if len(shape) != 2 or not any(isinstance(part.layer, keras.layers.Dense) for part in parts.chain[last:]):
        raise ValueError(
            f"`labels` require a network that ends in a classifier. Received: '{model.name}', whose last layer is "
            f"'{parts.chain[-1].name}', with outputs {shape[1:]} ({where})."
        )
    return images, require_labels(labels, len(images), shape[-1], where)


def _scores(model: keras.Model, parts: Parts, by: Criterion, images, labels) -> dict[str, float]:
    """Return the scores of the units that can be dropped."""
    if isinstance(by, str):
        if by not in CRITERIA:
            raise ValueError(f"unknown criterion {by!r}.{near_matches(by, CRITERIA)} Choices: {', '.join(CRITERIA)}.")
        by = CRITERIA[by]
    found = by(model, images, labels) if callable(by) else by
    if not isinstance(found, Mapping):
        raise ValueError(f"`by` must be, or return, a mapping from units to numbers. Received: {found!r} (prune).")
    for name in found:
        parts.unit(name)
    names = removable(parts)
    if lost := [name for name in names if not is_number(found.get(name))]:
        raise ValueError(
            f"`by` must have a finite number for every unit that can be dropped. Received: {found.get(lost[0])!r} for "
            f"'{lost[0]}' (prune)."
        )
    return {name: float(found[name]) for name in names}


def _chosen(model, parts: Parts, scores: dict[str, float], keep, budget, of: str) -> list[str]:
    """Return the units to drop, least important first."""
    if (keep is None) == (budget is None):
        raise ValueError("`prune` requires either `keep` or `budget`. Received: both or neither.")
    ascending = sorted(scores, key=scores.__getitem__)
    total = len(parts.units)
    ascending = ascending[: total - 1]  # a network keeps at least one unit
    if keep is not None:
        if not total - len(ascending) <= keep <= total:
            raise ValueError(
                f"`keep` must be in {total - len(ascending)}..{total}: '{model.name}' has {total} units, of which "
                f"{len(ascending)} can be dropped. Received: keep={keep} (prune)."
            )
        return ascending[: total - keep]
    each = {row.unit: getattr(row, of) for row in describe(model)}
    if None in each.values():
        raise ValueError(
            "a budget of multiply-adds requires the size of images. Received: a model of images of any size; pass "
            "of='parameters' (prune)."
        )
    left = whole = sum(each.values())
    dropped: list[str] = []
    for name in ascending:
        if left <= budget * whole:
            break
        dropped.append(name)
        left -= each[name]
    if left > budget * whole:
        raise ValueError(
            f"`budget` cannot be met: without all {len(ascending)} units that can be dropped, '{model.name}' still has "
            f"{left / whole:.1%} of its {of.replace('_', '-')}. Received: budget={budget} (prune)."
        )
    return dropped


def by_gate(model: keras.Model, images, labels) -> Mapping[str, float]:
    """Return the absolute value of every unit's scalar gate, as `analysis.importance` does."""
    found = gates(model)
    if not found:
        raise ValueError(f"the criterion 'gate' requires scalar gates. Received: '{model.name}' without one (prune).")
    return {name: abs(value) for name, value in found.items()}


def at_random(model: keras.Model, images, labels) -> Mapping[str, float]:
    """Return a fixed random order of the units."""
    names = [layer.name for layer in model.layers if isinstance(layer, Unit)]
    return dict(zip(names, np.random.default_rng(0).permutation(len(names)).tolist(), strict=True))


def by_importance(name: str, model: keras.Model, images, labels) -> Mapping[str, float]:
    """Return the scores of a criterion of `analysis.importance`."""
    if images is None or labels is None:
        raise ValueError(f"the criterion '{name}' requires `images` and `labels`. Received: none (prune).")
    found = importance(model, images, labels, name)
    return {unit: found.scores[name][unit] for unit in found.ranking(name)}


CRITERIA: dict[str, Callable[..., Mapping[str, float]]] = {
    "gate": by_gate,
    "random": at_random,
    **{name: partial(by_importance, name) for name in ("lesion", "ratio", "taylor")},
}
