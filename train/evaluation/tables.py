"""The tables of an evaluation: a row for each class, and a row for each image."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from ..process.files import whole
from .judgement import Judgement
from .submission import written

CLASSES = ("class", "precision", "recall", "f1", "support")
IMAGES = ("image", "class", "predicted", "probability", "probability_of_class")


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised.

    Args:
        name: The class.
        precision: The share of the answers with this class that are right; NaN without such answers.
        recall: The share of its images that are answered rightly; NaN without images.
        f1: The harmonic mean of both; NaN without images and answers.
        support: Its images.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_scores(judgement: Judgement) -> list[ClassScore]:
    """The scores of each class, in order.

    Example:

    >>> judged = Judgement(np.eye(3)[[0, 0, 1]], np.array([0, 1, 1]), ["cat", "dog", "eel"])
    >>> class_scores(judged)[0]
    ClassScore(name='cat', precision=0.5, recall=1.0, f1=0.6666666666666666, support=1)
    """
    found = precision_recall_fscore_support(
        judgement.labels, judgement.answers, labels=range(len(judgement.class_names)), zero_division=np.nan
    )
    columns = (each.tolist() for each in found)
    rows = zip(judgement.class_names, *columns, strict=True)
    # support is a float if no answer is right
    return [ClassScore(name, precision, recall, f1, int(support)) for name, precision, recall, f1, support in rows]


def write_classes(scores: Iterable[ClassScore], path: Path) -> None:
    """Write a row for each class; a score that is not defined is an empty cell."""
    write_table(path, CLASSES, ([row.name, *map(_cell, astuple(row)[1:4]), str(row.support)] for row in scores))


def write_images(judgement: Judgement, path: Path, file_of: Callable[[int], str | None]) -> None:
    """Write a row for each image: its file or number, its class, the answer, and the probabilities of both."""
    names, answers = judgement.class_names, judgement.answers
    sure, of_truth = judgement.probabilities.max(1), judgement.of_truth
    rows = (
        [file_of(i) or str(i), names[judgement.labels[i]], names[answers[i]], written(sure[i]), written(of_truth[i])]
        for i in range(len(answers))
    )
    write_table(path, IMAGES, rows)


def in_lines(scores: Sequence[ClassScore]) -> list[str]:
    """The scores as lines of a table.

    >>> print("\\n".join(in_lines([ClassScore("cat", 0.5, 1.0, 2 / 3, 1), ClassScore("dog", float("nan"), 0, 0, 20)])))
    class  precision  recall     f1  support
    cat        50.0%  100.0%  66.7%        1
    dog            -    0.0%   0.0%       20
    """
    table = [CLASSES, *([row.name, *map(_percent, astuple(row)[1:4]), f"{row.support:,}"] for row in scores)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    ]


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.1%}"


def _cell(share: float) -> str:
    return "" if np.isnan(share) else written(share)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a csv file, whole or not at all."""
    with (
        whole(path) as unfinished,
        open(unfinished, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
