"""Shortcuts: `h`, which carries the unit's input past its branch.

A choice of shortcut is a function `(Slot, Order) -> Layer`; the order decides what accompanies its weight layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import keras
from keras import ops

from keras_resunits.arguments import checked, is_int, require_layer, require_number, require_rate
from keras_resunits.layers.carries import carried
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.forks import forks
from keras_resunits.layers.nesting import Nest
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.randomness import Dropout
from keras_resunits.layers.serialization import register, revived, serialized
from keras_resunits.layers.series import built, output_shape, series
from keras_resunits.layers.words import word
from keras_resunits.units.gates import gate
from keras_resunits.units.orders import Order, require_order
from keras_resunits.units.slots import Slot, require_slot

Shortcut = Callable[[Slot, Order], keras.layers.Layer]


@register
class ZeroPad(keras.layers.Layer):
    """Option A: every `strides`-th pixel, then zeros as new channels (He et al. 2015, sec. 3.3). No weights.

    Args:
        extra: Number of new channels.
        strides: Spatial stride. Defaults to 1.
        before: Number of new channels before the old ones; the others follow them. Defaults to 0, as in the authors'
            code.

    Shapes: `[batch, height, width, channels]` to
        `[batch, ceil(height / strides), ceil(width / strides), channels + extra]`.

    Raises:
        ValueError: if `extra` is negative, `strides` is not positive, or `before` is not in 0..extra.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import ZeroPad
    >>> ZeroPad(extra=16, strides=2)(np.ones((1, 32, 32, 16))).shape == (1, 16, 16, 32)
    True
    """

    def __init__(self, extra: int, strides: int = 1, before: int = 0, **kwargs):
        super().__init__(**kwargs)
        ints = all(map(is_int, (extra, strides, before)))
        if not ints or extra < 0 or strides < 1 or not 0 <= before <= extra:
            raise ValueError(
                "`ZeroPad` requires ints: `extra` >= 0 (it drops no channels), `strides` >= 1, `before` in 0..extra. "
                f"Received: extra={extra!r}, strides={strides!r}, before={before!r} (layer '{self.name}')."
            )
        self.extra, self.strides, self.before = extra, strides, before

    def call(self, x):
        channels = (self.before, self.extra - self.before)
        return ops.pad(x[:, :: self.strides, :: self.strides, :], ((0, 0), (0, 0), (0, 0), channels))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and -(-side // self.strides) for side in sides), channels + self.extra)

    def get_config(self):
        return {**super().get_config(), "extra": self.extra, "strides": self.strides, "before": self.before}


def identity(slot: Slot, order: Order) -> keras.layers.Layer:
    """`h(z) = z` in every unit; `Add` refuses it where the shape changes.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8))[1].h
    'id'
    """
    return keras.layers.Identity(name="shortcut")


@checked(slot=require_slot)
def zero_pad(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A: the identity, or `ZeroPad` where the shape changes.

    Raises:
        ValueError: if the unit has fewer filters than input channels.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, shortcut=kr.zero_pad))[2].h
    'pad'
    """
    if not slot.changes_shape:
        return identity(slot, order)
    return ZeroPad(appended(slot), slot.strides, name="shortcut")


def appended(slot: Slot) -> int:
    """Return how many channels option A appends; refuse to drop channels."""
    if slot.filters < slot.in_filters:
        raise ValueError(
            "shortcut 'zero_pad' (option A) can only append channels: it requires filters >= in_filters. "
            f"Received: in_filters={slot.in_filters}, filters={slot.filters} (unit '{slot.name}')."
        )
    return slot.filters - slot.in_filters


@checked(slot=require_slot, order=require_order)
def projection_always(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option C: a strided 1x1 convolution in every unit.

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.projection_always)) if row.h]
    ['conv1 norm', 'conv1/2 norm', 'conv1/2 norm']
    """
    return series(order.projection(conv(slot.filters, 1, slot.strides)), name="shortcut")


@checked(slot=require_slot)
def projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option B: the identity, or a strided 1x1 convolution where the shape changes.

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.projection)) if row.h]
    ['id', 'conv1/2 norm', 'conv1/2 norm']
    """
    return (projection_always if slot.changes_shape else identity)(slot, order)


@checked(slot=require_slot)
def zero_pad_or_projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A, or a projection where the unit has fewer filters than input channels.

    It is the default of CIFAR networks of basic units. The projection follows a stem with more filters than the first
    unit, since option A cannot drop channels.

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, stem=kr.Stem(24))) if row.h]
    ['conv1 norm', 'pad', 'pad']
    """
    return (projection if slot.filters < slot.in_filters else zero_pad)(slot, order)


ON_CHANGE: Shortcut = zero_pad_or_projection
"""How the variants of He et al. 2016, Table 1 change the shape, which the paper does not specify.

