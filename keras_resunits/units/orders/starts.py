"""Orders that change what another order starts from: its last gammas, its kernels."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras

from keras_resunits.layers.series import Series
from keras_resunits.units.orders.arrangements import PostAct
from keras_resunits.units.orders.order import ORDERS, Order, Wrapped


def remade(layer: keras.layers.Layer, **changes) -> keras.layers.Layer:
    """A layer that is not built yet, made again with other arguments."""
    return type(layer).from_config({**layer.get_config(), **changes})


def started(layer: keras.layers.Layer, initializer: keras.initializers.Initializer) -> keras.layers.Layer:
    """A weight layer, or a series with one, made again so that its kernel starts by an initialiser of its own.

    Raises:
        ValueError: for a layer that holds kernels otherwise than in a series.
    """
    if isinstance(layer, Series):
        return Series([started(inner, initializer) for inner in layer.layers], name=layer.name)
    if hasattr(layer, "kernel_initializer"):
        return remade(layer, kernel_initializer=initializer.clone())
    if any(hasattr(inner, "kernel_initializer") for inner in layer._flatten_layers(include_self=False)):
        raise ValueError(
            "weights that start by another initialiser must be layers with a kernel, or a `Series` of them. "
            f"Received: {type(layer).__name__} '{layer.name}'."
        )
    return layer


class ZeroGamma(Wrapped):
    """An order whose branches' last norm has `gamma` 0 at first (Goyal et al. 2017, sec. 5.1).

    Every branch then starts at 0, so that every unit starts as its shortcut and `f`.

    Raises:
        ValueError: when asked for a branch that does not end in a norm: without one there is no gamma, and behind
            one a ReLU would see nothing but zeros, and pass no gradient, ever.

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
                "`ZeroGamma` wants an order whose branches end in a norm, such as 'post_act'. "
                f"Received: order={self.order!r} (unit '{slot.name}')."
            )
        *others, last = layers
        return [*others, remade(last, gamma_initializer=keras.initializers.Zeros())]


@dataclass(frozen=True)
class Initialized(Wrapped):
    """An order whose weight layers start otherwise than He normal over fan-out.

    Args:
        order: The order, or its name.
        kernels: Initial value of the units' kernels, on branches and shortcuts.
        projections: Initial value of those on shortcuts, where it is another.
        stems: Initial value of the stem's kernel; the order's own by default.
        classifiers: Initial value of the classifier's kernel; the order's own by default.

    Example:

    >>> import keras, keras_resunits as kr
    >>> order = kr.Initialized(order=kr.FullPreAct(), kernels=keras.initializers.Orthogonal())
    >>> model = kr.PreActResNet(depth=20, order=order)
    """

    kernels: keras.initializers.Initializer = field(kw_only=True)
    projections: keras.initializers.Initializer | None = field(default=None, kw_only=True)
    stems: keras.initializers.Initializer | None = field(default=None, kw_only=True)
    classifiers: keras.initializers.Initializer | None = field(default=None, kw_only=True)

    def stem(self, weight):
        return self.order.stem(started(weight, self.stems) if self.stems else weight)

    def branch(self, weights, slot):
        return self.order.branch([started(weight, self.kernels) for weight in weights], slot)

    def projection(self, weight):
        return self.order.projection(started(weight, self.projections or self.kernels))

    def classifier(self):
        return self.classifiers or self.order.classifier()


def fan_in(order: Order) -> Order:
    """He normal over fan-in, untruncated, in all convolutions (the code of Zagoruyko and Komodakis 2016).

    Example:

    >>> import keras_resunits as kr
    >>> unit = kr.PreActResNet(depth=8, order=kr.fan_in(kr.FullPreAct())).get_layer("unit000")
    >>> unit.branch.layers[0].kernel_initializer.mode
    'fan_in'
    """
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return Initialized(order=order, kernels=he, stems=he)


ORDERS["zero_gamma"] = ZeroGamma(order=PostAct())
