"""What an order is: where normalisation and activation stand around a body's weight layers.

An order also says what stands at the unit's entry and exit and before the network's head. Orders are abstract or final:
a new one is a subclass of `Order` or `PreAct`, one that changes another order a subclass of `Wrapped`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras

from keras_resunits.arguments import resolve
from keras_resunits.layers.normalization import BatchNormalization
from keras_resunits.units.slots import Slot

Layers = list[keras.layers.Layer]
ORDERS: dict[str, Order] = {}
"""The orders by name; each file of this room adds its own."""


@dataclass(frozen=True)
class Order(ABC):
    """Abstract: where normalisation and activation stand.

    Args:
        norm: Makes a normalisation layer of a `name`; `BatchNormalization` by default.
        activation: Makes an activation layer of a `name`; `keras.layers.ReLU` by default.

    Example: He's network with another activation

    >>> import keras
    >>> from keras_resunits import FullPreAct, PreActResNet
    >>> model = PreActResNet(depth=20, order=FullPreAct(activation=keras.layers.ELU))
    """

    norm: Callable[..., keras.layers.Layer] = BatchNormalization
    activation: Callable[..., keras.layers.Layer] = keras.layers.ReLU

    def __post_init__(self):
        for name in ("norm", "activation"):
            if not callable(getattr(self, name)):
                raise ValueError(
                    f"`{name}` must make a layer of a `name`, as a layer class does. "
                    f"Received: {name}={getattr(self, name)!r} (order '{type(self).__name__}')."
                )

    def norm_act(self, i: int | str = "") -> Layers:
        """Norm, then activation; `i` numbers their names."""
        return [self.norm(name=f"norm{i}"), self.activation(name=f"act{i}")]

    def stem(self, weight: keras.layers.Layer) -> keras.layers.Layer:
        """The stem's weight layer."""
        return weight

    @property
    def raw_stem(self) -> bool:
        """Whether the networks of this order begin with a bare convolution; no by default."""
        return False

    @property
    def activates_first(self) -> bool:
        """Whether units activate what they read, so that a bare convolution may come before them; no by default."""
        return False

    def entry(self, slot: Slot) -> Layers:
        """`e`: what both paths share."""
        return []

    @abstractmethod
    def branch(self, weights: Sequence[keras.layers.Layer], slot: Slot) -> Layers:
        """`F`: the weight layers with all that stands between them."""

    def projection(self, weight: keras.layers.Layer) -> Layers:
        """A weight layer on the shortcut, with what belongs to it."""
        return [weight, self.norm(name="norm")]

    def exit(self, slot: Slot) -> Layers:
        """`f`: what follows the merge."""
        return []

    def head(self) -> Layers:
        """What stands between the last unit and the network's head."""
        return []

    def classifier(self) -> keras.initializers.Initializer:
        """What the classifier's kernel is at first: as Torch's `Linear`, U(+-1/sqrt(fan_in))."""
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


class PreAct(Order):
    """Abstract: activation before weights, with nothing after the addition.

    Where the shape changes, the first pre-activation moves to the unit's entry, so that the shortcut reads it too; in
    the first unit the stem has done it (He et al. 2016, appendix). One pre-activation follows the last addition.

    Example:

    >>> import keras_resunits as kr
    >>> isinstance(kr.FullPreAct(), kr.PreAct), isinstance(kr.PostAct(), kr.PreAct)
    (True, False)
    """

    @property
    def activates_first(self):
        return True

    def pre_activation(self, i: int | str = "") -> Layers:
        """What stands before a weight layer: norm and activation by default."""
        return self.norm_act(i)

    def post_weight(self, i: int | str = "") -> Layers:
        """What stands after a weight layer; nothing by default."""
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


@dataclass(frozen=True)
class Wrapped(Order):
    """Another order, with something changed.

    Args:
        order: The other order, or its name.
    """

    order: Order = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.order, Order):
            object.__setattr__(self, "order", resolve("order", self.order, ORDERS, Order))
        if (self.norm, self.activation) != (Order.norm, Order.activation):
            raise ValueError(f"`{type(self).__name__}` takes norm and activation from `order`: give them to that one.")

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
