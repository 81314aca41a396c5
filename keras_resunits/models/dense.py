"""DenseNet: units that grow by concatenation, with transitions between blocks (Huang et al. 2017, arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import keras

from keras_resunits.arguments import require_positive_int, require_rate, require_share, resolve
from keras_resunits.models.depths import named, require_depth
from keras_resunits.models.family import Depth, Design, family
from keras_resunits.models.head import Top
from keras_resunits.models.network import Shape, require_shape
from keras_resunits.models.stems import IMAGENET_STEM_FROM, STEMS, Stem
from keras_resunits.units.bodies import growth as growth_body
from keras_resunits.units.bodies import transition
from keras_resunits.units.merges import branch_only, concat
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.recipes import Recipe
from keras_resunits.units.shortcuts import identity
from keras_resunits.units.slots import Slot
from keras_resunits.units.tails import branch_dropout

IMAGENET_BLOCKS = {  # layers of each block and growth rate (Huang et al. 2017, Table 1; 161: the authors' code)
    121: ((6, 12, 24, 16), 32),
    161: ((6, 12, 36, 24), 48),
    169: ((6, 12, 32, 32), 32),
    201: ((6, 12, 48, 32), 32),
    264: ((6, 12, 64, 48), 32),
}
CIFAR_BLOCKS = 3


def dense_depth(depth: Depth, arguments: dict[str, Any]) -> None:
    """The depth rule of `DenseNet`."""
    dense_blocks(depth, arguments.get("bottleneck", True))


@family(depths=dense_depth)
def DenseNet(
    depth: Depth = 100,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    growth: int | None = None,
    bottleneck: bool = True,
    compression: float | None = None,
    dropout: float = 0.0,
    order: str | Order = "pre_act_branch",
    stem: str | Stem | None = None,
    **top: Unpack[Top],
) -> Design:
    """The densely connected network of Huang et al. 2017: `x' = [x, F(x)]`.

    Unlike `ResNet` it takes no `block`, `shortcut`, `merge`, `tail` or `width`: those make it a DenseNet.

    Args:
        depth: Weight layers. CIFAR, three blocks: `6n+4` with bottlenecks ("B"), `3n+4` without. ImageNet, four blocks:
            121, 161, 169, 201, 264. Or the layers of each block. 100 by default.
        input_shape: `(height, width, channels)`; `(32, 32, 3)` by default. Height and width may be `None`.
        classes: Number of classes; 10 by default.
        growth: Channels that every unit adds, `k`; by default 12, for ImageNet the published 32 (161: 48).
        bottleneck: Whether a 1x1 convolution to `4k` channels precedes the 3x3 one; yes by default.
        compression: What a transition leaves of the channels, in (0, 1]; by default a half with bottlenecks ("BC"),
            else all.
        dropout: Its rate behind every convolution, in [0, 1); 0 by default (0.2 in the paper, without augmentation).
        order: "pre_act_branch" by default: pre-activation in the branch, the carry raw.
        stem: By default 3x3, with `2k` filters with bottlenecks, else 16; for four blocks `2k` filters, 7x7 and
            max-pool for images of 64 pixels or more, else 3x3.
        name: The model's name; the family, depth and growth by default.
        include_top: Whether pooling and the classifier follow the last unit; yes by default.
        pooling: Without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: `None`, the default, gives logits.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to logits `[batch, classes]`, whose layers
        are the units, transitions included, named by position.

    Raises:
        ValueError: for a depth that does not exist (naming the nearest), a growth that is not a positive int, or a
            compression outside (0, 1].

    Example: DenseNet-BC of depth 100 and growth 12 has 0.8M parameters (Table 2), and 23,988 moving statistics

    >>> import keras_resunits as kr
    >>> kr.DenseNet(depth=100, growth=12).count_params() - 23988
    769162
    """
    depth = require_depth(depth)
    dropout = require_rate(dropout, "dropout", "DenseNet")
    blocks, published_growth = dense_blocks(depth, bottleneck)
    growth = require_positive_int(published_growth if growth is None else growth, "growth", "DenseNet")
    compression = (0.5 if bottleneck else 1.0) if compression is None else compression
    compression = require_share(compression, "compression", "DenseNet")
    input_shape = require_shape(input_shape)
    order = resolve("order", order, ORDERS, Order)
    if stem is None:
        stem = _stem(len(blocks), 2 * growth if bottleneck else 16, input_shape)
    stem = resolve("stem", stem, STEMS, Stem)
    dense = Recipe(growth_body(bottleneck, dropout), order, identity, concat)
    between = Recipe(transition, order, identity, branch_only, partial(_pooling, dropout=dropout))
    slots = _plan(blocks, stem.filters, growth, compression)
    units = [(dense if slot.filters > slot.in_filters and slot.strides == 1 else between, slot) for slot in slots]
    return Design(units, stem, order, f"{named('densenet', depth)}_{growth}")


def dense_blocks(depth, bottleneck: bool = True) -> tuple[tuple[int, ...], int]:
    """`(layers of each block, growth)` of a depth.

    Raises:
        ValueError: for a depth that does not exist, naming the nearest.
    """
    if not isinstance(depth, int):
        return tuple(depth), 12 if len(depth) == CIFAR_BLOCKS else 32
    if bottleneck and depth in IMAGENET_BLOCKS:
        return IMAGENET_BLOCKS[depth]
    step = 2 * CIFAR_BLOCKS if bottleneck else CIFAR_BLOCKS
    each, rest = divmod(depth - 4, step)
    if rest or each < 1:
        low = step * max(each, 1) + 4
        four = f" (three blocks), or {', '.join(map(str, IMAGENET_BLOCKS))} (four)" if bottleneck else ""
        raise ValueError(
            f"no DenseNet of depth {depth}: depths are {step}n+4 {'with' if bottleneck else 'without'} bottlenecks"
            f"{four}. Nearest: {low}, {low + step}. Received: depth={depth}."
        )
    return (each,) * CIFAR_BLOCKS, 12


def _stem(blocks: int, filters: int, input_shape: Shape) -> Stem:
    if blocks == CIFAR_BLOCKS:
        return Stem(filters, activated=False)
    large = all(side is None or side >= IMAGENET_STEM_FROM for side in input_shape[:2])
    return Stem(filters, kernel_size=7, strides=2, pool=2) if large else Stem(filters)


def _plan(blocks: Sequence[int], filters: int, growth: int, compression: float) -> list[Slot]:
    """A slot for each dense unit and each transition. No unit counts on the stem's activation: its carry is raw."""
    channels = [(filters, 1)]
    for i, layers in enumerate(blocks):
        start = channels[-1][0]
        channels += [(start + growth * (j + 1), 1) for j in range(layers)]
        if i < len(blocks) - 1:
            left = int(channels[-1][0] * compression)
            if left < 1:
                raise ValueError(
                    f"`compression` must leave a channel of the {channels[-1][0]} that block {i + 1} gives. "
                    f"Received: compression={compression} (DenseNet)."
                )
            channels += [(left, 2)]
    arrive, leave = channels[:-1], channels[1:]
    return [
        Slot(index, len(leave), arrives, leaves, strides)
        for index, ((arrives, _), (leaves, strides)) in enumerate(zip(arrive, leave, strict=True))
    ]


def _pooling(slot: Slot, dropout: float) -> list[keras.layers.Layer]:
    """What ends a transition."""
    dropped = branch_dropout(slot, dropout) if dropout else []
    return [*dropped, keras.layers.AveragePooling2D(slot.strides, data_format="channels_last", name="pool")]
