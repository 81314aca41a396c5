"""`h`: what the unit carries past its branch.

A choice of shortcut is a function `(Slot, Order) -> Layer`; the order says what a weight layer on the shortcut wears.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from keras_resunits.convolutions import conv
from keras_resunits.orders import Order
from keras_resunits.serialization import register
from keras_resunits.series import series
from keras_resunits.slots import Slot

Shortcut = Callable[[Slot, Order], keras.layers.Layer]


@register
class ZeroPad(keras.layers.Layer):
    """Option A: every `strides`-th pixel, then zeros appended as new channels (He et al. 2015, sec. 3.3). No weights.

    Args:
        extra: Channels to append.
        strides: Spatial stride; 1 by default.

    Shapes: `[batch, height, width, channels]` to
        `[batch, ceil(height / strides), ceil(width / strides), channels + extra]`.

    Raises:
        ValueError: if `extra` is negative, or `strides` not positive.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import ZeroPad
    >>> ZeroPad(extra=16, strides=2)(np.ones((1, 32, 32, 16))).shape == (1, 16, 16, 32)
    True
    """

    def __init__(self, extra: int, strides: int = 1, **kwargs):
        super().__init__(**kwargs)
        if extra < 0 or strides < 1:
            raise ValueError(
                "`ZeroPad` wants `extra` >= 0 (it cannot drop channels) and `strides` >= 1. "
                f"Received: extra={extra}, strides={strides}."
            )
        self.extra = extra
        self.strides = strides

    def call(self, x):
        return ops.pad(x[:, :: self.strides, :: self.strides, :], ((0, 0), (0, 0), (0, 0), (0, self.extra)))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and -(-side // self.strides) for side in sides), channels + self.extra)

    def get_config(self):
        return {**super().get_config(), "extra": self.extra, "strides": self.strides}


def identity(slot: Slot, order: Order) -> keras.layers.Layer:
    """`h(z) = z` in every unit; `Add` refuses it where the shape changes."""
    return keras.layers.Identity(name="shortcut")


def zero_pad(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A: the identity, and where the shape changes `ZeroPad`.

    Raises:
        ValueError: if the unit has fewer filters than arrive.
    """
    if slot.filters < slot.in_filters:
        raise ValueError(
            "shortcut 'zero_pad' (option A) can only append channels: it wants filters >= in_filters. "
            f"Received: in_filters={slot.in_filters}, filters={slot.filters} (unit '{slot.name}')."
        )
    if not slot.changes_shape:
        return identity(slot, order)
    return ZeroPad(slot.filters - slot.in_filters, slot.strides, name="shortcut")


def projection_always(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option C: a strided 1x1 convolution in every unit."""
    return series(order.projection(conv(slot.filters, 1, slot.strides)), name="shortcut")


def projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option B: the identity, and where the shape changes a strided 1x1 convolution."""
    return (projection_always if slot.changes_shape else identity)(slot, order)


SHORTCUTS: dict[str, Shortcut] = {
    "identity": identity,
    "zero_pad": zero_pad,
    "projection": projection,
    "projection_always": projection_always,
    "A": zero_pad,
    "B": projection,
    "C": projection_always,
}
