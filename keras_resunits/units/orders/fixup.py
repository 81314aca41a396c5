"""Fixup: residual networks initialised to need no normalisation (Zhang et al. 2019, arXiv 1901.09321)."""

from __future__ import annotations

import keras

from keras_resunits.arguments import checked, require_model
from keras_resunits.layers.serialization import register
from keras_resunits.layers.words import word
from keras_resunits.units.orders.order import ORDERS, Layers, Order
from keras_resunits.units.orders.starts import started


@register
class Bias(keras.layers.Layer):
    """`x + b` with one trainable scalar `b`, initialised to 0 (Zhang et al. 2019, Fixup, sec. 3.2).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Bias
    >>> float(Bias()(np.ones((1, 1)))[0, 0])
    1.0
    """

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")

    def call(self, x):
        return x + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class Scale(keras.layers.Layer):
    """`s x` with one trainable scalar `s`, initialised to 1 (Zhang et al. 2019, Fixup, sec. 3.2).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Scale
    >>> float(Scale()(np.ones((1, 1)))[0, 0])
    1.0
    """

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape


@checked(model=require_model)
def fixup_scalars(model: keras.Model) -> list[keras.Variable]:
    """Return the scalars of all `Bias` and `Scale` layers, whose learning rate Fixup divides by ten.

    Args:
        model: A network of the package.

    Example: a bias in the stem, one before the classifier, and five scalars per unit

    >>> import keras_resunits as kr
    >>> len(kr.fixup_scalars(kr.ResNet(depth=8, order="fixup")))
    17
    """
    return [layer.weights[0] for layer in model._flatten_layers() if isinstance(layer, (Bias, Scale))]


word.register(Bias, lambda layer: "bias")
word.register(Scale, lambda layer: "scale")


class Fixup(Order):
    """Post-activation without norm: bias conv bias ReLU bias conv scale bias, add, ReLU (Zhang et al. 2019, Fig. 1).

    The last weights of a branch and the classifier are initialised to 0, so that every unit starts as its shortcut.
    The other weights are He normal times `L^(-1 / (2m - 2))`, for `L` units of `m` weight layers each. The authors
    train the scalars at a tenth of the learning rate: `CoupledSGD.scale_learning_rate(fixup_scalars(model), 0.1)`.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.Fixup()))[1]
    >>> row.F, row.f
    ('bias conv3 bias act bias conv3 scale bias', 'act')
    """

    def norm_act(self, i=""):
        return [Bias(name=f"bias{i}"), self.activation(name=f"act{i}")]

    def entry(self, slot):
        return [Bias(name="bias")] if slot.changes_shape else []  # a shortcut with weights reads the biased input too

    def branch(self, weights, slot):
        *inner, last = weights
        layers: Layers = [] if slot.changes_shape else [Bias(name="bias0")]
        for i, weight in enumerate(inner, 1):
            scale = 2.0 * slot.total ** (-1.0 / (len(weights) - 1))  # a variance, the square of Fixup's factor
            he = keras.initializers.VarianceScaling(scale, "fan_out", "untruncated_normal")
            layers += [started(weight, he), *self.norm_act(i), Bias(name=f"bias{i}b")]
        return [*layers, started(last, keras.initializers.Zeros()), Scale(name="scale"), Bias(name="bias")]

    def projection(self, weight):
        return [weight]

    def exit(self, slot):
        return [self.activation(name="act")]

    def head(self):
        return [Bias(name="bias")]

    def classifier(self):
        return keras.initializers.Zeros()


ORDERS["fixup"] = Fixup()
