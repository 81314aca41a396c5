"""The rows of a file of predictions: plain ones, and those of a competition's sample submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unicodedata import normalize

import numpy as np

from ..data.datasets.tables import Table, is_number, listed, read_table
from ..process.errors import BadInput
from .inputs import Inputs, matched


class Form(Protocol):
    """What the file of predictions looks like."""

    @property
    def separator(self) -> str:
        """What separates the cells."""

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns."""

    def row(self, number: int, probabilities: np.ndarray) -> Sequence[str]:
        """The cells of an image, from its number and its probabilities `[classes]`."""


@dataclass(frozen=True)
class Plain:
    """An image, its class and the probability of it; then the next likely classes, or the probability of each class.

    Args:
        column: The header of the images.
        images: Their names.
        classes: The names of the classes.
        top_k: How many classes each row names.
        every: Whether each row has the probability of each class.

    Example:

    >>> form = Plain("image", ["a.png"], ["cat", "dog", "eel"], top_k=2)
    >>> form.header
    ['image', 'class', 'probability', 'class_2', 'probability_2']
    >>> form.row(0, np.array([0.25, 0.625, 0.125]))
    ['a.png', 'dog', '0.625', 'cat', '0.25']
    """

    column: str
    images: Sequence[str]
    classes: Sequence[str]
    top_k: int = 1
    every: bool = False
    separator: str = ","

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        more = [f"{name}_{place}" for place in range(2, self.top_k + 1) for name in ("class", "probability")]
        return [self.column, "class", "probability", *more, *(self.classes if self.every else ())]

    def row(self, number: int, probabilities: np.ndarray) -> list[str]:
        """See `Form`."""
        best = np.argsort(-probabilities, kind="stable")[: self.top_k]
        named = [text for place in best for text in (self.classes[place], written(probabilities[place]))]
        return [self.images[number], *named, *(map(written, probabilities) if self.every else ())]


@dataclass(frozen=True)
class Submission:
    """The columns and rows of a sample submission, filled in.

    Args:
        table: The sample.
        ids: Its column of ids.
        labels: Its column of labels; `None` where there is a column for each class.
        classes: What the cells hold for each class: its name or number in a column of labels, else the headers.
        positive: Whether the one column is of the probability of the second of two classes.
    """

    table: Table
    ids: str
    labels: str | None
    classes: Sequence[str]
    positive: bool = False

    def __str__(self) -> str:
        if self.labels is None:
            return f"ids in column {self.ids!r}, probabilities in {len(self.classes)} columns by the names of classes"
        what = f"the probability of {self.classes[1]!r}" if self.positive else f"classes ({_shown(self.classes)})"
        return f"ids in column {self.ids!r}, {what} in column {self.labels!r}"

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns."""
        return self.table.header

    @property
    def separator(self) -> str:
        """What separates the cells."""
        return self.table.separator

    def row(self, number: int, probabilities: np.ndarray) -> list[str]:
        """See `Form`."""
        kept = self.table.rows[number][self.table.header.index(self.ids)]
        if self.labels is not None:
            answer = written(probabilities[1]) if self.positive else self.classes[int(probabilities.argmax())]
            return [kept if name == self.ids else answer for name in self.header]
        of_class = dict(zip(self.classes, map(written, probabilities), strict=True))
        return [kept if name == self.ids else of_class[_composed(name)] for name in self.header]


def submission(path: Path, inputs: Inputs, classes: Sequence[str], ids: str | None) -> tuple[Submission, Inputs]:
    """The form of a sample submission, and the images in the order of its rows.

    Args:
        path: The sample: a column of ids, and either one column of labels or a column for each class.
        inputs: The images.
        classes: The names of the model's classes.
        ids: The column of ids; by default the one that names the images.

    Raises:
        BadInput: if the ids are not the images', or the other columns are neither labels nor the classes.
    """
    table = read_table(path, "--submission=")
    column, numbers = matched(table, inputs, ids, "--id_column")
    if unnamed := sorted(set(range(len(inputs.names))) - set(numbers)):
        names = listed([inputs.names[number] for number in unnamed])
        raise BadInput(f"{len(unnamed)} of {len(inputs.names)} images have no row in {path}: {names}.")
    others = [name for name in table.header if name != column]
    ordered = inputs.part(numbers, table.column(column), column)
    if len(others) == 1:
        return _with_labels(table, column, others[0], classes), ordered
    composed = [_composed(name) for name in classes]
    if sorted(map(_composed, others)) != sorted(composed):
        raise BadInput(
            f"{path}: expected one column of labels beside {column!r}, or one for each class of the model "
            f"({_shown(classes)}); got {_shown(others)}."
        )
    return Submission(table, column, None, composed), ordered


def _with_labels(table: Table, ids: str, labels: str, classes: Sequence[str]) -> Submission:
    """The form of a sample with one column beside the ids: names of classes, their numbers, or a probability."""
    found = sorted({normalize("NFC", cell) for cell in table.column(labels)})
    names, numbers = list(map(_composed, classes)), [str(number) for number in range(len(classes))]
    numbered = all(map(is_number, names))  # then 0 in every row stands for a name, not for its place
    if set(found) <= set(names):
        return Submission(table, ids, labels, names)
    placeholder = len(found) == 1 and _is_int(found[0])
    if numbered and (alike := _alike(names, found)) and (placeholder or set(found) <= set(alike)):
        return Submission(table, ids, labels, alike)
    if set(found) <= set(numbers) and not numbered:
        return Submission(table, ids, labels, numbers)
    if len(classes) == 2 and all(map(_is_share, found)):
        return Submission(table, ids, labels, classes, positive=True)
    strange = [cell for cell in found if cell not in (names if numbered else numbers)]
    places = "" if numbered else f" or their numbers, 0..{len(classes) - 1}"
    raise BadInput(
        f"column {labels!r} of {table.path} has {listed(strange or found)}: expected classes of the model "
        f"({_shown(classes)}){places}."
    )


def written(probability: float) -> str:
    """A probability as text.

    >>> written(np.float32(0.1)), written(1e-9)
    ('0.1', '1e-09')
    """
    return f"{probability:.7g}"


def _is_share(cell: str) -> bool:
    return is_number(cell) and 0 <= float(cell) <= 1


def _alike(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """Names that are numbers, written as these cells are: 3 or 3.0; empty if these are written in another way.

    >>> _alike(["0.0", "1.0"], ["0"]), _alike(["0", "1", "2"], ["0.0", "2.0"]), _alike(["0", "1"], ["0.0"])
    (['0', '1'], ['0.0', '1.0', '2.0'], [])
    """
    if any(float(name) % 1 for name in names):
        return []
    if all(map(_is_int, cells)):
        return [name if _is_int(name) else str(int(float(name))) for name in names]
    decimal = len(names) > 2 and all(cell.endswith(".0") and _is_int(cell[:-2]) for cell in cells)  # of two: a share
    return [f"{int(float(name))}.0" for name in names] if decimal else []


def _is_int(cell: str) -> bool:
    return cell.removeprefix("-").isdecimal()


def _composed(name: str) -> str:
    return normalize("NFC", name.strip())


def _shown(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