The paper runs them on ResNet-110, whose shortcuts are option A. So option A first brings the carry to the new shape,
without weights, and the variant acts on the result. Gates and 1x1 convolutions have the unit's stride and filters, so
every unit has its own. Exclusive gating is a merge: it acts on the network's shortcut, by default also option A.
"""


@checked(slot=require_slot)
def constant_scaling(slot: Slot, order: Order, factor: float = 0.5) -> keras.layers.Layer:
    """`h(z) = factor z` in every unit (He et al. 2016, Fig. 2b); the tail `branch_scaling` scales the branch.

    Args:
        slot: Slot of the unit.
        order: The network's order.
        factor: The constant. Defaults to 0.5.

    Raises:
        ValueError: if `factor` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.constant_scaling)) if row.h]
    ['id *0.5', 'pad *0.5', 'pad *0.5']
    """
    factor = require_number(factor, "factor", f"shortcut of unit '{slot.name}'")
    return series([ON_CHANGE(slot, order), keras.layers.Rescaling(factor, name="scale")], "shortcut")


@checked(slot=require_slot)
def shortcut_gating(slot: Slot, order: Order, bias: float = -6.0) -> keras.layers.Layer:
    """`h(z) = (1 - g(z)) z` in every unit, with no gate on the branch (He et al. 2016, Fig. 2d).

    Args:
        slot: Slot of the unit.
        order: The network's order.
        bias: Initial bias of the gate. Defaults to -6, the best of Table 1.

    Raises:
        ValueError: if `bias` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, shortcut=kr.shortcut_gating))[1].h
    'id *(1 - conv1 sigmoid)'
    """
    return GatedCarry(gate(slot, bias), ON_CHANGE(slot, order), name="shortcut")


@checked(slot=require_slot)
def conv_1x1(slot: Slot, order: Order) -> keras.layers.Layer:
    """A 1x1 convolution in every unit (He et al. 2016, Fig. 2e), without the norm of option C's projections.

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.conv_1x1)) if row.h]
    ['conv1', 'conv1/2', 'conv1/2']
    """
    return series([conv(slot.filters, 1, slot.strides)], name="shortcut")


@checked(slot=require_slot)
def dropout(slot: Slot, order: Order, rate: float = 0.5) -> keras.layers.Layer:
    """Dropout on the shortcut's output in every unit (He et al. 2016, Fig. 2f).

    Args:
        slot: Slot of the unit.
        order: The network's order.
        rate: Fraction of the values that training sets to 0. Defaults to 0.5.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.dropout)) if row.h]
    ['id dropout', 'pad dropout', 'pad dropout']
    """
    rate = require_rate(rate, "rate", f"shortcut of unit '{slot.name}'")
    return series([ON_CHANGE(slot, order), Dropout(rate, name="dropout")], name="shortcut")


@checked(slot=require_slot)
def avg_pool_pad(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A that averages pixels instead of skipping them, as in the code of Huang et al. 2016 (stochastic depth).

    Example:

    >>> import keras_resunits as kr
    >>> [row.h for row in kr.describe(kr.ResNet(depth=8, shortcut=kr.avg_pool_pad)) if row.h]
    ['id', 'avg pad', 'avg pad']
    """
    if slot.strides == 1:
        return zero_pad_or_projection(slot, order)
    pool = keras.layers.AveragePooling2D(slot.strides, padding="same", data_format="channels_last", name="pool")
    return series([pool, zero_pad_or_projection(replace(slot, strides=1), order)], name="shortcut")


SHORTCUTS: dict[str, Shortcut] = {
    "identity": identity,
    "zero_pad": zero_pad,
    "projection": projection,
    "projection_always": projection_always,
    "constant_scaling": constant_scaling,
    "shortcut_gating": shortcut_gating,
    "conv_1x1": conv_1x1,
    "dropout": dropout,
    "avg_pool_pad": avg_pool_pad,
    "A": zero_pad,
    "B": projection,
    "C": projection_always,
}


@register
class GatedCarry(Nest):
    """`h(z) = (1 - g(z)) s(z)`: shortcut-only gating (He et al. 2016, Fig. 2d).

    Args:
        gate: `g`, a layer with outputs in [0, 1] and of the shape of the shortcut's output; see `gate`.
        shortcut: `s`, the gated shortcut.

    Raises:
        ValueError: if gate and shortcut differ in shape.

    Example: a gate of 1/4

    >>> import keras, numpy as np
    >>> from keras_resunits import GatedCarry
    >>> carry = GatedCarry(gate=keras.layers.Rescaling(0.25), shortcut=keras.layers.Identity())
    >>> float(carry(np.ones((1, 1)))[0, 0])
    0.75
    """

    def __init__(self, gate, shortcut, **kwargs):
        super().__init__(**kwargs)
        where = f"layer '{self.name}'"
        self.gate = require_layer(gate, "gate", where)
        self.shortcut = require_layer(shortcut, "shortcut", where)

    def build(self, input_shape):
        gate, carry = built(self.gate, input_shape), built(self.shortcut, input_shape)
        if tuple(gate[1:]) != tuple(carry[1:]):
            raise ValueError(
                f"`GatedCarry` requires a gate of the shape of its shortcut, {tuple(carry)}. Received: gate "
                f"{tuple(gate)} (in '{self.path}')."
            )

    def call(self, z, training=None):
        z, again = forks(z)
        return (1.0 - self.gate(again)) * self.shortcut(z)

    def compute_output_shape(self, input_shape):
        return output_shape(self.shortcut, input_shape)

    def get_config(self):
        return {**super().get_config(), "gate": serialized(self.gate), "shortcut": serialized(self.shortcut)}

    @classmethod
    def from_config(cls, config):
        return cls(**revived(config, "gate", "shortcut"))


@word.register
def _(layer: ZeroPad) -> str:
    return {0: "pad", layer.extra / 2: "pad_around"}.get(layer.before, f"pad_{layer.before}_before")


@word.register
def _(layer: GatedCarry) -> str:
    return f"{word(layer.shortcut)} *(1 - {word(layer.gate)})"


@carried.register
def _(layer: GatedCarry, x, z):
    return (1.0 - layer.gate(z)) * carried(layer.shortcut, x, z)


@parts.register
def _(layer: GatedCarry, shape) -> Parts:
    yield from chain(parts(layer.gate, shape), parts(layer.shortcut, shape))
