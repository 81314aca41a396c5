"""What an analysis returns: rows for a table, arrays for computing, and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, repr=False)
class Record:
    """The result of an analysis, which prints as a table.

    Args:
        rows: The table, a dict for each row, with the same keys in each.
        arrays: The same figures and those that fit in no table, by name.
    """

    rows: Sequence[dict[str, Any]]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.rows:
            return "no rows"
        table = [list(self.rows[0]), *([cell(value) for value in row.values()] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = (
            "  ".join(
                text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in table
        )
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def cell(value) -> str:
    """Return a value of a table as text.

    >>> [cell(value) for value in (None, "unit000", 3, 0.25, 1e-7)]
    ['-', 'unit000', '3', '0.25', '1e-07']
    """
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plain(value) -> float | None:
    """Return a number for a row: a float, or `None` where it is NaN.

    >>> plain(np.float32(0.5)), plain(float("nan"))
    (0.5, None)
    """
    return None if np.isnan(value) else float(value)


def rows_of(names: Sequence[str], title: str, **columns) -> list[dict[str, Any]]:
    """Return a row for each name, with its entry of every column.

    >>> rows_of(["a", "b"], "unit", cost=np.array([1.0, np.nan]))
    [{'unit': 'a', 'cost': 1.0}, {'unit': 'b', 'cost': None}]
    """
    return [
        {title: name, **{column: plain(values[i]) for column, values in columns.items()}}
        for i, name in enumerate(names)
    ]
