"""A run's history, one row per epoch, and its plot."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from ..process.errors import StorageError
from ..process.files import whole


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of a CSV history, by name; missing values (`NA`) are NaN.

    Raises:
        StorageError: if the file is not a history, or a row is truncated.
    """
    try:
        with open(path, newline="") as file:
            names, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        return {
            name: [float("nan" if value == "NA" else value) for value in column]
            for name, column in zip(names, columns, strict=True)
        }
    except (ValueError, csv.Error) as error:
        raise StorageError(f"{path} is damaged ({error}): fix it, or remove it to start a new one.") from None


def cut_history(path: Path, epochs: int) -> None:
    """Remove the rows of epochs `epochs` (counted from 0) and later, which no checkpoint covers."""
    if path.exists():
        with open(path, "rb") as file:  # as bytes, because `read_history` detects damage
            lines = file.readlines()
        kept = [line for line in lines if not _is_of_epoch(line, epochs)]
        if kept != lines:
            with whole(path) as unfinished, open(unfinished, "wb") as file:
                file.writelines(kept)


def _is_of_epoch(line: bytes, first: int) -> bool:
    """Whether a line is the row of epoch `first` or later."""
    number = line.split(b",", 1)[0].strip()
    return number.isdigit() and int(number) >= first


def draw_curves(histories: Mapping[str, Path], picture: Path) -> None:
    """Loss and error over the epochs, train dashed and test solid as in He et al. 2016, Fig. 6, one colour a run.

    The legends give each run's last test value.

    Args:
        histories: CSV histories (`epoch, loss, accuracy, val_loss, val_accuracy`) by the run's name.
        picture: The PNG file to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for i, (name, path) in enumerate(histories.items()):
        history = read_history(path)
        epochs = [epoch + 1 for epoch in history["epoch"]]
        for axes, train, test in (
            (left, history["loss"], history["val_loss"]),
            (right, _error(history["accuracy"]), _error(history["val_accuracy"])),
        ):
            axes.plot(epochs, train, color=f"C{i}", linewidth=0.8, linestyle="--")
            axes.plot(epochs, test, color=f"C{i}", linewidth=1.8, label=f"{name}: {test[-1]:.3g}")
    left.set(xlabel="epoch", ylabel="loss (dashed: train, solid: test)", yscale="log")
    right.set(xlabel="epoch", ylabel="error, % (dashed: train, solid: test)", yscale="log")
    for axes in (left, right):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    with whole(picture) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)


def _error(accuracy: list[float]) -> list[float]:
    """In %, never below the 0.01 that a logarithmic axis can show."""
    return [max(100 * (1 - a), 0.01) for a in accuracy]
