"""Draw residual units from the objects themselves.

python docs/draw_units.py docs/images/units.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

import keras_resunits as kr

COLOURS = {"conv": "#ffd9a0", "norm": "#bfe3c6", "act": "#c9d7f5", "other": "#e8e8e8"}
SLOT = kr.Slot(index=1, total=3, in_filters=64, filters=64)
WIDER = kr.Slot(index=1, total=3, in_filters=64, filters=128, strides=2)
UNITS = {  # title: (recipe, slot)
    "(a) original\n": (kr.Recipe(kr.basic, kr.PostAct(), kr.zero_pad), SLOT),
    "(b) BN after\naddition": (kr.Recipe(kr.basic, kr.BnAfterAdd(), kr.zero_pad), SLOT),
    "(c) ReLU before\naddition": (kr.Recipe(kr.basic, kr.ReluBeforeAdd(), kr.zero_pad), SLOT),
    "(d) ReLU-only\npre-activation": (kr.Recipe(kr.basic, kr.ReluOnlyPreAct(), kr.zero_pad), SLOT),
    "(e) full\npre-activation": (kr.Recipe(kr.basic, kr.FullPreAct(), kr.zero_pad), SLOT),
    "(a) with option A,\nwider": (kr.Recipe(kr.basic, kr.PostAct(), kr.zero_pad), WIDER),
    "(e) bottleneck,\nprojection, wider": (kr.Recipe(kr.bottleneck, kr.FullPreAct(), kr.projection), WIDER),
}


def leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a slot, without containers and identities."""
    if isinstance(layer, kr.Series):
        return [leaf for child in layer.layers for leaf in leaves(child)]
    return [] if isinstance(layer, keras.layers.Identity) else [layer]


def label(layer: keras.layers.Layer) -> tuple[str, str]:
    """`(text, colour)` of a layer."""
    if isinstance(layer, keras.layers.Conv2D):
        size, strides = layer.kernel_size[0], layer.strides[0]
        return f"{size}x{size}, {layer.filters}" + (f", /{strides}" if strides > 1 else ""), COLOURS["conv"]
    if isinstance(layer, keras.layers.BatchNormalization):
        return "BN", COLOURS["norm"]
    if isinstance(layer, kr.ZeroPad):
        return f"pad {layer.extra}, /{layer.strides}", COLOURS["other"]
    return type(layer).__name__, COLOURS["act"]


def draw_column(axes, layers, x: float, top: float, width: float = 1.15) -> float:
    """Boxes from `top` down along `x`; returns where they end."""
    for layer in layers:
        text, colour = label(layer)
        box = FancyBboxPatch((x - width / 2, top - 0.62), width, 0.5, "round,pad=0.02", fc=colour, ec="#555", lw=0.8)
        axes.add_patch(box)
        axes.text(x, top - 0.37, text, ha="center", va="center", fontsize=8)
        top -= 0.72
    return top


def draw_unit(axes, title: str, unit: kr.Unit) -> None:
    """One unit: entry, fork, shortcut left, branch right, merge, exit."""
    line = {"color": "#555", "lw": 1.0, "zorder": 0}
    right, left = 0.55, -0.75
    entry, exit_ = leaves(unit.entry), leaves(unit.exit)
    shortcut, branch = leaves(unit.shortcut), leaves(unit.branch)
    fork = draw_column(axes, entry, right, -0.35)
    bottom = draw_column(axes, branch, right, fork - 0.25) - 0.25
    if shortcut:
        height = 0.72 * len(shortcut)
        draw_column(axes, shortcut, left, (fork + bottom + height) / 2)
    end = draw_column(axes, exit_, right, bottom - 0.2)
    axes.plot([right, right], [0, end - 0.25], **line)
    axes.plot([right, left, left, right], [fork, fork, bottom, bottom], **line)
    axes.text(
        right,
        bottom,
        "+",
        ha="center",
        va="center",
        fontsize=11,
        zorder=3,
        bbox={"boxstyle": "circle,pad=0.12", "fc": "white", "ec": "#555"},
    )
    axes.text(right, 0.12, "$x$", ha="center", fontsize=11)
    axes.text(right, end - 0.62, "$x'$", ha="center", fontsize=11)
    axes.set_title(title, fontsize=9)
    axes.set(xlim=(-1.45, 1.25), ylim=(-8.3, 0.5))
    axes.axis("off")


def main(path: Path) -> None:
    """Draw all of `UNITS` side by side."""
    figure, panels = plt.subplots(1, len(UNITS), figsize=(13, 5.6), layout="constrained")
    for axes, (title, (recipe, slot)) in zip(panels, UNITS.items(), strict=True):
        draw_unit(axes, title, recipe(slot))
    figure.suptitle(r"$z = e(x), \qquad x' = f(\,M(h(z),\, F(z);\, z)\,)$", fontsize=15)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
