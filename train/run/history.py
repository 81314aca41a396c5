"""A run's history, one row per epoch, and its plot."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from ..process.errors import StorageError
from ..process.files import whole

Pairs = list[tuple[str, dict[str, list[float]]]]
Histories = Mapping[str, Path] | Iterable[tuple[str, Path]]

DOTS = (1, 3)  # on and off, in widths of the line
STYLES: dict[str, dict] = {
    "train": {"linestyle": "--", "linewidth": 0.9, "markerfacecolor": "white"},
    "test": {"linestyle": "-", "linewidth": 1.8},
    "test, averaged weights": {"linestyle": "-.", "linewidth": 1.2, "marker": "s"},
    "learning rate drops (to 1/3 or less)": {"linestyle": (0, DOTS), "linewidth": 1.1},
}
TRAIN, TEST, AVERAGED, FALL = STYLES

LOSSES = {TRAIN: "loss", TEST: "val_loss", AVERAGED: "val_ema_loss"}
ACCURACIES = {TRAIN: "accuracy", TEST: "val_accuracy", AVERAGED: "val_ema_accuracy"}


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of a CSV history, by name; missing values (`NA`) are NaN, and epochs count from 1.

    Raises:
        StorageError: if the file cannot be read, is not a history, or a row is truncated.
    """
    try:
        text = b"".join(lines(path)).decode()
        names, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        read = {
            name: [float("nan" if value == "NA" else value) for value in column]
            for name, column in zip(names, columns, strict=True)
        }
        return read | {"epoch": [1 + epoch for epoch in read["epoch"]]} if 0 in read.get("epoch", ()) else read
    except (ValueError, csv.Error) as error:
        raise StorageError(f"{path} is damaged ({error}): fix it, or remove it to start a new one.") from None


def cut_history(path: Path, epochs: int) -> None:
    """Keep the rows of the first `epochs` epochs; no checkpoint covers later ones."""
    if path.exists():
        rows, first = lines(path), first_epoch(path)
        kept = [line for line in rows if (number := _number(line)) is None or number < first + epochs]
        if kept != rows:
            with whole(path) as unfinished, open(unfinished, "wb") as file:
                file.writelines(kept)


def first_epoch(path: Path) -> int:
    """The number of a history's first epoch: 0 in those of earlier versions and of Keras, 1 in others.

    The row of epoch 0 tells. A history that lost it counts from 1 from then on.
    """
    return 0 if path.exists() and 0 in map(_number, lines(path)) else 1


