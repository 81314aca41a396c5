"""Gates: factors of an edge, computed from the unit's input or trained as a scalar."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.arguments import checked, instance_of, require_activation, require_number
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.serialization import register
from keras_resunits.layers.series import Series
from keras_resunits.layers.words import word
from keras_resunits.units.slots import Slot, require_slot


@checked(slot=require_slot)
def gate(slot: Slot, bias: float, kernel_size: int = 1) -> keras.layers.Layer:
    """`g(z) = sigmoid(W z + b)`, a number for each channel and position (He et al. 2016, sec. 3.1).

    Args:
        slot: Slot of the unit. The gate has its filters and stride, and so the shape of the unit's output.
        bias: Initial value of `b`. The more negative it is, the more `1 - g` lets pass.
        kernel_size: Kernel size of `W`. Defaults to 1.

    Returns:
        A layer from `[batch, height, width, in_filters]` to the shape of the unit's output.

    Raises:
        ValueError: if `bias` is not a finite number.

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

    At the end of `F` it is the residual gate, `g(k) F(z)`, with which a unit is the identity where `g(k) = 0`. With `g`
    the identity and `k` initialised to 0, it is the scalar of ReZero and SkipInit. `CoupledSGD` does not decay it,
    which is better according to Table 3.

    Args:
        g: An activation: a name that Keras knows, or a registered function. Defaults to "relu", as in the paper. A gate
            closed by "relu" has no gradient and cannot reopen; one closed by "leaky_relu" can.
        initial: Initial value of `k`. Defaults to 1, at which "relu" lets everything pass.

    Raises:
        ValueError: if `initial` is not a finite number, or `g` is not a known activation.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import ScalarGate
    >>> float(ScalarGate(initial=0.5)(np.ones((1, 1)))[0, 0]), float(ScalarGate(initial=-1.0)(np.ones((1, 1)))[0, 0])
    (0.5, 0.0)
    """

    def __init__(self, g="relu", initial: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = require_number(initial, "initial", f"layer '{self.name}'")
        self.g = require_activation(g, "g", f"layer '{self.name}'")

    def build(self, input_shape):
        self.k = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.initial), name="k")
        self.k.decays = False  # read by `CoupledSGD`

    @property
    def starts_at_zero(self) -> bool:
        """Whether `k` is initialised to 0 and `g(0)` is 0."""
        return self.initial == 0 and not float(ops.convert_to_numpy(self.g(ops.zeros(()))))

    def value(self):
        """Return `g(k)`, a scalar tensor."""
        return self.g(ops.convert_to_tensor(self.k))

    def call(self, x):
        return self.value() * x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "g": keras.activations.serialize(self.g), "initial": self.initial}


require_gate = instance_of(ScalarGate, "a `ScalarGate`")


@word.register
def _(layer: ScalarGate) -> str:
    if layer.g is keras.activations.linear:
        return "*k"
    return f"*{getattr(layer.g, '__name__', type(layer.g).__name__)}(k)"
