"""What networks cost, and what they achieve: parameters, multiply-adds, latency by turns, accuracy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from keras_resunits.analysis.describe import describe
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.scoring import wrong_and_loss
from keras_resunits.units.unit import units_of

TURNS = 7
"""How often each network is timed."""
AT_ONCE = 256
"""Images that are classified at a time, and the most that are timed."""


@dataclass(frozen=True)
class Cost:
    """What a network costs, and what it achieves.

    Args:
        network: The name of the network.
        units: Number of its units.
        parameters: Number of its parameters and moving statistics.
        multiply_adds: Multiply-adds for one image; `None` if the size of images is not known.
        latency: Seconds for the images, the median of the turns; `None` without images.
        accuracy: Share of right answers, of which NaN is none; `None` without labels.
    """

    network: str
    units: int
    parameters: int
    multiply_adds: int | None
    latency: float | None = None
    accuracy: float | None = None


def table(rows: Iterable[Cost]) -> str:
    """Return the costs of networks as text, one in a line."""
    rows = list(rows)
    wide = max(8, *(len(cost.network) + 1 for cost in rows))
    lines = [f"{'':<{wide}}{'units':>6}{'parameters':>13}{'multiply-adds':>16}{'latency':>11}{'accuracy':>10}"]
    for cost in rows:
        latency = "" if cost.latency is None else f"{cost.latency * 1e3:.1f} ms"
        accuracy = "" if cost.accuracy is None else f"{cost.accuracy:.2%}"
        adds = "?" if cost.multiply_adds is None else f"{cost.multiply_adds:,}"
        lines.append(
            f"{cost.network:<{wide}}{cost.units:>6}{cost.parameters:>13,}{adds:>16}{latency:>11}{accuracy:>10}".rstrip()
        )
    return "\n".join(lines)


def costs(models: Mapping[str, keras.Model], images=None, labels=None) -> list[Cost]:
    """Return the costs of networks by name; latencies are measured by turns.

    Args:
        models: The networks by name.
        images: Images that all of them take; without them, there is no latency.
        labels: The classes of the images; without them, there is no accuracy.
    """
    seconds = latencies(models, images[:AT_ONCE]) if images is not None else {}
    found = []
    for name, model in models.items():
        table = describe(model)
        right = None if labels is None else accuracy(model, images, labels)
        counted = len(units_of(model)), table.parameters, table.multiply_adds
        found.append(Cost(name, *counted, seconds.get(name), right))
    return found


def latencies(models: Mapping[str, keras.Model], images) -> dict[str, float]:
    """Return the median seconds in which each model answers for images; the models take turns."""
    taken: dict[str, list[float]] = {name: [] for name in models}
    turns = [(turn, name) for turn in range(TURNS + 1) for name in models]
    for turn, name in progress(turns, "latencies: turn"):
        start = time.perf_counter()
        models[name].predict_on_batch(images)
        if turn:  # the first compiles
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in taken.items()}


def accuracy(model: keras.Model, images, labels) -> float:
    """Return the share of images whose largest output is that of their class. An answer that is NaN is wrong."""
    answers = model.predict(images, batch_size=AT_ONCE, verbose=0)
    return float((wrong_and_loss(answers, np.asarray(labels))[:, 0] == 0).mean())
