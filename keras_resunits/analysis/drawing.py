"""Axes for the pictures of an analysis. Matplotlib is imported only here, when something is drawn."""

from __future__ import annotations

from typing import Any

COLOURS = ("#3b6fb6", "#d1603d", "#4a9a6b", "#8a62b3", "#b08a2e", "#c2588f", "#5f6b73")


def axes_or_new(ax: Any, size: tuple[float, float] = (6.4, 3.6)) -> Any:
    """Return the axes to draw in: those given, or those of a new figure."""
    return panels(1, size)[0] if ax is None else ax


def panels(count: int, size: tuple[float, float] = (3.2, 3.4)) -> list[Any]:
    """Return axes side by side, which share their vertical axis, in a new figure."""
    from keras_resunits.analysis.figures import Shown

    wide, high = size
    figure = Shown((wide * count, high), dpi=120, layout="constrained")
    return list(figure.subplots(1, count, sharey=True, squeeze=False)[0])


def finished(ax: Any, title: str, x: str, y: str, legend: bool = True) -> Any:
    """Label axes, and return them."""
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(fontsize=8, frameon=False)
    return ax


def name_units(ax: Any, names, along: str = "x") -> None:
    """Write the names of units along the horizontal axis, or the vertical one, ten at most."""
    step = max(1, -(-len(names) // 10))
    texts = [str(name).removeprefix("unit") for name in names[::step]]
    getattr(ax, f"{along}axis").set_ticks(range(0, len(names), step), texts)
