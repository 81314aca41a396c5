"""A layer in a word or two, for tables and pictures."""

from __future__ import annotations

import re
from functools import singledispatch

import keras

from keras_resunits.fractal import Fractal
from keras_resunits.gating import GatedCarry, ScalarGate
from keras_resunits.merges import Highway, Merge
from keras_resunits.orders import Bias, Scale
from keras_resunits.series import Series
from keras_resunits.shortcuts import ZeroPad
from keras_resunits.stems import PaddedMaxPool
from keras_resunits.tails import StochasticDepth

WORDS = {
    keras.layers.Identity: "id",
    keras.layers.BatchNormalization: "norm",
    keras.layers.AveragePooling2D: "avg",
    keras.layers.GlobalAveragePooling2D: "avg",
    keras.layers.MaxPooling2D: "max",
    keras.layers.GlobalMaxPooling2D: "max",
    PaddedMaxPool: "max",
    keras.layers.Reshape: "flat",
    ZeroPad: "pad",
    Bias: "bias",
    Scale: "scale",
}


def to_snake_case(name: str) -> str:
    """`BranchOnly` as `branch_only`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@singledispatch
def brief(layer: keras.layers.Layer) -> str:
    """A layer in a word or two, for tables and pictures."""
    known = next((word for kind, word in WORDS.items() if isinstance(layer, kind)), None)
    return known or ("act" if layer.name.startswith("act") else to_snake_case(type(layer).__name__))


@brief.register
def _(layer: Series) -> str:
    return " ".join(brief(inner) for inner in layer.layers)


@brief.register
def _(layer: keras.layers.Conv2D) -> str:
    strides = f"/{layer.strides[0]}" if layer.strides[0] > 1 else ""
    return f"conv{layer.kernel_size[0]}{strides}"


@brief.register
def _(layer: keras.layers.Dense) -> str:
    return "dense"


@brief.register
def _(layer: keras.layers.Rescaling) -> str:
    return f"*{layer.scale:g}"


@brief.register
def _(layer: keras.layers.Activation) -> str:
    return layer.activation.__name__


@brief.register
def _(layer: ScalarGate) -> str:
    if layer.g is keras.activations.linear:
        return "*k"
    return f"*{getattr(layer.g, '__name__', type(layer.g).__name__)}(k)"


@brief.register
def _(layer: GatedCarry) -> str:
    return f"{brief(layer.shortcut)} *(1 - {brief(layer.gate)})"


@brief.register
def _(layer: Merge) -> str:
    return to_snake_case(type(layer).__name__)


@brief.register
def _(layer: Highway) -> str:
    return f"highway({brief(layer.gate)})"


@brief.register
def _(layer: StochasticDepth) -> str:
    return f"alive {layer.survival:.2f}"


@brief.register
def _(layer: Fractal) -> str:
    return f"fractal{len(layer.columns)}({brief(layer.columns[0])})"
