"""The model's constants from steps that were measured on this machine.

    step = ceil(n / cores) compute + M ring(n) hop + B share(n) / wire

for n workers that exchange M messages of B bytes together, as in `step.py`. Workers that share a core take turns to
compute on it; while a message is under way, all wait.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks.planning.step import ring, share

NUMBERS = ("workers", "cores", "messages", "bytes", "depth")  # columns


@dataclass(frozen=True)
class Measured:
    """A cluster's step: the median of its rounds, the batch being at hand."""

    statistics: str
    workers: int
    cores: int
    messages: int
    bytes: int
    depth: int
    seconds: float

    @property
    def terms(self) -> list[float]:
        """What multiplies each constant."""
        return terms(self.workers, self.cores, self.messages, self.bytes)


@dataclass(frozen=True)
class Constants:
    """What a worker takes: seconds of computing, seconds a hop, seconds a byte."""

    compute: float
    hop: float
    byte: float

    def seconds(self, terms: Sequence[float]) -> float:
        """The step that the model predicts."""
        return float(np.dot(terms, (self.compute, self.hop, self.byte)))


def terms(workers: int, cores: int, messages: int, size: int) -> list[float]:
    """What multiplies each constant: turns of computing, hops, bytes.

    Example: four workers on two cores, ten messages of 400 bytes together

    >>> terms(4, 2, 10, 400)
    [2, 60, 600.0]
    """
    return [math.ceil(workers / cores), messages * ring(workers), size * share(workers)]


def fitted(rows: Sequence[Measured]) -> Constants:
    """The constants, none below zero, with the least squares of relative errors."""
    matrix = np.array([[term / row.seconds for term in row.terms] for row in rows])
    scale = matrix.max(axis=0, initial=1e-30)  # the units are unlike
    found, _ = nnls(matrix / scale, np.ones(len(rows)))
    return Constants(*(found / scale).tolist())


def without(rows: Sequence[Measured], workers: int) -> Constants:
    """The constants from the other numbers of workers."""
    return fitted([row for row in rows if row.workers != workers])


def read(path: str) -> list[Measured]:
    """The medians of the rounds that `benchmarks.scaling --rows` wrote.

    Raises:
        ValueError: if the file has no such rows.
    """
    with Path(path).open(newline="") as file:
        lines = list(csv.DictReader(file))
    columns = ("statistics", *NUMBERS, "at_hand")
    if not lines or not set(columns) <= lines[0].keys():
        raise ValueError(f"{path} must have rows with {', '.join(columns)}.")
    if len({line["workers"] for line in lines}) < 2:
        raise ValueError(f"{path} must have rows of several numbers of workers; it has {lines[0]['workers']} only.")
    rounds: dict[tuple, list[float]] = {}
    for line in lines:
        cluster = line["statistics"], *(int(line[name]) for name in NUMBERS)
        rounds.setdefault(cluster, []).append(float(line["at_hand"]))
    return [Measured(*cluster, statistics.median(seconds)) for cluster, seconds in rounds.items()]