def lines(path: Path) -> list[bytes]:
    """The lines of a history, as bytes, because `read_history` detects damage.

    Raises:
        StorageError: if the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.readlines()
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}).") from None


def _number(line: bytes) -> int | None:
    """The epoch of a row, or `None` for another line."""
    number = line.split(b",", 1)[0].strip()
    return int(number) if number.isdigit() else None


def draw_curves(histories: Histories, picture: Path, watched: str = "test") -> None:
    """Save the figure of `curves_figure`, with the same arguments, to `picture`, a PNG file."""
    figure = curves_figure(histories, watched)
    with whole(picture) as unfinished:
        figure.savefig(unfinished)


def curves_figure(histories: Histories, watched: str = "test", kind: type[Figure] = Figure) -> Figure:
    """Draw loss and error over the epochs, train dashed and test solid as in He et al. 2016, Fig. 6, one colour a run.

    The legend has each run's last test values. Thin dotted lines mark where a step of the schedule lowers the learning
    rate, halfway between the epochs that end before and after it. Axes are logarithmic where values span a factor of
    five or more; a value of 0 has a place of its own at the bottom.

    Args:
        histories: CSV histories (`epoch, loss, accuracy, val_loss, val_accuracy`, where there are any also
            `val_ema_accuracy` and `learning_rate`) by the run's name, or pairs, whose names may be equal.
        watched: The split of the columns `val_...`, for the legend.
        kind: The class of the figure. Defaults to matplotlib's.

    Raises:
        StorageError: if a history is damaged.
    """
    named = histories.items() if isinstance(histories, Mapping) else histories
    runs = _told_apart([(name, read_history(path)) for name, path in named])
    figure = kind(figsize=(10.0, 4.2 + 0.22 * max(len(runs), len(STYLES))), dpi=120, layout="constrained")
    epochs = max((len(history.get("epoch", [])) for _, history in runs), default=0)
    for axes, label, columns in zip(figure.subplots(1, 2), ("loss", "error, %"), (LOSSES, ACCURACIES), strict=True):
        curves = [{style: history.get(name, []) for style, name in columns.items()} for _, history in runs]
        if columns is ACCURACIES:
            curves = [{style: _error(values) for style, values in each.items()} for each in curves]
        for i, (_, history) in enumerate(runs):
            _draw_run(axes, history, curves[i], i)
        _scale_epochs(axes, max(epochs, 1))
        _scale_values(axes, [value for each in curves for values in each.values() for value in values])
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
    what = _shortened(runs[0][0]) if len(runs) == 1 else f"{len(runs)} runs"
    figure.suptitle(f"Loss and error over the epochs: {what}", parse_math=False)
    _draw_legend(figure, runs, watched)
    return figure


def _told_apart(runs: Pairs) -> Pairs:
    """The runs; those of equal names are numbered in their order.

    >>> [name for name, _ in _told_apart([("a", {}), ("b", {}), ("a", {})])]
    ['a (1)', 'b', 'a (2)']
    """
    often, met = Counter(name for name, _ in runs), Counter[str]()
    found: Pairs = []
    for name, history in runs:
        met[name] += 1
        found.append((f"{name} ({met[name]})" if often[name] > 1 else name, history))
    return found


def _draw_run(axes: Axes, history: dict[str, list[float]], curves: dict[str, list[float]], number: int) -> None:
    """One run's curves in its colour, and where its learning rate falls."""
    epochs = history.get("epoch", [])
    for style, values in curves.items():
        if values:
            look = {"marker": "o", "markersize": 5, "markevery": _alone(values), "color": _colour(number)}
            axes.plot(epochs, values, **{**look, **STYLES[style], "gid": style})
    for epoch in _falls(history.get("learning_rate", [])):
        dots = {"linestyle": (2 * number, DOTS)}  # of two runs that fall together they stand side by side
        axes.axvline(epochs[epoch] - 0.5, color=_colour(number), zorder=1, gid=FALL, **{**STYLES[FALL], **dots})


def _colour(number: int):
    """A colour for each of twenty runs; the first ten are matplotlib's."""
    return colormaps["tab20"]((2 * number + number // 10) % 20)


def _alone(values: list[float]) -> list[int]:
    """Where a value has no neighbours to draw a line to: of a single epoch, or between others that are NaN.

    >>> _alone([1.0]), _alone([1.0, 2.0, float("nan"), 4.0])
    ([0], [3])
    """
    there = [False, *map(math.isfinite, values), False]
    return [i for i in range(len(values)) if there[i + 1] and not there[i] and not there[i + 2]]


def _falls(rates: list[float]) -> list[int]:
    """The epochs whose learning rate is at most a third of the one before, by a step and not along a smooth schedule.

    Along a step the rate stays as it is on one side of the fall; the end of a cosine falls as steeply, and does not.

    >>> _falls([0.1, 0.1, 0.01, 0.001, 0.001]), _falls([0.1, 0.05, 0.01, 0.001])
    ([2, 3], [])
    """
    steady = [math.isclose(before, after, rel_tol=0.01) for before, after in pairwise(rates)]
    beside = [False, *steady, False]
    return [i for i in range(1, len(rates)) if rates[i - 1] > 2.99 * rates[i] and (beside[i - 1] or beside[i + 1])]


def _error(accuracy: list[float]) -> list[float]:
    """In %; what float32 leaves of an error of none is 0.

    >>> _error([0.75, 0.99999994])
    [25.0, 0.0]
    """
    return [0.0 if abs(1 - a) < 1e-7 else 100 * (1 - a) for a in accuracy]


def _scale_epochs(axes: Axes, epochs: int) -> None:
    """Whole epochs, of a single one too."""
    ticks = MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]).tick_values(1, max(epochs, 2))
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= epochs])
    margin = max(0.5, 0.02 * epochs)
    axes.set_xlim(1 - margin, epochs + margin)


