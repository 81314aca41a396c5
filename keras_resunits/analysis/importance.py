"""How important each unit is, by several criteria side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_resunits.analysis.chains import Chain, chain_of, require_images, require_labels
from keras_resunits.analysis.drawing import axes_or_new, finished
from keras_resunits.analysis.gates import gates
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.scoring import plan_without, scored
from keras_resunits.analysis.traces import traced
from keras_resunits.arguments import checked, near_matches, require_index, require_names, require_network
from keras_resunits.layers.arrays import array

TRACED = 50
"""Images of a batch where Jacobians are kept."""
UNDEFINED = {"ratio": "whose carry is dropped, or 0 for an image", "gate": "which has no gate"}
"""Which units a criterion does not score."""


@dataclass(frozen=True, repr=False)
class Importance(Record):
    """What `importance` returns: a row for each unit with its score by each criterion.

    Args:
        rows, arrays: The scores by each criterion; NaN, `None` in rows, where a criterion says nothing of a unit.
            `arrays["agreement"]` is the matrix of Spearman's rank correlations between the criteria, over the units
            that both score.
        scores: The scores by criterion and unit, without NaN.
        removable: The units that keep the shape.
    """

    scores: dict[str, dict[str, float]] = None  # type: ignore[assignment]
    removable: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[str, ...]:
        """The criteria that score every unit that keeps the shape."""
        return tuple(by for by, scores in self.scores.items() if scores.keys() >= set(self.removable))

    def ranking(self, by: str) -> list[str]:
        """Return the units that keep the shape, the least important first.

        Args:
            by: A criterion.

        Raises:
            ValueError: if the criterion is unknown, or lacks a score for one of these units.
        """
        if by not in self.scores:
            raise ValueError(f"`by` must be one of {', '.join(self.scores)}. Received: by={by!r} (ranking).")
        if by not in self.complete:
            missing = next(name for name in self.removable if name not in self.scores[by])
            others = f" Others do: {', '.join(self.complete)}." if self.complete else ""
            raise ValueError(
                f"criterion '{by}' must score every unit that keeps the shape. Received: none for '{missing}', "
                f"{UNDEFINED.get(by, 'where it is NaN')} (ranking).{others}"
            )
        return sorted(self.removable, key=self.scores[by].__getitem__)

    def plot(self, ax=None):
        """Draw the rank of every unit by each criterion, as a picture: dark is important.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax, (6.4, 0.9 + 0.4 * len(self.scores)))
        table = np.array([_ranks(self.arrays[name]) for name in self.scores])
        ax.imshow(table, aspect="auto", cmap="Blues", interpolation="nearest")
        ax.set_yticks(range(len(self.scores)), list(self.scores))
        finished(ax, "Importance of units by rank", "unit", "", legend=False)
        ax.grid(False)
        return ax


@checked(model=require_network, criteria=require_names, seed=require_index)
def importance(
    model: keras.Model, images, labels, criteria: str | Sequence[str] | None = None, seed: int = 0
) -> Importance:
    """Score every unit by several criteria, at inference. The higher the score, the more important the unit.

    - "lesion": the mean cross-entropy without the unit less that of the network.
    - "ratio": the norm of the branch over that of the carry, as both enter the sum; the mean over images. It
      is not defined where the merge drops the carry.
    - "taylor": `|dE/dF . F|`, the first-order change of an image's loss without the branch; the mean over images
      (Molchanov et al. 2017, Eq. 8).
    - "gate": `|g(k)|` of the unit's scalar gates (Savarese et al. 2016); only where the network has such gates.
    - "random": a random number, to compare with.

    Args:
        model: A network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.
        criteria: One or more of the above. Defaults to all that are defined for the network.
        seed: Seed of "random". Defaults to 0.

    Raises:
        ValueError: if a criterion is unknown, a network without gates is to be ranked by gates, or the model, the
            images or the labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> found = kr.analysis.importance(kr.GatedResNet(depth=8), images, labels)
    >>> list(found.scores), found.scores["gate"]["unit001"]
    (['lesion', 'ratio', 'taylor', 'gate', 'random'], 1.0)
    """
    chain = chain_of(model, "importance")
    images = require_images(images, model, "importance")
    labels = require_labels(labels, len(images), chain.classes, "importance")
    names = _criteria(criteria, model)  # type: ignore[arg-type]
    evaluated = _Evaluated(chain, images, labels, seed)
    arrays = {name: CRITERIA[name](evaluated) for name in names}
    rows = rows_of(chain.names, "unit", **arrays)
    scores = {name: {row["unit"]: row[name] for row in rows if row[name] is not None} for name in names}
    removable = tuple(name for name, keeps in zip(chain.names, chain.keeps_shape, strict=True) if keeps)
    agreement = np.array([[_spearman(arrays[a], arrays[b]) for b in names] for a in names])
    return Importance(rows, {**arrays, "agreement": agreement}, scores, removable)


