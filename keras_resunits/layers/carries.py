"""A shortcut with its gates held, for the direct term of the gradient.

`carried` is open to new layers: a layer that contains a gate registers its equation in its own file.
"""

from __future__ import annotations

from functools import singledispatch

import keras

from keras_resunits.layers.series import Series


@singledispatch
def carried(layer: keras.layers.Layer, x, z):
    """Return the layer's output for `x`, where the gates in it read `z` in place of `x`.

    Args:
        layer: A layer of a shortcut.
        x: Its input.
        z: What its gates read, of the shape of `x`.

    Example:

    >>> import keras, numpy as np
    >>> from keras_resunits.layers.carries import carried
    >>> float(carried(keras.layers.Rescaling(0.5), np.ones((1, 1)), None)[0, 0])
    0.5
    """
    return layer(x)


@carried.register
def _(layer: Series, x, z):
    for i, inner in enumerate(layer.layers):
        x = carried(inner, x, z)
        z = inner(z) if i + 1 < len(layer.layers) else z
    return x
