"""`F`'s weight layers, before an order puts normalisation and activation around them.

A body is a function `Slot -> [weight layers]` that also knows its depth and expansion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_resunits.convolutions import conv
from keras_resunits.slots import Slot


@dataclass(frozen=True)
class Body:
    """The weight layers of a branch.

    Args:
        weights: `Slot -> [weight layers]`.
        depth: How many weight layers count towards a network's depth.
        expansion: Channels that a unit gives, as a multiple of the stage's base width; 1 by default.

    Example: a unit of three 3x3 convolutions, and the network of depth 9 * 2 + 2 made of it

    >>> from keras_resunits import Body, PreActResNet
    >>> from keras_resunits.convolutions import conv
    >>> def triple(slot):
    ...     return [conv(slot.filters, 3, slot.strides if i == 1 else 1, name=f"conv{i}") for i in (1, 2, 3)]
    >>> PreActResNet(depth=20, block=Body(triple, depth=3)).count_params() > 0
    True
    """

    weights: Callable[[Slot], list[keras.layers.Layer]]
    depth: int
    expansion: int = 1

    def __call__(self, slot: Slot) -> list[keras.layers.Layer]:
        return self.weights(slot)


def _single(slot: Slot):
    return [conv(slot.filters, 3, slot.strides, name="conv1")]


def _basic(slot: Slot):
    return [conv(slot.filters, 3, slot.strides, name="conv1"), conv(slot.filters, 3, name="conv2")]


def _bottleneck(slot: Slot, strides_1x1: int, strides_3x3: int):
    narrow = slot.filters // 4
    return [
        conv(narrow, 1, strides_1x1, name="conv1"),
        conv(narrow, 3, strides_3x3, name="conv2"),
        conv(slot.filters, 1, name="conv3"),
    ]


single = Body(_single, depth=1)
"""One 3x3 convolution (He et al. 2016, Table 3, "1-layer skip")."""

basic = Body(_basic, depth=2)
"""Two 3x3 convolutions (He et al. 2015, Fig. 5 left)."""

bottleneck = Body(lambda slot: _bottleneck(slot, slot.strides, 1), depth=3, expansion=4)
"""1x1, 3x3, 1x1 (He et al. 2015, Fig. 5 right), stride on the first 1x1 as in the authors' code ("v1")."""

bottleneck_v1_5 = Body(lambda slot: _bottleneck(slot, 1, slot.strides), depth=3, expansion=4)
"""1x1, 3x3, 1x1 with the stride on the 3x3 (fb.resnet.torch), known as "v1.5"."""

BODIES = {"basic": basic, "bottleneck": bottleneck, "bottleneck_v1_5": bottleneck_v1_5, "single": single}