def _criteria(criteria: Sequence[str] | None, model: keras.Model) -> list[str]:
    """Return the names of criteria; refuse unknown ones, and gates that the network has not."""
    if criteria is None:
        return [name for name in CRITERIA if name != "gate" or gates(model)]
    for name in criteria:
        if name not in CRITERIA:
            raise ValueError(
                f"a criterion must be one of {', '.join(CRITERIA)}. Received: {name!r} (importance)."
                f"{near_matches(name, CRITERIA)}"
            )
    if "gate" in criteria and not gates(model):
        raise ValueError(
            f"criterion 'gate' requires units with scalar gates, as `GatedResNet` has. Received: '{model.name}', which "
            "has none (importance)."
        )
    return list(criteria)


class _Evaluated:
    """A network and a set, and what several criteria read of them, computed once."""

    def __init__(self, chain: Chain, images: np.ndarray, labels: np.ndarray, seed: int):
        self.chain, self.images, self.labels, self.seed = chain, images, labels, seed
        self._traced: dict[str, np.ndarray] = {}

    def traced(self, name: str) -> np.ndarray:
        """Return the ratio or the Taylor term of every unit; both come from the same evaluation."""
        if not self._traced:
            sums = np.zeros((2, len(self.chain.units)))
            starts = range(0, len(self.images), TRACED)
            for i in progress(starts, "importance: batch"):
                sums += self._of_batch(self.images[i : i + TRACED], self.labels[i : i + TRACED])
            self._traced = dict(zip(("ratio", "taylor"), sums / len(self.images), strict=True))
        return self._traced[name]

    def _of_batch(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        trace = traced(self.chain, images, training=False)
        gradient, found = trace.loss_gradient(labels) * len(images), np.zeros((2, len(trace.steps)))
        for i in reversed(range(len(trace.steps))):
            step = trace.steps[i]
            parts = step.back(gradient)
            gradient = parts.carried + parts.branched
            carry, branch = (np.linalg.norm(_flat(edge), axis=1) for edge in step.merged_apart())
            with np.errstate(divide="ignore", invalid="ignore"):
                found[0, i] = np.where(carry > 0, branch / carry, np.nan).sum()
            found[1, i] = np.abs((_flat(parts.branch) * _flat(step.branch)).sum(1)).sum()
        return found


def _flat(tensor) -> np.ndarray:
    values = array(tensor)
    return values.reshape(len(values), -1)


def _lesion(evaluated: _Evaluated) -> np.ndarray:
    chain = evaluated.chain
    places = [i for i in range(len(chain.units)) if chain.skippable(i)]
    plans = [plan_without(chain, removed) for removed in ((), *((i,) for i in places))]
    whole, *found = scored(chain, evaluated.images, evaluated.labels, plans, "importance")
    costs = np.full(len(chain.units), np.nan)
    costs[places] = [score.loss - whole.loss for score in found]
    return costs


def _gate(evaluated: _Evaluated) -> np.ndarray:
    values = gates(evaluated.chain.model)
    return np.array([abs(values.get(name, np.nan)) for name in evaluated.chain.names])


def _random(evaluated: _Evaluated) -> np.ndarray:
    return np.random.default_rng(evaluated.seed).random(len(evaluated.chain.units))


CRITERIA: dict[str, Callable[[_Evaluated], np.ndarray]] = {
    "lesion": _lesion,
    "ratio": lambda evaluated: evaluated.traced("ratio"),
    "taylor": lambda evaluated: evaluated.traced("taylor"),
    "gate": _gate,
    "random": _random,
}
"""The criteria by name: functions to a score for each unit."""


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values, equal ones sharing their mean rank; NaN stays NaN.

    >>> _ranks(np.array([3.0, 1.0, np.nan, 3.0])).tolist()
    [1.5, 0.0, nan, 1.5]
    """
    there = np.isfinite(values)
    known = values[there]
    ranks = np.full(len(values), np.nan)
    ranks[there] = [((known < v).sum() + (known <= v).sum() - 1) / 2 for v in known]
    return ranks


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation over the units that both score; NaN where one of them ranks nothing.

    >>> _spearman(np.array([1.0, 2.0, 5.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    both = np.isfinite(a) & np.isfinite(b)
    first, second = _ranks(a[both]), _ranks(b[both])
    if both.sum() < 2 or not first.std() or not second.std():
        return float("nan")
    return round(float(np.corrcoef(first, second)[0, 1]), 12)
