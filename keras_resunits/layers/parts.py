"""The layers inside a layer, down to those that hold no others: what counting reads.

`parts` is open: a layer that holds others registers in its own file which they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import keras

Parts = Iterator[tuple[keras.layers.Layer, tuple]]


@singledispatch
def parts(layer: keras.layers.Layer, shape) -> Parts:
    """The layers inside a layer that hold no others, each with the shape of its input.

    Args:
        layer: A built layer.
        shape: The shape of its input, the batch included.

    Example:

    >>> import keras
    >>> from keras_resunits import Series
    >>> two = Series([keras.layers.Dense(3), Series([keras.layers.Dense(5)])])
    >>> two.build((None, 2))
    >>> [(inner.units, shape) for inner, shape in parts(two, (None, 2))]
    [(3, (None, 2)), (5, (None, 3))]
    """
    yield layer, shape
