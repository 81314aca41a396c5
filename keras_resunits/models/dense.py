"""DenseNet: units that grow by concatenation, with transitions between blocks (Huang et al. 2017, arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import keras

from keras_resunits.arguments import require_bool, require_positive_int, require_rate, require_share, resolve
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
    """Check the depth of a `DenseNet`."""
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

    Unlike `ResNet`, it takes no `block`, `shortcut`, `merge`, `tail` or `width`: these define the family.

    Args:
        depth: Number of weight layers. CIFAR (three blocks): `6n+4` with bottlenecks ("B"), `3n+4` without. ImageNet
            (four blocks): 121, 161, 169, 201 or 264. Or a list with the units of each block. Defaults to 100.
        input_shape: `(height, width, channels)`; height and width may be `None`. Defaults to `(32, 32, 3)`.
        classes: Number of classes. Defaults to 10.
        growth: Number of channels that every unit adds, `k`. Defaults to 12, for ImageNet to the paper's 32 (161: 48).
        bottleneck: Whether a 1x1 convolution to `4k` channels precedes the 3x3 one. Defaults to `True`.
        compression: Fraction of the channels that a transition keeps, in (0, 1]. Defaults to 0.5 with bottlenecks
            ("BC"), else to 1.
        dropout: Dropout rate after every convolution, in [0, 1). Defaults to 0 (in the paper 0.2 without augmentation).
        order: Order of the units. Defaults to "pre_act_branch": pre-activation in the branch, and a raw carry.
        stem: Stem before the first unit. For three blocks it defaults to 3x3 with 16 filters, or `2k` with bottlenecks.
            For four blocks it defaults to `2k` filters: 7x7 and max pooling for images of at least 64 pixels, else 3x3.
        name: Name of the model. Defaults to family, depth and growth.
        remat: As for `ResNet`.
        weights: As for `ResNet`.
        include_top: Whether pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to logits `[batch, classes]`. Its layers are
        the units, including transitions, named by position.

    Raises:
        ValueError: if the depth does not exist (the message names the nearest), `growth` is not a positive int, or
            `compression` is outside (0, 1].

    Example: DenseNet-BC of depth 100 and growth 12 has 0.8M parameters (Table 2), and 23,988 moving statistics

    >>> import keras_resunits as kr
    >>> kr.DenseNet(depth=100, growth=12).count_params() - 23988
    769162
    """
    depth = require_depth(depth)
    dropout = require_rate(dropout, "dropout", "DenseNet")
    bottleneck = require_bool(bottleneck, "bottleneck", "DenseNet")
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
    """Return `(units of each block, growth)` for a depth.

    Raises:
        ValueError: if the depth does not exist; the message names the nearest.
    """
    if not isinstance(depth, int):
        if not depth:
            raise ValueError("`depth` as a list must hold the units of at least one block. Received: depth=[].")
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
    """Return a slot for each dense unit and each transition, none of them `activated`: the carry is raw."""
    channels = [(filters, 1)]
    for i, layers in enumerate(blocks):
        start = channels[-1][0]
        channels += [(start + growth * (j + 1), 1) for j in range(layers)]
        if i < len(blocks) - 1:
            left = int(channels[-1][0] * compression)
            if left < 1:
                raise ValueError(
                    f"`compression` must keep at least one of the {channels[-1][0]} channels of block {i + 1}. "
                    f"Received: compression={compression} (DenseNet)."
                )
            channels += [(left, 2)]
    arrive, leave = channels[:-1], channels[1:]
    return [
        Slot(index, len(leave), arrives, leaves, strides)
        for index, ((arrives, _), (leaves, strides)) in enumerate(zip(arrive, leave, strict=True))
    ]


def _pooling(slot: Slot, dropout: float) -> list[keras.layers.Layer]:
    """Return the layers that end a transition."""
    dropped = branch_dropout(slot, dropout) if dropout else []
    return [*dropped, keras.layers.AveragePooling2D(slot.strides, data_format="channels_last", name="pool")]
