"""Gates: numbers between a path and what becomes of it, for each channel and position or one for a whole unit."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
from keras import ops

from keras_resunits.checks import require_number
from keras_resunits.convolutions import conv
from keras_resunits.forks import forks
from keras_resunits.serialization import register, revived, serialized
from keras_resunits.series import Series, built, output_shape
from keras_resunits.slots import Slot


def gate(slot: Slot, bias: float, kernel_size: int = 1) -> keras.layers.Layer:
    """`g(z) = sigmoid(W z + b)`, a number for each channel and position (He et al. 2016, sec. 3.1).

    Args:
        slot: Where the unit stands; the gate takes its filters and stride, so that a unit that changes the shape has a
            gate of the new one.
        bias: What `b` is at first: the more negative, the more `1 - g` lets pass.
        kernel_size: Of `W`; 1 by default.

    Returns:
        A layer from `[batch, height, width, in_filters]` to the shape that the unit gives.

    Raises:
        ValueError: for a bias that is no finite number.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Slot, gate
    >>> layer = gate(Slot(index=0, total=1, in_filters=16, filters=32, strides=2), bias=0.0)
    >>> numbers = np.asarray(layer(np.zeros((1, 8, 8, 16), "float32")))
    >>> numbers.shape, float(numbers.max())
    ((1, 4, 4, 32), 0.5)
    """
    bias = require_number(bias, "bias", f"gate of unit '{slot.name}'")
    weights = conv(slot.filters, kernel_size, slot.strides, use_bias=True)
    weights.bias_initializer = keras.initializers.Constant(bias)
    return Series([weights, keras.layers.Activation("sigmoid", name="sigmoid")], name="gate")


@register
class ScalarGate(keras.layers.Layer):
    """`g(k) x` with one trainable scalar `k` (Savarese et al. 2016, sec. 3).

    At the end of `F` it is the residual gate, `g(k) F(z)`, whose unit is the identity where `g(k) = 0`. With `g` the
    identity and `k = 0` at first it is ReZero's and SkipInit's scalar. `CoupledSGD` does not decay it (Table 3:
    better so).

    Args:
        g: An activation, by Keras' name or a registered function; "relu" by default, as in the paper. A gate that
            "relu" has closed has no gradient and cannot open again; "leaky_relu" can.
        initial: What `k` is at first; 1 by default, where "relu" lets all pass.

    Raises:
        ValueError: for an initial value that is no finite number, or an activation that is not known.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import ScalarGate
    >>> float(ScalarGate(initial=0.5)(np.ones((1, 1)))[0, 0]), float(ScalarGate(initial=-1.0)(np.ones((1, 1)))[0, 0])
    (0.5, 0.0)
    """

    def __init__(self, g="relu", initial: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = require_number(initial, "initial", f"layer '{self.name}'")
        try:
            self.g = keras.activations.get(g)
        except (ValueError, TypeError):
            raise ValueError(
                "`g` must be an activation, a function or a name that Keras knows such as 'relu' or 'leaky_relu'. "
                f"Received: g={g!r} (layer '{self.name}')."
            ) from None

    def build(self, input_shape):
        self.k = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.initial), name="k")
        self.k.decays = False  # read by `CoupledSGD`

    def value(self):
        """`g(k)`, a scalar tensor."""
        return self.g(ops.convert_to_tensor(self.k))

    def call(self, x):
        return self.value() * x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "g": keras.activations.serialize(self.g), "initial": self.initial}


def scalar_gates(model: keras.Model) -> dict[str, list[ScalarGate]]:
    """The scalar gates of a network by the names of their units; units without any are left out.

    Networks inside the model are looked into; a unit's name that two of them have is `body/unit000` in the second.

    Example:

    >>> import keras_resunits as kr
    >>> [gate.g.__name__ for gate in kr.scalar_gates(kr.GatedResNet(depth=8))["unit000"]]
    ['relu']
    """
    found: dict[str, list[ScalarGate]] = {}
    for owner, unit in _inside(model):
        gates = [layer for layer in unit._flatten_layers(include_self=False) if isinstance(layer, ScalarGate)]
        if gates:
            found[f"{owner}/{unit.name}" if unit.name in found else unit.name] = gates
    return found


def _inside(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers of a model and of the models in it, each with its model's name."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _inside(layer)
        else:
            yield model.name, layer


def gates(model: keras.Model) -> dict[str, float]:
    """`{unit: g(k)}` of every unit of `model` that has a scalar gate, in order.

    Args:
        model: A network of the package, or a model that holds one.

    Returns:
        Floats by the units' names (the product where a unit has several); empty for a network without such gates.

    Example:

    >>> import keras_resunits as kr
    >>> kr.gates(kr.GatedResNet(depth=8))
    {'unit000': 1.0, 'unit001': 1.0, 'unit002': 1.0}
    """
    found = scalar_gates(model)
    return {name: math.prod(float(ops.convert_to_numpy(gate.value())) for gate in found[name]) for name in found}


@register
class GatedCarry(keras.layers.Layer):
    """`h(z) = (1 - g(z)) s(z)`: shortcut-only gating (He et al. 2016, Fig. 2d).

    Args:
        gate: `g`, a layer that gives numbers in [0, 1] of the shape of what `shortcut` gives; see `gate`.
        shortcut: `s`, the shortcut that is gated.

    Raises:
        ValueError: when built with a gate of another shape than the shortcut's.

    Example: a gate of 1/4

    >>> import keras, numpy as np
    >>> from keras_resunits import GatedCarry
    >>> carry = GatedCarry(gate=keras.layers.Rescaling(0.25), shortcut=keras.layers.Identity())
    >>> float(carry(np.ones((1, 1)))[0, 0])
    0.75
    """

    def __init__(self, gate, shortcut, **kwargs):
        super().__init__(**kwargs)
        self.gate, self.shortcut = gate, shortcut

    def build(self, input_shape):
        gate, carry = built(self.gate, input_shape), built(self.shortcut, input_shape)
        if tuple(gate[1:]) != tuple(carry[1:]):
            raise ValueError(
                f"`GatedCarry` wants a gate of its shortcut's shape, {tuple(carry)}. Received: gate {tuple(gate)} "
                f"(in '{self.path}')."
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
