"""How right a classifier is: figures, a confusion matrix, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

DPI = 120
NAMED = 100  # classes; of more, only so many names fit beside the matrix
COUNTED = 25  # classes; of more, the counts do not fit into the cells
TILE, SIDE, CAPTION = 1.7, 1.58, 0.36  # inches on the contact sheet: from image to image, an image, what is above it
SMALL, TINY = 9.0, 7.0  # points


@dataclass(frozen=True)
class Judgement:
    """Probabilities beside the truth.

    Args:
        probabilities: `[n, classes]`.
        labels: `[n]`, integers below `classes`.
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
    """The confusion matrix as a picture: rows are the truth, columns the answers, colour the share of the row.

    Small shares are raised (a power of 0.4): it is the mistakes that are looked for. Up to 25 classes the cells hold
    the counts; of more than 100 classes only every second name is shown, or every third, and so on.

    Args:
        judgement: Of all images.
        picture: The PNG file to write.
    """
    classes, images = len(judgement.class_names), len(judgement.labels)
    side = min(max(3.6, 0.55 * classes), 13.0)
    cell, every = 72 * side / classes, -(-classes // NAMED)
    size = float(np.clip(0.75 * cell * every, 5.0, SMALL))
    names = [_fitted(name, 110, size) for name in judgement.class_names[::every]]
    widest = max(_width(name, size) for name in names)
    turn = 0 if widest < 0.9 * cell * every else 45 if classes <= COUNTED else 90
    below = widest * np.sin(np.radians(turn)) + 2 * size
    figure = Figure(dpi=DPI)
    axes, beside = _square(figure, side, left=(widest + 36) / 72, right=0.7, bottom=(below + 24) / 72, top=0.45)
    counts = judgement.confusion()
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    raised = PowerNorm(0.4, 0.0, 100.0)
    colours = ScalarMappable(raised, "Blues")
    axes.imshow(shares, "Blues", raised, interpolation="nearest")
    bar = figure.colorbar(colours, cax=beside, ticks=[0, 1, 10, 50, 100], format="{x:g}")
    bar.set_label("share of the true class's images, %")
    places = range(0, classes, every)
    look: dict[str, Any] = {"fontsize": size, "parse_math": False}
    anchored: dict[str, Any] = {"ha": "right", "rotation_mode": "anchor"} if turn == 45 else {}
    axes.set_xticks(places, names, rotation=turn, **look, **anchored)
    axes.set_yticks(places, names, **look)
    title = f"accuracy {100 * judgement.accuracy:.2f} % on {images:,} image{'s' * (images != 1)}"
    axes.set(xlabel="answer", ylabel="truth", title=title)
    if classes <= COUNTED:
        _write_counts(axes, counts, colours.to_rgba(shares), cell)
    figure.savefig(picture)


def _square(figure: Figure, side: float, left: float, right: float, bottom: float, top: float) -> tuple[Axes, Axes]:
    """Square axes with a narrow strip for a colour bar on their right; all in inches, the margins around both."""
    gap, strip = 0.12, 0.2
    width, height = left + side + gap + strip + right, bottom + side + top
    figure.set_size_inches(width, height)
    square = figure.add_axes((left / width, bottom / height, side / width, side / height))
    return square, figure.add_axes(((left + side + gap) / width, bottom / height, strip / width, side / height))


def _write_counts(axes: Axes, counts: np.ndarray, colours: np.ndarray, cell: float) -> None:
    """How many images, into each cell that has some; dark on light and light on dark."""
    size = min(SMALL, SMALL * 0.85 * cell / _width(f"{counts.max():,}", SMALL))
    bright = colours[..., :3] @ (0.299, 0.587, 0.114)  # as they look
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ink = "white" if bright[row, column] < 0.55 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=size)


def draw_mistakes(
    judgement: Judgement,
    numbers: np.ndarray,
    images: Sequence[np.ndarray],
    picture: Path,
    names: Sequence[str] | None = None,
) -> None:
    """The worst mistakes as a contact sheet: each image with its class, the answer, and how sure it was.

    Args:
        judgement: Of all images.
        numbers: Which of them to show, one at least.
        images: These, uint8 `[height, width, channels]` each.
        picture: The PNG file to write.
        names: Their files' names, to be shown below them; none by default.
    """
    columns = max(2, min(6, len(images)))  # two at least: room for the headline
    width, row, head = TILE * columns, CAPTION + SIDE + (0.18 if names is None else 0.28), 0.4
    height = head + row * -(-len(images) // columns)
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.text(0.5, 1 - head / 2 / height, _headline(judgement, len(images)), ha="center", va="center", fontsize=11)
    indent = TILE * (columns - min(columns, len(images))) / 2
    for i, (index, image) in enumerate(zip(numbers, images, strict=True)):
        centre, top = indent + TILE * (i % columns + 0.5), height - head - row * (i // columns) - CAPTION
        _place(figure, image, centre / width, top / height)
        _write(figure, _verdict(judgement, index), centre / width, (top + 0.04) / height, va="bottom", fontsize=SMALL)
        if names is not None:
            name = _fitted(names[i], 72 * SIDE, TINY)
            _write(figure, name, centre / width, (top - SIDE - 0.03) / height, va="top", fontsize=TINY, color="0.4")
    figure.savefig(picture)


def _place(figure: Figure, image: np.ndarray, centre: float, top: float) -> None:
    """An image in a square of `SIDE`; small ones with sharp pixels."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((centre - SIDE / width / 2, top - SIDE / height, SIDE / width, SIDE / height))
    axes.axis("off")
    sharp = max(image.shape[:2]) <= SIDE * DPI
    shown = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if sharp else "antialiased")


def _write(figure: Figure, text: str, x: float, y: float, **style) -> None:
    figure.text(x, y, text, ha="center", parse_math=False, **style)


def _verdict(judgement: Judgement, index: int) -> str:
    """An image's class, and below it the answer and how sure it was; no wider than a tile."""
    answer = judgement.answers[index]
    truth, taken = (judgement.class_names[number] for number in (judgement.labels[index], answer))
    sure, room = f" {judgement.probabilities[index, answer]:.0%}", 72 * TILE - 10
    return f"{_fitted(truth, room, SMALL)}\n{_fitted(f'→ {taken}', room - _width(sure, SMALL), SMALL)}{sure}"


def _headline(judgement: Judgement, shown: int) -> str:
    """How many mistakes are shown, of how many."""
    mistakes, images = len(judgement.mistakes()), f"of {len(judgement.labels):,} images"
    if shown < mistakes:
        return f"the {shown} worst of {mistakes:,} mistakes, {images}"
    return f"all {mistakes} mistakes, {images}" if mistakes > 1 else f"the only mistake, {images}"


def _fitted(name: str, width: float, size: float) -> str:
    """A name of at most so many points at this size; of a longer one the beginning and the end.

    >>> _fitted("dog", 60, 9), _fitted("a_class_with_a_long_name_2", 60, 9)
    ('dog', 'a_cla…me_2')
    """
    kept, written = len(name), name
    while kept > 2 and _width(written, size) > width:
        kept -= 1
        written = f"{name[: -(-kept // 2)]}…{name[len(name) - kept // 2 :]}"
    return written


def _width(text: str, size: float) -> float:
    """Of a text, in points."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0]
