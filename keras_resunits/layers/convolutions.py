"""The convolution of the project: initialisation, bias and padding of the authors' code, in one place."""

from __future__ import annotations

from functools import partial

import keras
from keras import ops

from keras_resunits.arguments import is_int
from keras_resunits.layers.serialization import register


def require_odd(size: int, where: str) -> None:
    """Refuse a window that is even: no padding would then be the same on all sides."""
    if not is_int(size) or size % 2 == 0:
        raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={size!r} ({where}).")


@register
class PaddedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that pads `kernel_size // 2` zeros on every side, as Torch and the authors' code do.

    Keras' `padding="same"` pads an even-sized image only at the bottom and on the right when the stride is 2, which
    shifts the features by a pixel and is another network.

    Args:
        filters: Output channels.
        kernel_size: Size of the (odd) kernel.
        **kwargs: As `keras.layers.Conv2D`; `padding` is not among them.

    Shapes: `[batch, height, width, channels]` to `[batch, ceil(height / strides), ceil(width / strides), filters]`.

    Raises:
        ValueError: if the kernel's size is even: no padding would then be the same on all sides.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import PaddedConv2D
    >>> PaddedConv2D(8, 3, strides=2)(np.zeros((1, 32, 32, 3))).shape == (1, 16, 16, 8)
    True
    """

    def __init__(self, filters, kernel_size, **kwargs):
        kwargs = {**kwargs, "padding": "valid", "data_format": "channels_last"}
        super().__init__(filters, kernel_size, **kwargs)
        for size in self.kernel_size:
            require_odd(size, f"layer '{self.name}'")

    def call(self, inputs):
        height, width = (size // 2 for size in self.kernel_size)
        return super().call(ops.pad(inputs, ((0, 0), (height, height), (width, width), (0, 0))))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        padded = (side and side + 2 * (size // 2) for side, size in zip(sides, self.kernel_size, strict=True))
        return super().compute_output_shape((batch, *padded, channels))


def conv(
    filters: int, kernel_size: int, strides: int = 1, name: str = "conv", use_bias: bool = False
) -> keras.layers.Layer:
    """A convolution as in the authors' code: He normal over fan-out, zeros on all sides, no bias.

    He normal is N(0, sqrt(2 / n)), `n = kernel_size**2 * filters`, untruncated (fb.resnet.torch, `models/resnet.lua`).

    Args:
        filters: Output channels.
        kernel_size: 1, 3, 7, ...
        strides: 1 by default.
        name: The layer's name; "conv" by default.
        use_bias: Whether it adds a bias, 0 at first; no by default.

    Returns:
        A Keras layer on `[batch, height, width, channels]`.
    """
    require_odd(kernel_size, f"convolution '{name}'")
    symmetric = kernel_size == 1 or strides == 1  # "same" pads both sides alike there
    convolution = partial(keras.layers.Conv2D, padding="same") if symmetric else PaddedConv2D
    return convolution(
        filters,
        kernel_size,
        strides=strides,
        use_bias=use_bias,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        data_format="channels_last",
        name=name,
    )
