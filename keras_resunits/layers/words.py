"""Short names of layers, used in tables, pictures and the layouts of other libraries' weights.

`word` is open to new layers: a layer registers its word in its own file. Keras' own layers are registered here.
"""

from __future__ import annotations

import re
from functools import singledispatch

import keras


def to_snake_case(name: str) -> str:
    """Convert a class name such as `BranchOnly` to `branch_only`.

    >>> to_snake_case("BranchOnly"), to_snake_case("ELU"), to_snake_case("LeakyReLU")
    ('branch_only', 'elu', 'leaky_relu')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("ReLU", "Relu")).lower()


@singledispatch
def word(layer: keras.layers.Layer) -> str:
    """Return the short name of a layer; by default its class name in snake case.

    Example:

    >>> import keras
    >>> word(keras.layers.Conv2D(8, 3, strides=2)), word(keras.layers.ReLU()), word(keras.layers.ELU())
    ('conv3/2', 'act', 'elu')
    >>> word(keras.layers.Rescaling(0.5)), word(keras.layers.Activation("tanh")), word(keras.layers.Dense(8))
    ('*0.5', 'tanh', 'dense')
    """
    return to_snake_case(type(layer).__name__)


for kind, its_word in {
    keras.layers.Identity: "id",
    keras.layers.BatchNormalization: "norm",
    keras.layers.AveragePooling2D: "avg",
    keras.layers.GlobalAveragePooling2D: "avg",
    keras.layers.GlobalMaxPooling2D: "max",
    keras.layers.Reshape: "flat",
    keras.layers.Dense: "dense",
}.items():
    word.register(kind, lambda layer, its_word=its_word: its_word)


@word.register
def _(layer: keras.layers.Conv2D) -> str:
    return f"conv{layer.kernel_size[0]}{_over(layer.strides[0])}"


@word.register
def _(layer: keras.layers.MaxPooling2D) -> str:
    return "max" if layer.pool_size[0] > 1 else f"pick{_over(layer.strides[0])}"


@word.register
def _(layer: keras.layers.ReLU) -> str:
    plain = layer.max_value is None and layer.threshold == 0 and layer.negative_slope == 0
    return "act" if plain else f"relu({layer.negative_slope:g}, {layer.threshold:g}, {layer.max_value})"


@word.register
def _(layer: keras.layers.Rescaling) -> str:
    return f"*{layer.scale:g}"


@word.register
def _(layer: keras.layers.Activation) -> str:
    return layer.activation.__name__


def _over(strides: int) -> str:
    return f"/{strides}" if strides > 1 else ""
