"""The leaf layers inside a layer, over which costs are summed.

`parts` is open to new layers: a layer that contains others registers them in its own file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import keras

Parts = Iterator[tuple[keras.layers.Layer, tuple]]


@singledispatch
def parts(layer: keras.layers.Layer, shape) -> Parts:
    """Yield the layers inside a layer that contain no others, each with the shape of its input.

    Args:
        layer: A built layer.
        shape: Shape of its input, including the batch dimension.

    Example:

    >>> import keras
    >>> from keras_resunits import Series
    >>> two = Series([keras.layers.Dense(3), Series([keras.layers.Dense(5)])])
    >>> two.build((None, 2))
    >>> [(inner.units, shape) for inner, shape in parts(two, (None, 2))]
    [(3, (None, 2)), (5, (None, 3))]
    """
    yield layer, shape
