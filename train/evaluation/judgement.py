"""How right a classifier is: figures, a confusion matrix, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import PowerNorm

matplotlib.use("Agg")  # a server has no screen


NAMED = 40  # classes; the names of more do not fit on a picture
COUNTED = 20  # classes; nor do the counts


@dataclass(frozen=True)
class Judgement:
    """Probabilities beside the truth.

    Args:
        probabilities: `[n, classes]`.
        labels: `[n]`, whole numbers below `classes`.
        class_names: One for each class.

    Example:

    >>> judgement = Judgement(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]), ["cat", "dog"])
    >>> round(judgement.accuracy, 4), judgement.top(2), judgement.mistakes().tolist(), judgement.confused()
    (0.6667, 1.0, [1], [('dog', 'cat', 1)])
    >>> judgement.confusion()
    array([[1, 0],
           [1, 1]])
    """

    probabilities: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str]

    @property
    def answers(self) -> np.ndarray:
        """The likeliest class of each image, `[n]`."""
        return self.probabilities.argmax(1)

    @property
    def of_truth(self) -> np.ndarray:
        """The probability that each image's own class was given, `[n]`."""
        return np.take_along_axis(self.probabilities, self.labels[:, np.newaxis], 1)[:, 0]

    @property
    def accuracy(self) -> float:
        """The part that is answered rightly."""
        return float((self.answers == self.labels).mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats; a probability that is 0 counts as the smallest float32."""
        smallest = float(np.finfo(np.float32).tiny)
        return float(-np.log(np.maximum(self.of_truth.astype(np.float64), smallest)).mean())

    def top(self, k: int) -> float:
        """The part whose own class is among the `k` likeliest; equal probabilities count in order, as `argmax` does."""
        likeliest = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((likeliest == self.labels[:, np.newaxis]).any(1).mean())

    def mistakes(self) -> np.ndarray:
        """Indices of the wrong answers, the worst (those that gave the truth least) first."""
        wrong = np.flatnonzero(self.answers != self.labels)
        return wrong[np.argsort(self.of_truth[wrong], kind="stable")]

    def confusion(self) -> np.ndarray:
        """How many images of each class (row) were taken for each (column), `[classes, classes]`."""
        classes = len(self.class_names)
        return np.bincount(self.labels * classes + self.answers, minlength=classes**2).reshape(classes, classes)

    def confused(self, count: int = 3) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: `(class, taken for, images)`."""
        errors = self.confusion()
        np.fill_diagonal(errors, 0)
        pairs = np.argsort(-errors, axis=None, kind="stable")[:count]
        found = ((*np.unravel_index(pair, errors.shape), int(errors.flat[pair])) for pair in pairs)
        return [(self.class_names[row], self.class_names[column], n) for row, column, n in found if n]


def draw_confusion(judgement: Judgement, picture: Path) -> None:
    """The confusion matrix as a picture: rows are the truth, columns the answers, colour the part of the row.

    Small parts are raised (a power of 0.4): it is the mistakes that are looked for.
    """
    counts, names = judgement.confusion(), judgement.class_names
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(4.0, 0.5 * len(names)), 12.0)
    figure, axes = plt.subplots(figsize=(side + 1.5, side), layout="constrained")
    shown = axes.imshow(parts, cmap="Blues", norm=PowerNorm(0.4, 0.0, 1.0), interpolation="nearest")
    figure.colorbar(shown, ax=axes, ticks=[0, 0.01, 0.1, 0.5, 1], format="{x:g}", label="part of the class")
    axes.set(xlabel="answer", ylabel="truth", title=f"accuracy {judgement.accuracy:.2%} of {len(judgement.labels):,}")
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    if len(names) <= COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if parts[row, column] > 0.3 else "black"
                axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize="small")
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def draw_mistakes(judgement: Judgement, numbers: np.ndarray, images: Sequence[np.ndarray], picture: Path) -> None:
    """The worst mistakes as a contact sheet: each image with its class, the answer, and how sure it was.

    Args:
        judgement: Of all images.
        numbers: Which of them to show, one at least.
        images: These, uint8 `[height, width, channels]` each.
        picture: The PNG file to write.
    """
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.7 * columns, 2.0 * rows), layout="constrained", squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for index, image, axes in zip(numbers, images, grid.flat, strict=False):
        answer = judgement.answers[index]
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        sure = judgement.probabilities[index, answer]
        names = judgement.class_names
        title = f"{_short(names[judgement.labels[index]])}\n→ {_short(names[answer])} {sure:.0%}"
        axes.set_title(title, fontsize="small", parse_math=False)
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def _short(name: str) -> str:
    """A name that fits above a picture."""
    return name if len(name) <= 18 else f"{name[:17]}…"
