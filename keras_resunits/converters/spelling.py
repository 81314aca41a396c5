"""The arithmetic of a unit in a few letters.

Two networks can have weights of the same names and shapes and still compute different functions. The stride may be on
another convolution, a ReLU before or after the addition, or zeros appended at the end or on both sides. So a layout
describes the units that its weights fit by a regular expression over the letters below. Which stages have a stride is
left to the caller, since weights for large images may be used in a network for small ones.
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
    "z": "zeros at the end",
    "Z": "zeros on both sides",
    "m": "max-pool",
    "M": "max-pool over zeros",
}
"""The letters in words, for error messages."""

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
"""Letters by short names of layers (`layers.words`), except for convolutions and layers without effect at inference."""


def spelled(unit: Unit) -> str:
    """Spell a unit as `entry|shortcut|branch|merge|exit`, with a letter for each layer.

    The letters are those of `WORDS`. Layers without effect at inference have no letter; other layers without a letter
    are spelled in full, `<elu>`.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=[1, 1, 1, 1], input_shape=(64, 64, 3), block="bottleneck_v1_5")
    >>> spelled(model.get_layer("unit001"))
    '|Cn|cnrCnrcn|add|r'
    """
    entry, shortcut, branch, exit = map(_spelled, (unit.entry, unit.shortcut, unit.branch, unit.exit))
    return "|".join([entry, shortcut, branch, word(unit.merge), exit])


def spelled_stem(model: keras.Model) -> str:
    """Spell the stem likewise: c has any stride, m is a max pooling over pixels only, M one over padding zeros too."""
    return _spelled_layer(model, "stem").replace("C", "c")


def spelled_head(model: keras.Model) -> str:
    """Spell the layers between the last unit and the pooling likewise."""
    return _spelled_layer(model, "post")


def _spelled_layer(model: keras.Model, name: str) -> str:
    return "".join(_spelled(layer) for layer in model.layers if layer.name == name)


def in_words(spelling: str) -> str:
    """Return a spelling in words, for error messages.

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
    """Return all batch normalisations of a model, in order."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def _spelled(layer: keras.layers.Layer) -> str:
    return "".join(_letter(word(inner)) for inner in flattened(layer))


def _letter(said: str) -> str:
    """Return the letter of a layer by its short name."""
    if said.startswith("conv"):
        return "C" if "/" in said else "c"
    if said == "dropout" or said.endswith("inverted"):  # nothing at inference
        return ""
    return LETTERS.get(said, f"<{said}>")
