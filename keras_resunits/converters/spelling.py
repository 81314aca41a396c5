"""A unit's arithmetic in a few letters.

Two networks may have weights of the same names and shapes and yet compute different things: the stride on another
convolution, a ReLU before or after the addition, zeros appended at the end or on both sides. So a layout says, as a
regular expression over the letters below, which units its weights belong to. Which stages stride is left to the
caller: weights for large images may well go into a network for small ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import keras

from keras_resunits.randomness import Dropout
from keras_resunits.series import Series
from keras_resunits.shortcuts import ZeroPad
from keras_resunits.stems import PaddedMaxPool
from keras_resunits.tails import StochasticDepth
from keras_resunits.units import Unit

WORDS = {
    "c": "conv",
    "C": "conv/2",
    "n": "norm",
    "r": "ReLU",
    "p": "average-pool",
    "s": "every 2nd pixel",
    "z": "zeros behind",
    "Z": "zeros on both sides",
    "m": "max-pool",
    "M": "max-pool over zeros",
}


def spelled(unit: Unit) -> str:
    """`entry|shortcut|branch|merge|exit`, a letter for each layer.

    c is a convolution, C a strided one, n a norm, r a ReLU, p an average-pool, s a shortcut that only takes every
    second pixel, z and Z zeros appended to the channels, at the end and on both sides. What does nothing at inference
    has no letter; what has no letter of its own is spelled in full, `<ELU>`.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=[1, 1, 1, 1], input_shape=(64, 64, 3), block="bottleneck_v1_5")
    >>> spelled(model.get_layer("unit001"))
    '|Cn|cnrCnrcn|Add|r'
    """
    slots = (unit.entry, unit.shortcut, unit.branch)
    spelled_slots = ["".join(map(_letter, _flat(slot))) for slot in slots]
    return "|".join([*spelled_slots, type(unit.merge).__name__, "".join(map(_letter, _flat(unit.exit)))])


def spelled_stem(model: keras.Model) -> str:
    """The stem's layers, likewise, c of any stride: m is a max-pool over pixels alone, M one over zeros around them."""
    return _spelled_layer(model, "stem").replace("C", "c")


def spelled_head(model: keras.Model) -> str:
    """The layers between the last unit and the pooling, likewise."""
    return _spelled_layer(model, "post")


def _spelled_layer(model: keras.Model, name: str) -> str:
    return "".join(_letter(part) for layer in model.layers if layer.name == name for part in _flat(layer))


def in_words(spelling: str) -> str:
    """A spelling as an error says it.

    Example:

    >>> in_words("cnrm"), in_words("|Cn|CnrCn|Add|r")
    ('conv norm ReLU max-pool', 'h: conv/2 norm, F: conv/2 norm ReLU conv/2 norm, M: Add, f: ReLU')
    """
    if "|" not in spelling:
        return " ".join(WORDS.get(letter, letter) for letter in re.findall("<.*?>|.", spelling)) or "nothing"
    entry, shortcut, branch, merge, exit = spelling.split("|")
    slots = {"e": in_words(entry), "h": in_words(shortcut), "F": in_words(branch), "M": merge, "f": in_words(exit)}
    return ", ".join(f"{slot}: {words}" for slot, words in slots.items() if words != "nothing")


def norms_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Every batch normalisation of the model, in order."""
    slots = [slot for layer in model.layers for slot in (_slots(layer) if isinstance(layer, Unit) else [layer])]
    return [layer for slot in slots for layer in _flat(slot) if isinstance(layer, keras.layers.BatchNormalization)]


def _slots(unit: Unit) -> list[keras.layers.Layer]:
    return [unit.entry, unit.shortcut, unit.branch, unit.exit]


def _flat(layer: keras.layers.Layer) -> Iterable[keras.layers.Layer]:
    if isinstance(layer, Series):
        for child in layer.layers:
            yield from _flat(child)
    else:
        yield layer


def _letter(layer: keras.layers.Layer) -> str:
    match layer:
        case keras.layers.Identity() | keras.layers.Dropout() | Dropout() | StochasticDepth(scaling="inverted"):
            return ""
        case keras.layers.Conv2D():
            return "c" if set(layer.strides) == {1} else "C"
        case keras.layers.BatchNormalization():
            return "n"
        case keras.layers.ReLU(max_value=None, threshold=0.0, negative_slope=0.0):
            return "r"
        case keras.layers.AveragePooling2D():
            return "p"
        case keras.layers.MaxPooling2D(pool_size=(1, 1)):
            return "s"
        case PaddedMaxPool():
            return {-math.inf: "m", 0.0: "M"}.get(layer.pads, "<PaddedMaxPool>")
        case ZeroPad():
            return {0: "z", layer.extra / 2: "Z"}.get(layer.before, "<ZeroPad>")
    return f"<{type(layer).__name__}>"
