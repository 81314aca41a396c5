"""Draw residual units from the objects themselves.

python tools/draw_units.py docs/images/units.png              the five orders of He et al. 2016, Fig. 4
python tools/draw_units.py --gallery docs/images/gallery.png  every kind of shortcut, merge and tail
"""

from __future__ import annotations

import argparse

import keras
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

import keras_resunits as kr
from keras_resunits.layers.words import word
from keras_resunits.models.fractal import Fractal
from keras_resunits.models.keras_layouts import pooled_projection

COLOURS = {"conv": "#ffd9a0", "norm": "#bfe3c6", "act": "#c9d7f5", "gate": "#f3c6cf", "other": "#e8e8e8"}
SAME = kr.Slot(index=1, total=3, in_filters=64, filters=64)
WIDER = kr.Slot(index=1, total=3, in_filters=64, filters=128, strides=2)
STRIDED = kr.Slot(index=1, total=3, in_filters=256, filters=256, strides=2)
GROWN = kr.Slot(index=1, total=3, in_filters=64, filters=76)
HALVED = kr.Slot(index=1, total=3, in_filters=64, filters=32, strides=2)
POST, PRE = kr.PostAct(), kr.FullPreAct()


def drawn(*choices, slot=SAME, **more) -> kr.Unit:
    """A unit, built, so that its layers know their shapes."""
    unit = kr.Recipe(*choices, **more)(slot)
    unit.build((None, 32, 32, slot.in_filters))
    return unit


ORDERS = {
    "(a) original": drawn(kr.basic, POST, kr.zero_pad),
    "(b) BN after\naddition": drawn(kr.basic, kr.BnAfterAdd(), kr.zero_pad),
    "(c) ReLU before\naddition": drawn(kr.basic, kr.ReluBeforeAdd(), kr.zero_pad),
    "(d) ReLU-only\npre-activation": drawn(kr.basic, kr.ReluOnlyPreAct(), kr.zero_pad),
    "(e) full\npre-activation": drawn(kr.basic, PRE, kr.zero_pad),
    "(a) with option A,\nwider": drawn(kr.basic, POST, kr.zero_pad, slot=WIDER),
    "(e) bottleneck,\nprojection, wider": drawn(kr.bottleneck, PRE, kr.projection, slot=WIDER),
}


def of_network(model: keras.Model, name: str) -> kr.Unit:
    """A unit as it stands in a network."""
    return model.get_layer(name)


def gallery() -> dict[str, kr.Unit]:
    """One unit of every kind."""
    dense = kr.DenseNet(depth=[1, 1, 1], growth=12, input_shape=(8, 8, 3))
    connected = kr.FullyConnectedResNet(2, input_shape=(8, 8, 1), tail="residual_gate")
    return {
        "plain": drawn(kr.basic, POST, kr.identity, kr.branch_only),
        "constant scaling": drawn(kr.basic, POST, kr.constant_scaling, tail=kr.branch_scaling),
        "exclusive gating": drawn(kr.basic, POST, kr.zero_pad, kr.exclusive_gating),
        "shortcut-only\ngating": drawn(kr.basic, POST, kr.shortcut_gating),
        "1x1 conv shortcut": drawn(kr.basic, POST, kr.conv_1x1),
        "dropout shortcut": drawn(kr.basic, POST, kr.dropout),
        "option C": drawn(kr.basic, POST, kr.projection_always),
        "option A that\naverages": drawn(kr.basic, POST, kr.avg_pool_pad, slot=WIDER),
        "gated residual": drawn(kr.basic, PRE, kr.zero_pad, tail=kr.residual_gate),
        "gated plain": drawn(kr.single, kr.ReluBeforeAdd(), kr.zero_pad, kr.scalar_highway),
        "highway": drawn(kr.single, kr.ReluBeforeAdd(), kr.zero_pad, kr.highway),
        "stochastic depth": drawn(kr.basic, POST, kr.zero_pad, tail=kr.stochastic_depth),
        "squeeze and excite": drawn(kr.basic, POST, kr.zero_pad, tail=kr.squeeze_excite),
        "LayerScale": drawn(kr.basic, PRE, kr.zero_pad, tail=kr.layer_scale),
        "ReZero": drawn(kr.basic, kr.ReluBeforeAdd(), kr.zero_pad, tail=kr.rezero),
        "Fixup": drawn(kr.basic, kr.Fixup(), kr.zero_pad),
        "wide, dropout": drawn(kr.wide_basic(0.3), PRE, kr.projection),
        "dense": of_network(dense, "unit000"),
        "transition": of_network(dense, "unit001"),
        "pre-activation of\nthe branch alone": drawn(kr.basic, kr.PreActBranch(), kr.zero_pad),
        "looks-linear": drawn(kr.basic, kr.looks_linear(), kr.zero_pad, kr.branch_only),
        "SkipInit": drawn(kr.basic, kr.FullPreAct(norm=kr.no_norm), kr.zero_pad, tail=kr.rezero),
        "dropped-out branch": drawn(kr.basic, PRE, kr.zero_pad, tail=kr.branch_dropout),
        "wide bottleneck": drawn(kr.wide_bottleneck(2), POST, kr.projection, slot=STRIDED),
        "v1.5, strided": drawn(kr.bottleneck_v1_5, POST, kr.projection, slot=STRIDED),
        "fully connected,\ngated": of_network(connected, "unit000"),
        "fractal": of_network(kr.FractalNet(3, filters=(64, 128), dropout=(0.0, 0.1)), "unit001"),
        "Keras' V2, strided": drawn(kr.bottleneck_v1_5, kr.PreActOnWidening(), pooled_projection, slot=STRIDED),
    }


def leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a slot, without containers and identities."""
    if isinstance(layer, kr.Series):
        return [leaf for child in layer.layers for leaf in leaves(child)]
    if isinstance(layer, kr.GatedCarry):
        return [*leaves(layer.shortcut), layer]
    return [] if isinstance(layer, keras.layers.Identity) else [layer]


def gate_formula(layer) -> str:
    """What opens a unit's gate, a sigmoid of a convolution; nothing for a layer without one."""
    if not isinstance(layer, (kr.Highway, kr.GatedCarry)):
        return ""
    (size,) = {leaf.kernel_size for leaf in leaves(layer.gate) if isinstance(leaf, keras.layers.Conv2D)}
    letter = "T" if isinstance(layer, kr.Highway) else "g"
    return rf"${letter} = \sigma({size[0]}{{\times}}{size[1]}\ \mathrm{{conv}}(z))$"


def label(layer: keras.layers.Layer) -> tuple[str, str]:
    """`(text, colour)` of a layer."""
    if isinstance(layer, keras.layers.Conv2D):
        size, strides = layer.kernel_size[0], layer.strides[0]
        return f"{size}x{size}, {layer.filters}" + (f", /{strides}" if strides > 1 else ""), COLOURS["conv"]
    if isinstance(layer, keras.layers.Dense):
        return f"dense, {layer.units}", COLOURS["conv"]
    if isinstance(layer, keras.layers.BatchNormalization):
        return "BN", COLOURS["norm"]
    if isinstance(layer, kr.ZeroPad):
        return f"pad {layer.extra}, /{layer.strides}", COLOURS["other"]
    if isinstance(layer, kr.GatedCarry):
        return r"$\times\,(1 - g)$", COLOURS["gate"]
    if isinstance(layer, kr.ScalarGate):
        return r"$\times\,g(k)$" if layer.g is not keras.activations.linear else r"$\times\,\alpha$", COLOURS["gate"]
    if isinstance(layer, kr.Scale):
        return r"$\times\,s$", COLOURS["gate"]
    if isinstance(layer, (kr.StochasticDepth, kr.LayerScale, kr.SqueezeExcite, kr.Dropout)):
        return word(layer).replace("_", " "), COLOURS["gate"]
    if isinstance(layer, Fractal):
        return f"{len(layer.columns)} columns", COLOURS["conv"]
    if isinstance(layer, (keras.layers.ReLU, kr.CReLU)):
        return type(layer).__name__, COLOURS["act"]
    return word(layer), COLOURS["other"]


MARKS = {kr.Add: "+", kr.Concat: "[ , ]", kr.Highway: "$1-T : T$", kr.ScalarHighway: "$1-g : g$"}


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
    plain = isinstance(unit.merge, kr.BranchOnly)
    shortcut, branch = leaves(unit.shortcut), leaves(unit.branch)
    fork = draw_column(axes, leaves(unit.entry), right, -0.35)
    bottom = draw_column(axes, branch, right, fork - 0.25) - 0.25
    if shortcut and not plain:
        draw_column(axes, shortcut, left, (fork + bottom + 0.72 * len(shortcut)) / 2)
    end = draw_column(axes, leaves(unit.exit), right, bottom - 0.2)
    axes.plot([right, right], [0, end - 0.25], **line)
    if not plain:
        axes.plot([right, left, left, right], [fork, fork, bottom, bottom], **line)
        box = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": "#555"}
        mark = MARKS[type(unit.merge)]
        axes.text(right, bottom, mark, ha="center", va="center", fontsize=11 if mark == "+" else 8, zorder=3, bbox=box)
    axes.text(right, 0.12, "$x$", ha="center", fontsize=11)
    axes.text(right, end - 0.62, "$x'$", ha="center", fontsize=11)
    formula = "".join(gate_formula(layer) for layer in [*shortcut, unit.merge])
    axes.text(-0.1, end - 1.15, formula, ha="center", fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.set(xlim=(-1.45, 1.25), ylim=(-8.3, 0.5))
    axes.axis("off")


def draw(path: str, units: dict[str, kr.Unit], columns: int = 7) -> None:
    """All units, so many beside each other."""
    rows = -(-len(units) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(13, 5.2 * rows), layout="constrained", squeeze=False)
    for axes in panels.flat[len(units) :]:
        axes.axis("off")
    for axes, (title, unit) in zip(panels.flat, units.items(), strict=False):
        draw_unit(axes, title, unit)
    figure.suptitle(r"$z = e(x), \qquad x' = f(\,M(h(z),\, F(z);\, z)\,)$", fontsize=15)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="the picture to write")
    parser.add_argument("--gallery", action="store_true", help="units of the families")
    arguments = parser.parse_args()
    draw(arguments.path, gallery() if arguments.gallery else ORDERS)
