"""Bodies: the weight layers of `F`, before an order adds normalisation and activation.

A body is a function `Slot -> [weight layers]` that also knows its depth and expansion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras

from keras_resunits.arguments import require_bool, require_function, require_positive_int, require_rate
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.randomness import Dropout
from keras_resunits.layers.series import Series
from keras_resunits.units.slots import Slot, check_fields, require_slot


@dataclass(frozen=True)
class Body:
    """The weight layers of a branch.

    Args:
        weights: `Slot -> [weight layers]`.
        depth: Number of weight layers, as they count towards the depth of a network.
        expansion: Output channels of a unit, as a multiple of the stage's base width. Defaults to 1.

    Example: a unit of three 3x3 convolutions, and a network of depth 9 * 2 + 2 made of such units

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

    def __post_init__(self):
        require_function(self.weights, "weights", "body")
        check_fields(self, where="body")

    def __call__(self, slot: Slot) -> list[keras.layers.Layer]:
        return self.weights(require_slot(slot, "slot", "body"))


def _single(slot: Slot):
    return [conv(slot.filters, 3, slot.strides, name="conv1")]


def _basic(slot: Slot):
    return [conv(slot.filters, 3, slot.strides, name="conv1"), conv(slot.filters, 3, name="conv2")]


def _bottleneck(slot: Slot, stride_at: int, biased: tuple[int, ...] = (), width: int = 1):
    if slot.filters < 4:
        raise ValueError(
            "a bottleneck requires at least 4 filters, since its first convolution has a quarter of them. "
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
        dropout: Dropout rate, in [0, 1). Defaults to 0, which makes it `basic`.

    Raises:
        ValueError: if `dropout` is outside [0, 1).

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
    """`bottleneck_v1_5` with a wider 3x3 convolution (Zagoruyko and Komodakis 2016, sec. 4, WRN-50-2-bottleneck).

    Args:
        width: Multiplier of the filters of the first two convolutions. Defaults to 2.

    Raises:
        ValueError: if `width` is not a positive int.

    Example: twice as wide inside a unit, equally wide between units

    >>> from keras_resunits import ResNet, wide_bottleneck
    >>> branch = ResNet([1, 1, 1], block=wide_bottleneck()).get_layer("unit000").branch
    >>> [layer.filters for layer in branch.layers if layer.name.startswith("conv")]
    [32, 32, 64]
    """
    width = require_positive_int(width, "width", "body 'wide_bottleneck'")
    return Body(partial(_bottleneck, stride_at=2, width=width), depth=3, expansion=4)


def growth(bottleneck: bool = True, dropout: float = 0.0) -> Body:
    """The layers that a DenseNet unit adds, of `slot.filters - slot.in_filters` channels (Huang et al. 2017, sec. 3).

    Args:
        bottleneck: Whether a 1x1 convolution to four times as many channels precedes the 3x3 one ("B"). Defaults to
            `True`.
        dropout: Dropout rate after every convolution, in [0, 1). Defaults to 0.

    Raises:
        ValueError: if `dropout` is outside [0, 1), or the body is asked for a unit that does not grow or has a stride.

    Example:

    >>> from keras_resunits import Slot, growth
    >>> slot = Slot(index=0, total=1, in_filters=24, filters=36)
    >>> [(layer.kernel_size, layer.filters) for layer in growth()(slot)]
    [((1, 1), 48), ((3, 3), 12)]
    """
    bottleneck = require_bool(bottleneck, "bottleneck", "body 'growth'")
    dropout = require_rate(dropout, "dropout", "body 'growth'")

    def weights(slot: Slot):
        rate = slot.filters - slot.in_filters
        if rate < 1 or slot.strides != 1:
            raise ValueError(
                "body 'growth' requires filters > in_filters and strides=1. Received: "
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
"""A 1x1 convolution between the blocks of a DenseNet; a pooling layer after it has the stride."""


keras_bottleneck = Body(partial(_bottleneck, stride_at=1, biased=(1, 2, 3)), depth=3, expansion=4)
"""`bottleneck` with biases (`keras.applications.ResNet50` and its deeper variants)."""


keras_bottleneck_v2 = Body(partial(_bottleneck, stride_at=2, biased=(3,)), depth=3, expansion=4)
"""`bottleneck_v1_5` with a bias in the last convolution (`keras.applications.ResNet50V2` and its deeper variants)."""


BODIES = {"basic": basic, "bottleneck": bottleneck, "bottleneck_v1_5": bottleneck_v1_5, "single": single}
