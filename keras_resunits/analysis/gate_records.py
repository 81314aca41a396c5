"""The gates of a training run over its epochs (Savarese et al. 2016, sec. 4)."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_resunits.analysis.drawing import axes_or_new, finished, name_units
from keras_resunits.analysis.records import Record, plain
from keras_resunits.arguments import checked, require_path

FILE = "gates.csv"
"""The name of the record in the folder of a run."""


@dataclass(frozen=True, repr=False)
class GatesOverTime(Record):
    """What `gates_over_time` returns: a row for each epoch, with the value of every gate.

    Args:
        rows: `epoch` and a column for each unit; `None` where the record has no value.
        arrays: `epoch` `[epochs]`, and `gates` `[epoch, unit]` with NaN where the record has no value.
        units: The names of the units with gates, in order.
    """

    units: tuple[str, ...] = ()

    def plot(self, ax=None):
        """Draw the value of every gate over the epochs, as a picture: a column for each epoch, a row for each unit.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        first, last = self.arrays["epoch"][[0, -1]]
        extent = (first - 0.5, last + 0.5, len(self.units) - 0.5, -0.5)
        image = ax.imshow(self.arrays["gates"].T, aspect="auto", cmap="Blues", interpolation="nearest", extent=extent)
        name_units(ax, self.units, "y")
        ax.xaxis.get_major_locator().set_params(integer=True)
        finished(ax, "Gates over the epochs", "epoch", "unit", legend=False)
        ax.grid(False)
        ax.figure.colorbar(image, ax=ax, label="g(k)")
        return ax


@checked(path=require_path)
def gates_over_time(path: str | os.PathLike) -> GatesOverTime:
    """Read the gates that a training run recorded: `g(k)` of every unit at the end of each epoch.

    `python -m train` writes `runs/<run>/gates.csv` for every network with scalar gates. Gates start at 1. Where a unit
    has several gates, the value is their product, as for `kr.gates`.

    Args:
        path: The folder of a run, or its `gates.csv`.

    Raises:
        FileNotFoundError: if there is no record; networks without scalar gates write none.
        ValueError: if the file is not a record of gates, has no epoch yet, or a row is damaged.

    Example:

    >>> import pathlib, tempfile, keras_resunits as kr
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "gates.csv"
    >>> _ = path.write_text("epoch,unit000,unit001\\n1,0.9,1.1\\n2,0.7,1.2\\n")
    >>> kr.analysis.gates_over_time(path).rows[-1]
    {'epoch': 2, 'unit000': 0.7, 'unit001': 1.2}
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"`path` must be a run's folder or its {FILE}. Received: path='{path}', and '{file}' does not exist "
            "(gates_over_time). Networks without scalar gates write none."
        )
    units, values = _read(file)
    epochs = values[:, 0].astype(int)
    rows = [
        {"epoch": int(epoch), **{unit: plain(value) for unit, value in zip(units, row, strict=True)}}
        for epoch, row in zip(epochs, values[:, 1:], strict=True)
    ]
    return GatesOverTime(rows, {"epoch": epochs, "gates": values[:, 1:]}, units)


def _read(file: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the units, and `[epoch, column]` whose first column is the epoch."""
    with open(file, newline="") as lines:
        names, *rows = [row for row in csv.reader(lines) if row] or [[]]
    if names[:1] != ["epoch"] or not names[1:] or not rows:
        raise ValueError(
            f"`path` must be a record of gates, with 'epoch', units and at least one row. Received: '{file}' with "
            f"{', '.join(names[:3]) or 'nothing'} ... and {len(rows)} rows (gates_over_time)."
        )
    try:
        return tuple(names[1:]), np.array([_numbers(row, len(names)) for row in rows])
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged: {error} (gates_over_time).") from None


def _numbers(row: list[str], count: int) -> list[float]:
    """Return the numbers of a row; refuse rows that are cut off or hold something else.

    >>> _numbers(["1", "0.5", "NA"], 3)
    [1, 0.5, nan]
    """
    if len(row) != count:
        raise ValueError(f"a row must have {count} values. Received: {len(row)}, {row}")
    return [int(row[0]), *(float("nan" if cell == "NA" else cell) for cell in row[1:])]
