"""Orders that change the initialisation of another order: its last gammas or its kernels."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_resunits.arguments import require_initializer
from keras_resunits.layers.series import Series
from keras_resunits.units.orders.arrangements import PostAct
from keras_resunits.units.orders.order import ORDERS, Order, Wrapped


def remade(layer: keras.layers.Layer, **changes) -> keras.layers.Layer:
    """Return a copy of a layer that is not built yet, with some arguments changed."""
    return type(layer).from_config({**layer.get_config(), **changes})


def started(layer: keras.layers.Layer, initializer: keras.initializers.Initializer) -> keras.layers.Layer:
    """Return a copy of a weight layer, or of a series of them, with another kernel initialiser.

    Raises:
        ValueError: if a layer other than a series contains layers with kernels.
    """
    if isinstance(layer, Series):
        return Series([started(inner, initializer) for inner in layer.layers], name=layer.name)
    if hasattr(layer, "kernel_initializer"):
        return remade(layer, kernel_initializer=initializer.clone())
    if any(hasattr(inner, "kernel_initializer") for inner in layer._flatten_layers()):
        raise ValueError(
            "another initialiser requires layers with a kernel, or a `Series` of them. "
            f"Received: {type(layer).__name__} '{layer.name}'."
        )
    return layer


class ZeroGamma(Wrapped):
    """An order that initialises `gamma` to 0 in the last norm of every branch (Goyal et al. 2017, sec. 5.1).

    Every branch then starts at 0, so every unit starts as its shortcut followed by `f`.

    Raises:
        ValueError: if a branch does not end in a norm. Without a norm there is no gamma, and a ReLU after the norm
            would only ever see zeros and pass no gradient.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=8, order=kr.ZeroGamma(order=kr.PostAct()))
    >>> float(model.get_layer("unit000").branch.layers[-1].gamma.numpy().max())
    0.0
    """

    def branch(self, weights, slot):
        layers = self.order.branch(weights, slot)
        if not hasattr(layers[-1], "gamma_initializer"):
            raise ValueError(
                "`ZeroGamma` requires an order whose branches end in a norm, such as 'post_act'. "
                f"Received: order={self.order!r} (unit '{slot.name}')."
            )
        *others, last = layers
        return [*others, remade(last, gamma_initializer=keras.initializers.Zeros())]


@dataclass(frozen=True, kw_only=True)
class Initialized(Wrapped):
    """An order whose weight layers have initialisers other than He normal over fan-out.

    Args:
        order: The order, or its name.
        kernels: Initialiser of the units' kernels, on branches and shortcuts. Each initialiser is an object or a name.
        projections: Initialiser of the kernels on shortcuts. Defaults to `kernels`.
        stems: Initialiser of the stem's kernel. Defaults to the order's own.
        classifiers: Initialiser of the classifier's kernel. Defaults to the order's own.

    Raises:
        ValueError: if an initialiser is neither an object nor a name that Keras knows.

    Example:

    >>> import keras, keras_resunits as kr
    >>> order = kr.Initialized(order=kr.FullPreAct(), kernels=keras.initializers.Orthogonal())
    >>> model = kr.PreActResNet(depth=20, order=order)
    """

    kernels: keras.initializers.Initializer
    projections: keras.initializers.Initializer | None = None
    stems: keras.initializers.Initializer | None = None
    classifiers: keras.initializers.Initializer | None = None

    def __post_init__(self):
        super().__post_init__()
        for name in ("kernels", "projections", "stems", "classifiers"):
            kind = require_initializer if name == "kernels" else require_initializer.or_none
            object.__setattr__(self, name, kind(getattr(self, name), name, "order 'Initialized'"))

    def stem(self, weight):
        return self.order.stem(started(weight, self.stems) if self.stems else weight)

    def branch(self, weights, slot):
        return self.order.branch([started(weight, self.kernels) for weight in weights], slot)

    def projection(self, weight):
        return self.order.projection(started(weight, self.projections or self.kernels))

    def classifier(self):
        return self.classifiers or self.order.classifier()


def fan_in(order: Order) -> Order:
    """Initialise all convolutions with He normal over fan-in, untruncated (the code of Zagoruyko and Komodakis 2016).

    Example:

    >>> import keras_resunits as kr
    >>> unit = kr.PreActResNet(depth=8, order=kr.fan_in(kr.FullPreAct())).get_layer("unit000")
    >>> unit.branch.layers[0].kernel_initializer.mode
    'fan_in'
    """
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return Initialized(order=order, kernels=he, stems=he)


ORDERS["zero_gamma"] = ZeroGamma(order=PostAct())
