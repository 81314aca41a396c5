"""Looks-linear networks, which start linear because their rectifiers initially cancel (Balduzzi et al. 2017)."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.arguments import require_initializer
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
    """Initialiser of kernels `[W, -W]` over the input channels, with which a layer after a `CReLU` starts as `W`.

    Args:
        base: Initialiser of `W`, or its name. Defaults to an orthogonal matrix at the centre of the kernel and zeros
            around it, with which a layer preserves the norm of its input.

    Raises:
        ValueError: if `base` is no initialiser, or a kernel has an odd number of input channels.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import LooksLinear
    >>> kernel = np.asarray(LooksLinear()((1, 1, 4, 2)))
    >>> bool((kernel[:, :, :2] == -kernel[:, :, 2:]).all())
    True
    """

    def __init__(self, base: keras.initializers.Initializer | str | None = None):
        self.base = require_initializer.or_none(base, "base", "LooksLinear")

    def __call__(self, shape, dtype=None):
        *window, channels, filters = shape
        if channels % 2:
            raise ValueError(
                "`LooksLinear` requires an even number of input channels, as `CReLU` outputs. "
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
    """Return a kernel with an orthogonal matrix at its centre and zeros around it."""
    *window, channels, filters = shape
    matrix = keras.initializers.Orthogonal()((channels, filters), dtype=dtype)
    before = [size // 2 for size in window]
    margins = [(b, size - 1 - b) for b, size in zip(before, window, strict=True)]
    return ops.pad(ops.reshape(matrix, (*[1] * len(window), channels, filters)), (*margins, (0, 0), (0, 0)))


def no_norm(name: str) -> keras.layers.Layer:
    """Make an identity in place of a norm: `FullPreAct(norm=no_norm)` is ReLU conv ReLU conv.

    Example:

    >>> import keras_resunits as kr
    >>> kr.no_norm(name="norm1").name
    'norm1'
    """
    return keras.layers.Identity(name=name)


def looks_linear() -> Order:
    """Make the pre-activation order without norm whose rectifiers initially cancel (Balduzzi et al. 2017, sec. 4).

    A network in this order starts as a linear function of its image, also as a plain network with the merge
    `branch_only`. Projections on shortcuts do not follow a rectifier, so their kernels start orthogonal.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PlainNet(depth=8, order=kr.looks_linear())
    """
    order = PreActBranch(norm=no_norm, activation=CReLU)
    crossing = keras.initializers.Orthogonal()
    return Initialized(order=order, kernels=LooksLinear(), projections=crossing, classifiers=LooksLinear())


ORDERS |= {"relu_pre_act": FullPreAct(norm=no_norm), "looks_linear": looks_linear()}