def _scale_values(axes: Axes, drawn: list[float]) -> None:
    """Logarithmic where the values span a factor of five or more, with a zero, if there is one, below the smallest."""
    values = [value for value in drawn if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    least, most, zero = min(positive, default=1.0), max(positive, default=1.0), len(positive) < len(values)
    if most < 5 * least:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.margins(y=0.08)
        if zero:
            axes.set_ylim(-0.04 * most, 1.05 * most)
        return
    margin = (most / least) ** 0.05
    low, high = least / margin, most * margin
    if zero:
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
    else:
        axes.set_yscale("log")
    axes.set_ylim(-0.3 * least if zero else low, high)
    axes.yaxis.set_major_locator(FixedLocator([0.0] * zero + _ticks(least if zero else low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... from `low` to `high`; powers of ten where these would be too many, or some of those.

    >>> _ticks(0.4, 11), _ticks(0.002, 20)
    ([0.5, 1.0, 2.0, 5.0, 10.0], [0.01, 0.1, 1.0, 10.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        ticks = [tick for decade in decades for step in steps if low <= (tick := float(f"{step}e{decade}")) <= high]
        if len(ticks) <= 9:
            return ticks
    return ticks[:: math.ceil(len(ticks) / 9)]


def _draw_legend(figure: Figure, runs: Pairs, watched: str) -> None:
    """Below the panels: the runs with their last values, and beside them what the lines are."""
    lines = [line for axes in figure.axes for line in axes.lines]
    dots = any(line.get_markevery() for line in lines)
    used = {line.get_gid() for line in lines}
    left = [
        (_caption(name, history, watched), {"color": _colour(i), "linewidth": 4})
        for i, (name, history) in enumerate(runs)
    ]
    right = [
        (name.replace(TEST, watched), {"color": "0.3", "marker": "o" if dots and name != FALL else "", **style})
        for name, style in STYLES.items()
        if name in used
    ]
    rows = max(len(left), len(right))
    empty = ("", {"linestyle": ""})
    entries = [entry for column in (left, right) for entry in column + [empty] * (rows - len(column))]
    legend = figure.legend(
        [Line2D([], [], **style) for _, style in entries],
        ["?"] * len(entries),  # the texts follow: as labels they would be lost where they begin with "_"
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize="medium",
        handlelength=2.6,
    )
    for text, (caption, _) in zip(legend.get_texts(), entries, strict=True):
        text.set(text=caption, parse_math=False)


def _caption(name: str, history: dict[str, list[float]], watched: str = "test") -> str:
    """A run's name and its last values on the split that is watched.

    >>> _caption("digits", {"epoch": [1, 2], "val_loss": [0.5, 0.25], "val_accuracy": [0.75, 1.0]})
    'digits: test loss 0.250, test error 0.00 % after 2 epochs'
    """
    epochs = len(history.get("epoch", []))
    if not epochs:
        return f"{_shortened(name)}: no epoch yet"
    last = [f"{watched} loss {values[-1]:#.3g}" for values in [history.get("val_loss", [])] if values]
    last += [f"{watched} error {_error(values)[-1]:.2f} %" for values in [history.get("val_accuracy", [])] if values]
    return f"{_shortened(name)}: {', '.join(last)} after {epochs} {'epoch' if epochs == 1 else 'epochs'}"


def _shortened(name: str) -> str:
    """A name that leaves room beside it: of a long one the beginning and the end.

    >>> _shortened("cifar10-preactresnet164-mixup-label-smoothing-seed3")
    'cifar10-preactr…smoothing-seed3'
    """
    return name if len(name) <= 31 else f"{name[:15]}…{name[-15:]}"
