"""Base classes of orders: the placement of normalisation and activation around a body's weight layers.

An order also defines a unit's entry and exit, and the layers before the network's head. Orders are abstract or final: a
new order is a subclass of `Order` or `PreAct`, one that modifies another order is a subclass of `Wrapped`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from keras_resunits.arguments import instance_of, require_maker, resolve
from keras_resunits.layers.normalization import BatchNormalization
from keras_resunits.units.slots import Slot

Layers = list[keras.layers.Layer]
ORDERS: dict[str, Order] = {}
"""The orders by name; each file of this folder adds its own."""


@dataclass(frozen=True)
class Order(ABC):
    """Abstract base class of orders: the placement of normalisation and activation.

    Args:
        norm: Makes a normalisation layer from a `name`. Defaults to `BatchNormalization`.
        activation: Makes an activation layer from a `name`. Defaults to `keras.layers.ReLU`.

    Raises:
        ValueError: if `norm` or `activation` is not callable.

    Example: He's network with another activation

    >>> import keras
    >>> from keras_resunits import FullPreAct, PreActResNet
    >>> model = PreActResNet(depth=20, order=FullPreAct(activation=keras.layers.ELU))
    """

    norm: Callable[..., keras.layers.Layer] = BatchNormalization
    activation: Callable[..., keras.layers.Layer] = keras.layers.ReLU

    def __post_init__(self):
        for name in ("norm", "activation"):
            require_maker(getattr(self, name), name, f"order '{type(self).__name__}'")

    def norm_act(self, i: int | str = "") -> Layers:
        """Return norm and activation; `i` numbers their names."""
        return [self.norm(name=f"norm{i}"), self.activation(name=f"act{i}")]

    def stem(self, weight: keras.layers.Layer) -> keras.layers.Layer:
        """Return the weight layer of the stem."""
        return weight

    @property
    def raw_stem(self) -> bool:
        """Whether networks of this order begin with a bare convolution. Defaults to `False`."""
        return False

    @property
    def activates_first(self) -> bool:
        """Whether units activate their input, so that a bare convolution may precede them. Defaults to `False`."""
        return False

    def entry(self, slot: Slot) -> Layers:
        """Return the layers of `e`, which both paths share."""
        return []

    @abstractmethod
    def branch(self, weights: Sequence[keras.layers.Layer], slot: Slot) -> Layers:
        """Return the layers of `F`: the weight layers and all layers around them."""

    def projection(self, weight: keras.layers.Layer) -> Layers:
        """Return a weight layer of the shortcut and the layers that accompany it."""
        return [weight, self.norm(name="norm")]

    def exit(self, slot: Slot) -> Layers:
        """Return the layers of `f`, which follow the merge."""
        return []

    def head(self) -> Layers:
        """Return the layers between the last unit and the network's head."""
        return []

    def classifier(self) -> keras.initializers.Initializer:
        """Return the initialiser of the classifier's kernel: that of Torch's `Linear`, U(+-1/sqrt(fan_in))."""
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


require_order = instance_of(Order, "an `Order`")


class PreAct(Order):
    """Abstract base class of orders with activation before the weights and nothing after the addition.

    Where the shape changes, the first pre-activation moves to the unit's entry, so that the shortcut reads it too. In
    the first unit, the stem has already applied it (He et al. 2016, appendix). One pre-activation follows the last
    addition.

    Example:

    >>> import keras_resunits as kr
    >>> isinstance(kr.FullPreAct(), kr.PreAct), isinstance(kr.PostAct(), kr.PreAct)
    (True, False)
    """

    @property
    def activates_first(self):
        return True

    def pre_activation(self, i: int | str = "") -> Layers:
        """Return the layers before a weight layer; by default norm and activation."""
        return self.norm_act(i)

    def post_weight(self, i: int | str = "") -> Layers:
        """Return the layers after a weight layer; by default none."""
        return []

    @abstractmethod
    def shares(self, slot: Slot) -> bool:
        """Whether both paths of a unit read its first pre-activation."""

    def entry(self, slot):
        return self.pre_activation() if self.shares(slot) and not slot.activated else []

    def branch(self, weights, slot):
        layers: Layers = []
        for i, weight in enumerate(weights, 1):
            done = i == 1 and (self.shares(slot) or slot.activated)
            layers += [*([] if done else self.pre_activation(i)), weight, *self.post_weight(i)]
        return layers

    def projection(self, weight):
        return [weight, *self.post_weight()]

    def head(self):
        return self.pre_activation()


@dataclass(frozen=True, kw_only=True)
class Wrapped(Order):
    """Base class of orders that modify another order.

    Args:
        order: The other order, or its name.

    Raises:
        ValueError: if `order` is unknown, or `norm` or `activation` is given, which `order` already has.
    """

    order: Order

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.order, Order):
            object.__setattr__(self, "order", resolve("order", self.order, ORDERS, Order))
        if (self.norm, self.activation) != (Order.norm, Order.activation):
            raise ValueError(f"`{type(self).__name__}` takes norm and activation from `order`; set them there.")

    @property
    def raw_stem(self):
        return self.order.raw_stem

    @property
    def activates_first(self):
        return self.order.activates_first

    def norm_act(self, i=""):
        return self.order.norm_act(i)

    def stem(self, weight):
        return self.order.stem(weight)

    def entry(self, slot):
        return self.order.entry(slot)

    def branch(self, weights, slot):
        return self.order.branch(weights, slot)

    def projection(self, weight):
        return self.order.projection(weight)

    def exit(self, slot):
        return self.order.exit(slot)

    def head(self):
        return self.order.head()

    def classifier(self):
        return self.order.classifier()
