"""Max pooling with the padding of Torch."""

from __future__ import annotations

import math

import keras
from keras import ops

from keras_resunits.arguments import require_limit, require_positive_int
from keras_resunits.layers.convolutions import require_odd
from keras_resunits.layers.serialization import register
from keras_resunits.layers.words import word


@register
class PaddedMaxPool(keras.layers.Layer):
    """Max pooling over an image that is padded by `pool_size // 2` on all sides, as in Torch.

    Args:
        pool_size: Height and width of the window, odd. Defaults to 3.
        strides: Spatial stride. Defaults to 2.
        pads: Value of the padding. Defaults to minus infinity, which is never the maximum.

    Shapes: `[batch, height, width, channels]` to `[batch, ceil(height / strides), ceil(width / strides), channels]`.

    Raises:
        ValueError: if `pool_size` is even, or `strides` is not a positive int.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import PaddedMaxPool
    >>> y = PaddedMaxPool()(-np.ones((1, 4, 4, 1), "float32"))
    >>> y.shape == (1, 2, 2, 1), float(y[0, 0, 0, 0])
    (True, -1.0)
    """

    def __init__(self, pool_size: int = 3, strides: int = 2, pads: float = -math.inf, **kwargs):
        super().__init__(**kwargs)
        where = f"layer '{self.name}'"
        self.pool_size = require_odd(pool_size, "pool_size", where)
        self.strides = require_positive_int(strides, "strides", where)
        self.pads = require_limit(pads, "pads", where)

    def call(self, x):
        margin = (self.pool_size // 2,) * 2
        padded = ops.pad(x, ((0, 0), margin, margin, (0, 0)), constant_values=self.pads)
        return ops.max_pool(padded, self.pool_size, self.strides, padding="valid", data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and -(-side // self.strides) for side in sides), channels)

    def get_config(self):
        config = {"pool_size": self.pool_size, "strides": self.strides, "pads": self.pads}
        return {**super().get_config(), **config}


@word.register
def _(layer: PaddedMaxPool) -> str:
    return {-math.inf: "max", 0.0: "max_over_zeros"}.get(layer.pads, f"max_over_{layer.pads:g}")
