"""Draw the documentation's pictures of residual units.

python tools/draw_units.py docs/images/units.png              the five orders of He et al. 2016, Fig. 4
python tools/draw_units.py docs/images/gallery.png --gallery  shortcuts, merges, tails, orders and bodies
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # the clone, where the package is not installed

import keras_resunits as kr
from keras_resunits.analysis.unit_pictures import Picture, picture, pictures
from keras_resunits.models.keras_layouts import pooled_projection


def save(figure: Figure, path: str) -> None:
    """As a PNG of 64 colours, a quarter as large as one of all."""
    pixels = BytesIO()
    figure.savefig(pixels)
    Image.open(pixels).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


SAME = kr.Slot(index=1, total=3, in_filters=64, filters=64)
WIDER = kr.Slot(index=1, total=3, in_filters=64, filters=128, strides=2)
STRIDED = kr.Slot(index=1, total=3, in_filters=256, filters=256, strides=2)
POST, PRE, RELU_LAST = kr.PostAct(), kr.FullPreAct(), kr.ReluBeforeAdd()


def made(*choices, slot: kr.Slot = SAME, **more) -> kr.Unit:
    """A unit of these choices."""
    return kr.Recipe(*choices, **more)(slot)


def orders() -> dict[str, list[Picture]]:
    """The five orders of He et al. 2016, Fig. 4, and two units that change the shape."""
    units = {
        "(a) original": made(kr.basic, POST, kr.zero_pad),
        "(b) BN after\naddition": made(kr.basic, kr.BnAfterAdd(), kr.zero_pad),
        "(c) ReLU before\naddition": made(kr.basic, RELU_LAST, kr.zero_pad),
        "(d) ReLU-only\npre-activation": made(kr.basic, kr.ReluOnlyPreAct(), kr.zero_pad),
        "(e) full\npre-activation": made(kr.basic, PRE, kr.zero_pad),
        "(a) wider,\noption A": made(kr.basic, POST, kr.zero_pad, slot=WIDER),
        "(e) wider,\noption B": made(kr.basic, PRE, kr.projection, slot=WIDER),
    }
    return {"": pictures(units)}


def gallery() -> dict[str, list[Picture]]:
    """Units of every kind."""
    dense = kr.DenseNet(depth=[1, 1, 1], growth=12, input_shape=(8, 8, 3))
    connected = kr.FullyConnectedResNet(2, input_shape=(8, 8, 1), tail="residual_gate")
    fractal = kr.FractalNet(3, filters=(64, 128), dropout=(0.0, 0.1))
    rows = {
        "shortcuts h": {
            "constant scaling": made(kr.basic, POST, kr.constant_scaling, tail=kr.branch_scaling),
            "shortcut-only\ngating": made(kr.basic, POST, kr.shortcut_gating),
            "1x1 convolution": made(kr.basic, POST, kr.conv_1x1),
            "dropout": made(kr.basic, POST, kr.dropout),
            "option C": made(kr.basic, POST, kr.projection_always),
        },
        "merges M": {
            "none: a plain\nnetwork": made(kr.basic, POST, kr.identity, kr.branch_only),
            "none: a network\nthat looks linear": made(kr.basic, kr.looks_linear(), kr.zero_pad, kr.branch_only),
            "exclusive gating": made(kr.basic, POST, kr.zero_pad, kr.exclusive_gating),
            "highway": made(kr.single, RELU_LAST, kr.zero_pad, kr.highway),
            "gated plain": made(kr.single, RELU_LAST, kr.zero_pad, kr.scalar_highway),
            "DenseNet": dense.get_layer("unit000"),
            "its transition": dense.get_layer("unit001"),
        },
        "tails: the end of F": {
            "stochastic depth": made(kr.basic, POST, kr.zero_pad, tail=kr.stochastic_depth),
            "squeeze-and-\nexcitation": made(kr.basic, POST, kr.zero_pad, tail=kr.squeeze_excite),
            "residual gate": made(kr.basic, PRE, kr.zero_pad, tail=kr.residual_gate),
            "LayerScale": made(kr.basic, PRE, kr.zero_pad, tail=kr.layer_scale),
            "ReZero": made(kr.basic, RELU_LAST, kr.zero_pad, tail=kr.rezero),
            "SkipInit": made(kr.basic, kr.FullPreAct(norm=kr.no_norm), kr.zero_pad, tail=kr.rezero),
            "dropout": made(kr.basic, PRE, kr.zero_pad, tail=kr.branch_dropout),
        },
        "orders and bodies": {
            "Fixup": made(kr.basic, kr.Fixup(), kr.zero_pad),
            "pre-activation\nof F only": made(kr.basic, kr.PreActBranch(), kr.zero_pad),
            "bottleneck": made(kr.bottleneck, POST, kr.zero_pad),
            "wide, with\ndropout": made(kr.wide_basic(0.3), PRE, kr.projection),
            "fully connected,\ngated": connected.get_layer("unit000"),
            "FractalNet": fractal.get_layer("unit001"),
        },
        "units that change the shape": {
            "option A that\naverages": made(kr.basic, POST, kr.avg_pool_pad, slot=WIDER),
            "wide bottleneck": made(kr.wide_bottleneck(2), POST, kr.projection, slot=STRIDED),
            "ResNet v1.5": made(kr.bottleneck_v1_5, POST, kr.projection, slot=STRIDED),
            "pre-activation,\noption B": made(kr.bottleneck, PRE, kr.projection, slot=WIDER),
            "Keras' ResNet V2": made(kr.bottleneck_v1_5, kr.PreActOnWidening(), pooled_projection, slot=STRIDED),
        },
    }
    return {heading: pictures(units) for heading, units in rows.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="the picture to write")
    parser.add_argument("--gallery", action="store_true", help="units of every kind")
    arguments = parser.parse_args()
    save(picture(gallery() if arguments.gallery else orders()), arguments.path)
