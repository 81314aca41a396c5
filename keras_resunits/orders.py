"""The order of normalisation, activation and weights: He et al. 2016, Fig. 4 and Table 2.

An order places norm and activation around the weight layers of a body, and says what stands at the unit's entry and
exit and before the network's head. Where a letter is given it is that of Fig. 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from keras_resunits.normalization import BatchNormalization
from keras_resunits.slots import Slot

Layers = list[keras.layers.Layer]


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

    def norm_act(self, i: int | str = "") -> Layers:
        """Norm, then activation; `i` numbers their names."""
        return [self.norm(name=f"norm{i}"), self.activation(name=f"act{i}")]

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


class PostAct(Order):
    """(a) original: conv BN ReLU conv BN, add, ReLU (He et al. 2015)."""

    def branch(self, weights, slot):
        *inner, last = weights
        layers = [layer for i, weight in enumerate(inner, 1) for layer in (weight, *self.norm_act(i))]
        return [*layers, last, self.norm(name=f"norm{len(weights)}")]

    def exit(self, slot):
        return [self.activation(name="act")]


class BnAfterAdd(Order):
    """(b) BN after addition: conv BN ReLU conv, add, BN ReLU.

    A projection has no norm of its own: like the branch's last weights, it is normalised after the addition.
    """

    def branch(self, weights, slot):
        *inner, last = weights
        return [*(layer for i, weight in enumerate(inner, 1) for layer in (weight, *self.norm_act(i))), last]

    def projection(self, weight):
        return [weight]

    def exit(self, slot):
        return self.norm_act()


class ReluBeforeAdd(Order):
    """(c) ReLU before addition: conv BN ReLU conv BN ReLU, add."""

    def branch(self, weights, slot):
        return [layer for i, weight in enumerate(weights, 1) for layer in (weight, *self.norm_act(i))]


class PreAct(Order):
    """Abstract: activation before weights, with nothing after the addition.

    Where the shape changes, the first pre-activation moves to the unit's entry, so that the shortcut reads it too; in
    the first unit the stem has done it (He et al. 2016, appendix). One pre-activation follows the last addition.
    """

    @abstractmethod
    def pre_activation(self, i: int | str = "") -> Layers:
        """What stands before a weight layer."""

    def post_weight(self, i: int | str = "") -> Layers:
        """What stands after a weight layer; nothing by default."""
        return []

    def entry(self, slot):
        return self.pre_activation() if slot.changes_shape and not slot.activated else []

    def branch(self, weights, slot):
        layers: Layers = []
        for i, weight in enumerate(weights, 1):
            done = i == 1 and (slot.changes_shape or slot.activated)
            layers += [*([] if done else self.pre_activation(i)), weight, *self.post_weight(i)]
        return layers

    def projection(self, weight):
        return [weight, *self.post_weight()]

    def head(self):
        return self.pre_activation()


class ReluOnlyPreAct(PreAct):
    """(d) ReLU-only pre-activation: ReLU conv BN ReLU conv BN, add."""

    def pre_activation(self, i=""):
        return [self.activation(name=f"act{i}")]

    def post_weight(self, i=""):
        return [self.norm(name=f"norm{i}")]


class FullPreAct(PreAct):
    """(e) full pre-activation: BN ReLU conv BN ReLU conv, add. The identity mappings of the paper's title."""

    def pre_activation(self, i=""):
        return self.norm_act(i)


ORDERS = {
    "post_act": PostAct(),
    "bn_after_add": BnAfterAdd(),
    "relu_before_add": ReluBeforeAdd(),
    "relu_only_pre_act": ReluOnlyPreAct(),
    "full_pre_act": FullPreAct(),
}
