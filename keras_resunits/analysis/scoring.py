"""A network's error with units left out or exchanged, without building another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_resunits.analysis.chains import Chain, batches
from keras_resunits.analysis.progress import progress
from keras_resunits.layers.modes import in_mode

Plan = tuple[int | None, ...]
"""The number of the unit that runs at each position; `None` where the position is skipped."""


@dataclass(frozen=True)
class Score:
    """Error, a share in [0, 1], and mean cross-entropy."""

    error: float
    loss: float


def plan_without(chain: Chain, removed) -> Plan:
    """Return the plan of a network without some units."""
    return tuple(None if i in removed else i for i in range(len(chain.units)))


def scored(chain: Chain, images: np.ndarray, labels: np.ndarray, plans: Sequence[Plan], what: str) -> list[Score]:
    """Return the score of each plan at inference; what precedes a plan's first change is computed once."""
    unique = list(dict.fromkeys(plans))
    sums = np.zeros((len(unique), 2))
    for some, truth in progress(list(batches(images, labels)), f"{what}: batch"):
        for p, logits in enumerate(in_mode(False, lambda x: _logits(chain, x, unique), ops.convert_to_tensor(some))):
            sums[p] += wrong_and_loss(logits, truth).sum(0)
    found = {plan: Score(*map(float, each / len(images))) for plan, each in zip(unique, sums, strict=True)}
    return [found[plan] for plan in plans]


def _logits(chain: Chain, images, plans: Sequence[Plan]) -> list[np.ndarray]:
    reached = [chain.before(images)]
    for unit in chain.units:
        reached.append(unit(reached[-1]))
    return [ops.convert_to_numpy(chain.logits(_planned(chain, reached, plan))) for plan in plans]


def _planned(chain: Chain, reached: list, plan: Plan):
    """Return the output of the last position, from the first one on that differs from the network."""
    first = next((i for i, j in enumerate(plan) if i != j), len(plan))
    x = reached[first]
    for i in range(first, len(plan)):
        j = plan[i]
        x = chain.skipped(i, x) if j is None else chain.units[j](x)
    return x


def wrong_and_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each image whether its class is wrong, and its cross-entropy. An answer that is NaN is wrong.

    >>> wrong_and_loss(np.array([[0.0, 0.0], [np.nan, 0.0]]), np.array([1, 0])).round(3).tolist()
    [[1.0, 0.693], [1.0, nan]]
    """
    logits = logits.astype("float64")
    highest = logits.max(1, keepdims=True)
    logs = logits - highest - np.log(np.exp(logits - highest).sum(1, keepdims=True))
    own = logs[np.arange(len(labels)), labels]
    wrong = (logits.argmax(1) != labels) | np.isnan(logits).any(1)
    return np.stack([wrong, -own], 1)
