"""Layers that scale and shift channels by constants at inference: norms, gates, scalings."""

from __future__ import annotations

from functools import singledispatch

import keras
import numpy as np

from keras_resunits.layers.arrays import array
from keras_resunits.layers.centering import Centering
from keras_resunits.layers.randomness import Dropout
from keras_resunits.units.gates import ScalarGate
from keras_resunits.units.orders import Bias, Scale
from keras_resunits.units.tails import LayerScale, StochasticDepth

Affine = tuple[np.ndarray, np.ndarray]
"""Scale and shift in float64, each a number or one for each channel."""


@singledispatch
def affine(layer: keras.layers.Layer) -> Affine | None:
    """Return `(scale, shift)` with which a layer is `scale * x + shift` at inference; `None` if it is not.

    Example:

    >>> import keras
    >>> scale, shift = affine(keras.layers.Rescaling(0.5, offset=1.0))
    >>> float(scale), float(shift)
    (0.5, 1.0)
    """
    return None


@affine.register
def _(layer: keras.layers.BatchNormalization) -> Affine | None:
    if layer.axis not in (-1, 3):
        return None
    scale = (array(layer.gamma) if layer.scale else 1.0) / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    return scale, (array(layer.beta) if layer.center else 0.0) - array(layer.moving_mean) * scale


@affine.register
def _(layer: keras.layers.Rescaling) -> Affine:
    return array(layer.scale), array(layer.offset)


@affine.register
def _(layer: StochasticDepth) -> Affine:
    return array(layer.survival if layer.scaling == "paper" else 1.0), array(0.0)


affine.register(Centering, lambda layer: (array(1.0), array(layer.beta) - array(layer.moving_mean)))
affine.register(ScalarGate, lambda layer: (array(layer.value()), array(0.0)))
affine.register(LayerScale, lambda layer: (array(layer.gamma), array(0.0)))
affine.register(Scale, lambda layer: (array(layer.scale), array(0.0)))
affine.register(Bias, lambda layer: (array(1.0), array(layer.bias)))
affine.register(Dropout, lambda layer: (array(1.0), array(0.0)))
affine.register(keras.layers.Dropout, lambda layer: (array(1.0), array(0.0)))
