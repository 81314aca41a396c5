"""`F`'s weight layers, before an order puts normalisation and activation around them.

A body is a function `Slot -> [weight layers]` that also knows its depth and expansion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras

from keras_resunits.arguments import require_positive_int, require_rate
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.randomness import Dropout
from keras_resunits.layers.series import Series
from keras_resunits.units.slots import Slot


@dataclass(frozen=True)
class Body:
    """The weight layers of a branch.

    Args:
        weights: `Slot -> [weight layers]`.
        depth: How many weight layers count towards a network's depth.
        expansion: Channels that a unit gives, as a multiple of the stage's base width; 1 by default.

    Example: a unit of three 3x3 convolutions, and the network of depth 9 * 2 + 2 made of it

    >>> from keras_resunits import Body, PreActResNet
    >>> from keras_resunits.layers.convolutions import conv
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


def _bottleneck(slot: Slot, stride_at: int, biased: tuple[int, ...] = (), width: int = 1):
    if slot.filters < 4:
        raise ValueError(
            "a bottleneck wants at least 4 filters, a quarter of which are its first convolution's. "
            f"Received: filters={slot.filters} (unit '{slot.name}')."
        )
    narrow = slot.filters // 4 * width
    shapes = {1: (narrow, 1), 2: (narrow, 3), 3: (slot.filters, 1)}
    return [
        conv(filters, size, slot.strides if i == stride_at else 1, name=f"conv{i}", use_bias=i in biased)
        for i, (filters, size) in shapes.items()
    ]


def wide_basic(dropout: float = 0.0) -> Body:
    """Two 3x3 convolutions with dropout before the second (Zagoruyko and Komodakis 2016, Fig. 1d).

    Args:
        dropout: Its rate, in [0, 1); 0 by default, which is `basic`.

    Raises:
        ValueError: for a rate outside [0, 1).

    Example:

    >>> from keras_resunits import PreActResNet, wide_basic
    >>> model = PreActResNet(depth=[4, 4, 4], block=wide_basic(dropout=0.3), width=10)
    """
    dropout = require_rate(dropout, "dropout", "body 'wide_basic'")
    if not dropout:
        return basic

    def weights(slot: Slot):
        first, second = _basic(slot)
        return [first, Series([Dropout(dropout, name="dropout"), second], name="weights2")]

    return Body(weights, depth=2)


def wide_bottleneck(width: int = 2) -> Body:
    """`bottleneck_v1_5` whose 3x3 convolution is wider (Zagoruyko and Komodakis 2016, sec. 4, WRN-50-2-bottleneck).

    Args:
        width: Multiplies the filters of the first two convolutions; 2 by default.

    Raises:
        ValueError: for a width that is not a positive int.

    Example: twice as wide within, as wide between the units

    >>> from keras_resunits import ResNet, wide_bottleneck
    >>> branch = ResNet([1, 1, 1], block=wide_bottleneck()).get_layer("unit000").branch
    >>> [layer.filters for layer in branch.layers if layer.name.startswith("conv")]
    [32, 32, 64]
    """
    width = require_positive_int(width, "width", "body 'wide_bottleneck'")
    return Body(partial(_bottleneck, stride_at=2, width=width), depth=3, expansion=4)


def growth(bottleneck: bool = True, dropout: float = 0.0) -> Body:
    """What a DenseNet layer adds: `slot.filters - slot.in_filters` channels (Huang et al. 2017, sec. 3).

    Args:
        bottleneck: Whether a 1x1 convolution to four times as many precedes the 3x3 one ("B"); yes by default.
        dropout: Its rate behind every convolution, in [0, 1); 0 by default.

    Raises:
        ValueError: for a rate outside [0, 1), or when asked for a unit that does not grow.

    Example:

    >>> from keras_resunits import Slot, growth
    >>> slot = Slot(index=0, total=1, in_filters=24, filters=36)
    >>> [(layer.kernel_size, layer.filters) for layer in growth()(slot)]
    [((1, 1), 48), ((3, 3), 12)]
    """
    dropout = require_rate(dropout, "dropout", "body 'growth'")

    def weights(slot: Slot):
        rate = slot.filters - slot.in_filters
        if rate < 1 or slot.strides != 1:
            raise ValueError(
                "body 'growth' wants filters > in_filters and no stride. Received: "
                f"in_filters={slot.in_filters}, filters={slot.filters}, strides={slot.strides} (unit '{slot.name}')."
            )
        narrow = [conv(4 * rate, 1, name="conv1")] if bottleneck else []
        layers = [*narrow, conv(rate, 3, name=f"conv{len(narrow) + 1}")]
        if not dropout:
            return layers
        drops = (Dropout(dropout, name="dropout") for _ in layers)
        return [Series(pair, name=f"weights{i}") for i, pair in enumerate(zip(layers, drops, strict=True), 1)]

    return Body(weights, depth=2 if bottleneck else 1)


def _transition(slot: Slot):
    return [conv(slot.filters, 1, name="conv1")]


single = Body(_single, depth=1)
"""One 3x3 convolution (He et al. 2016, Table 3, "1-layer skip")."""


basic = Body(_basic, depth=2)
"""Two 3x3 convolutions (He et al. 2015, Fig. 5 left)."""


bottleneck = Body(partial(_bottleneck, stride_at=1), depth=3, expansion=4)
"""1x1, 3x3, 1x1 (He et al. 2015, Fig. 5 right), stride on the first 1x1 as in the authors' code ("v1")."""


bottleneck_v1_5 = Body(partial(_bottleneck, stride_at=2), depth=3, expansion=4)
"""1x1, 3x3, 1x1 with the stride on the 3x3 (fb.resnet.torch), known as "v1.5"."""


transition = Body(_transition, depth=1)
"""A 1x1 convolution (DenseNet, between blocks); the stride is a pooling behind it."""


keras_bottleneck = Body(partial(_bottleneck, stride_at=1, biased=(1, 2, 3)), depth=3, expansion=4)
"""`bottleneck` with biases (`keras.applications.ResNet50` and its sisters)."""


keras_bottleneck_v2 = Body(partial(_bottleneck, stride_at=2, biased=(3,)), depth=3, expansion=4)
"""`bottleneck_v1_5` with a bias on the last convolution (`keras.applications.ResNet50V2` and its sisters)."""


BODIES = {"basic": basic, "bottleneck": bottleneck, "bottleneck_v1_5": bottleneck_v1_5, "single": single}
