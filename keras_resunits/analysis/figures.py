"""Figures that a notebook shows."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Shown(Figure):
    """A figure that a notebook shows where it ends a cell.

    Matplotlib's own figures are shown only if pyplot made them, and pyplot keeps them and chooses a backend for the
    whole process.
    """

    def _repr_png_(self) -> bytes:
        pixels = BytesIO()
        self.savefig(pixels, format="png")
        return pixels.getvalue()
