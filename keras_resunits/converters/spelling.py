"""A unit's arithmetic in a few letters.

Two networks may have weights of the same names and shapes and yet compute different things: the stride on another
convolution, a ReLU before or after the addition, zeros appended at the end or on both sides. So a layout says, as a
regular expression over the letters below, which units its weights belong to. Which stages stride is left to the
caller: weights for large images may well go into a network for small ones.
"""

from __future__ import annotations

import re

import keras

from keras_resunits.layers.series import flattened
from keras_resunits.layers.words import word
from keras_resunits.units.unit import Unit

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

LETTERS = {
    "norm": "n",
    "act": "r",
    "avg": "p",
    "pick/2": "s",
    "pad": "z",
    "pad_around": "Z",
    "max": "m",
    "max_over_zeros": "M",
}
"""A layer's letter by its word (`layers.words`), where it is neither a convolution nor nothing at inference."""


def spelled(unit: Unit) -> str:
    """`entry|shortcut|branch|merge|exit`, a letter for each layer.

    c is a convolution, C a strided one, n a norm, r a ReLU, p an average-pool, s a shortcut that only takes every
    second pixel, z and Z zeros appended to the channels, at the end and on both sides. What does nothing at inference
    has no letter; what has no letter of its own is spelled in full, `<elu>`.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=[1, 1, 1, 1], input_shape=(64, 64, 3), block="bottleneck_v1_5")
    >>> spelled(model.get_layer("unit001"))
    '|Cn|cnrCnrcn|add|r'
    """
    entry, shortcut, branch, exit = map(_spelled, (unit.entry, unit.shortcut, unit.branch, unit.exit))
    return "|".join([entry, shortcut, branch, word(unit.merge), exit])


def spelled_stem(model: keras.Model) -> str:
    """The stem's layers, likewise, c of any stride: m is a max-pool over pixels alone, M one over zeros around them."""
    return _spelled_layer(model, "stem").replace("C", "c")


def spelled_head(model: keras.Model) -> str:
    """The layers between the last unit and the pooling, likewise."""
    return _spelled_layer(model, "post")


def _spelled_layer(model: keras.Model, name: str) -> str:
    return "".join(_spelled(layer) for layer in model.layers if layer.name == name)


def in_words(spelling: str) -> str:
    """A spelling as an error says it.

    Example:

    >>> in_words("cnrm"), in_words("|Cn|CnrCn|add|r")
    ('conv norm ReLU max-pool', 'h: conv/2 norm, F: conv/2 norm ReLU conv/2 norm, M: add, f: ReLU')
    """
    if "|" not in spelling:
        return " ".join(WORDS.get(letter, letter) for letter in re.findall("<.*?>|.", spelling)) or "nothing"
    entry, shortcut, branch, merge, exit = spelling.split("|")
    slots = {"e": in_words(entry), "h": in_words(shortcut), "F": in_words(branch), "M": merge, "f": in_words(exit)}
    return ", ".join(f"{slot}: {words}" for slot, words in slots.items() if words != "nothing")


def norms_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Every batch normalisation of the model, in order."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def _spelled(layer: keras.layers.Layer) -> str:
    return "".join(_letter(word(inner)) for inner in flattened(layer))


def _letter(said: str) -> str:
    """The letter of a layer's word."""
    if said.startswith("conv"):
        return "C" if "/" in said else "c"
    if said == "dropout" or said.endswith("inverted"):  # nothing at inference
        return ""
    return LETTERS.get(said, f"<{said}>")
