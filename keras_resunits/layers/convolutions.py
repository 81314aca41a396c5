"""The package's convolution, with the initialisation, bias and padding of the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
from keras import ops

from keras_resunits.arguments import Kind, is_int, require_positive_int
from keras_resunits.layers.serialization import register

require_odd = Kind("odd", lambda value: is_int(value) and value > 0 and value % 2 == 1, int)
"""Refuses an even window size, which cannot be padded equally on all sides."""


@register
class PaddedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that pads `kernel_size // 2` zeros on every side, like Torch and the authors' code.

    With a stride of 2, Keras' `padding="same"` pads an even-sized image only at the bottom and on the right. That
    shifts the features by one pixel and results in a different network.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, odd.
        **kwargs: Keyword arguments of `keras.layers.Conv2D`; `padding` and `data_format` are fixed.

    Shapes: `[batch, height, width, channels]` to `[batch, ceil(height / strides), ceil(width / strides), filters]`.

    Raises:
        ValueError: if `kernel_size` is even, since it cannot be padded equally on all sides, or if another `padding` or
            `data_format` is given.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import PaddedConv2D
    >>> PaddedConv2D(8, 3, strides=2)(np.zeros((1, 32, 32, 3))).shape == (1, 16, 16, 8)
    True
    """

    def __init__(self, filters, kernel_size, **kwargs):
        fixed = {"padding": "valid", "data_format": "channels_last"}
        for name, only in fixed.items():
            if kwargs.get(name) not in (None, only):
                raise ValueError(
                    f"`PaddedConv2D` pads by itself and requires `{name}` to be '{only}', its default. "
                    f"Received: {name}={kwargs[name]!r}."
                )
        filters = require_positive_int(filters, "filters", "PaddedConv2D")
        super().__init__(filters, kernel_size, **{**kwargs, **fixed})
        for size in self.kernel_size:
            require_odd(size, "kernel_size", f"layer '{self.name}'")

    @property
    def margins(self) -> list[int]:
        """The number of zeros on each side, in height and width."""
        return [size // 2 * dilation for size, dilation in zip(self.kernel_size, self.dilation_rate, strict=True)]

    def call(self, inputs):
        height, width = self.margins
        return super().call(ops.pad(inputs, ((0, 0), (height, height), (width, width), (0, 0))))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        padded = (side and side + 2 * margin for side, margin in zip(sides, self.margins, strict=True))
        return super().compute_output_shape((batch, *padded, channels))


def conv(
    filters: int, kernel_size: int, strides: int = 1, name: str = "conv", use_bias: bool = False
) -> keras.layers.Layer:
    """Make a convolution as in the authors' code: He normal over fan-out, zero padding on all sides, no bias.

    He normal is N(0, sqrt(2 / n)), `n = kernel_size**2 * filters`, untruncated (fb.resnet.torch, `models/resnet.lua`).

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, odd.
        strides: Spatial stride. Defaults to 1.
        name: Name of the layer. Defaults to "conv".
        use_bias: Whether to add a bias, initialised to 0. Defaults to `False`.

    Returns:
        A Keras layer on `[batch, height, width, channels]`.
    """
    require_odd(kernel_size, "kernel_size", f"convolution '{name}'")
    convolution: Callable[..., keras.layers.Layer]
    if kernel_size == 1:  # nothing to pad: "same" crops a row and a column there under Torch in Keras 3.8
        convolution = partial(keras.layers.Conv2D, padding="valid")
    elif strides == 1:  # where "same" pads both sides equally
        convolution = partial(keras.layers.Conv2D, padding="same")
    else:
        convolution = PaddedConv2D
    return convolution(
        filters,
        kernel_size,
        strides=strides,
        use_bias=use_bias,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        data_format="channels_last",
        name=name,
    )
