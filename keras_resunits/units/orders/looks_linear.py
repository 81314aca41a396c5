"""Looks-linear networks: rectifiers that cancel at first, so that the network starts linear (Balduzzi et al. 2017)."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.layers.serialization import register
from keras_resunits.units.orders.arrangements import FullPreAct, PreActBranch
from keras_resunits.units.orders.order import ORDERS, Order
from keras_resunits.units.orders.starts import Initialized


@register
class CReLU(keras.layers.Layer):
    """`[relu(x), relu(-x)]`, twice the channels (Balduzzi et al. 2017, sec. 4).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import CReLU
    >>> [float(v) for v in CReLU()(np.array([[2.0, -3.0]]))[0]]
    [2.0, 0.0, 0.0, 3.0]
    """

    def call(self, x):
        return ops.relu(ops.concatenate([x, -x], axis=-1))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])


@register
class LooksLinear(keras.initializers.Initializer):
    """Kernels `[W, -W]` over the input channels, for weights that read a `CReLU`: together they are `W`.

    Args:
        base: Makes `W`; by default an orthogonal matrix, which a convolution has at its kernel's centre alone (so that
            a layer keeps the norm of what it reads).

    Raises:
        ValueError: for a kernel with an odd number of input channels.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import LooksLinear
    >>> kernel = np.asarray(LooksLinear()((1, 1, 4, 2)))
    >>> bool((kernel[:, :, :2] == -kernel[:, :, 2:]).all())
    True
    """

    def __init__(self, base: keras.initializers.Initializer | None = None):
        self.base = base

    def __call__(self, shape, dtype=None):
        *window, channels, filters = shape
        if channels % 2:
            raise ValueError(
                "`LooksLinear` wants an even number of input channels, as `CReLU` gives. "
                f"Received: shape={tuple(shape)}."
            )
        half = (*window, channels // 2, filters)
        kernel = self.base(half, dtype=dtype) if self.base else _centred(half, dtype)
        return ops.concatenate([kernel, -kernel], axis=-2)

    def get_config(self):
        return {"base": keras.initializers.serialize(self.base) if self.base else None}

    @classmethod
    def from_config(cls, config):
        return cls(config["base"] and keras.initializers.deserialize(config["base"]))


def _centred(shape, dtype):
    """An orthogonal matrix at the kernel's centre, zeros around it."""
    *window, channels, filters = shape
    matrix = keras.initializers.Orthogonal()((channels, filters), dtype=dtype)
    before = [size // 2 for size in window]
    margins = [(b, size - 1 - b) for b, size in zip(before, window, strict=True)]
    return ops.pad(ops.reshape(matrix, (*[1] * len(window), channels, filters)), (*margins, (0, 0), (0, 0)))


def no_norm(name: str) -> keras.layers.Layer:
    """In the place of a norm: nothing. `FullPreAct(norm=no_norm)` is ReLU conv ReLU conv.

    Example:

    >>> import keras_resunits as kr
    >>> kr.no_norm(name="norm1").name
    'norm1'
    """
    return keras.layers.Identity(name=name)


def looks_linear() -> Order:
    """Pre-activation without norm whose rectifiers cancel at first (Balduzzi et al. 2017, sec. 4).

    A network in this order starts as a linear function of its image, with `branch_only` as merge a plain one. What a
    shortcut projects has passed no rectifier: those kernels start orthogonal.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PlainNet(depth=8, order=kr.looks_linear())
    """
    order = PreActBranch(norm=no_norm, activation=CReLU)
    crossing = keras.initializers.Orthogonal()
    return Initialized(order=order, kernels=LooksLinear(), projections=crossing, classifiers=LooksLinear())


ORDERS |= {"relu_pre_act": FullPreAct(norm=no_norm), "looks_linear": looks_linear()}
