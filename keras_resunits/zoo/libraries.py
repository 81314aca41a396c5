"""Equivalents of the networks for which other libraries publish weights, by the name of the library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import keras

from keras_resunits.models.dense import DenseNet
from keras_resunits.models.residual import PreActResNet, ResNet
from keras_resunits.models.stems import Stem
from keras_resunits.units.bodies import basic, bottleneck, bottleneck_v1_5, wide_bottleneck
from keras_resunits.units.orders import FullPreAct, Order, Wrapped
from keras_resunits.units.shortcuts import ZeroPad, appended, identity
from keras_resunits.units.slots import Slot
from keras_resunits.units.tails import squeeze_excite
from keras_resunits.zoo import figures
from keras_resunits.zoo.entry import CIFAR, IMAGENET, Entry, by_depth

IMAGENET_STEM = Stem(64, kernel_size=7, strides=2, pool=2)
RAW_CIFAR_STEM = Stem(16, activated=False)
RAW_IMAGENET_STEM = replace(IMAGENET_STEM, activated=False)
TORCHVISION, TIMM = "torchvision", "timm"
AKAMASTER, PYTORCHCV = "akamaster/pytorch_resnet_cifar10", "pytorchcv (osmr/imgclsmob)"


def zero_pad_both_sides(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A as in akamaster's code: half of the zeros before the old channels, half after them.

    Raises:
        ValueError: if the unit has fewer filters than input channels.
    """
    if not slot.changes_shape:
        return identity(slot, order)
    extra = appended(slot)
    return ZeroPad(extra, slot.strides, before=extra // 2, name="shortcut")


class RepeatedPreAct(Wrapped):
    """A pre-activation in every unit, including the first one after an activated stem.

    pytorchcv's PreResNets for ImageNet have this order, with 128 parameters more than `PreActResNet`. The authors' code
    omits the first unit's pre-activation (He et al. 2016, appendix).

    Example:

    >>> import keras_resunits as kr
    >>> slot = kr.Slot(index=0, total=8, in_filters=64, filters=64, activated=True)
    >>> order = kr.FullPreAct()
    >>> len(RepeatedPreAct(order=order).branch([None, None], slot)), len(order.branch([None, None], slot))
    (6, 4)
    """

    def entry(self, slot):
        return self.order.entry(replace(slot, activated=False))

    def branch(self, weights, slot):
        return self.order.branch(weights, replace(slot, activated=False))


def timm_squeeze_excite(slot: Slot) -> list[keras.layers.Layer]:
    """Squeeze-and-excite by 16 with at least 8 channels inside, as in timm.

    Example:

    >>> import keras_resunits as kr
    >>> [timm_squeeze_excite(kr.Slot(0, 1, 64, filters))[0].ratio for filters in (64, 256)]
    [8, 16]
    """
    return squeeze_excite(slot, ratio=min(16, max(1, slot.filters // 8)))


TORCHVISION_BLOCK = {18: basic, 34: basic, 50: bottleneck_v1_5, 101: bottleneck_v1_5, 152: bottleneck_v1_5}
REPEATED = RepeatedPreAct(order=FullPreAct())


def _torchvision_densenet(depth: int, growth: int = 32) -> dict[str, Entry]:
    stem = replace(IMAGENET_STEM, filters=2 * growth)
    name = "torchvision_densenet{}"
    return by_depth(name, DenseNet, [depth], TORCHVISION, figures.DENSE_IMAGENET, **IMAGENET, growth=growth, stem=stem)


def _pytorchcv_preresnet(
    depths: Iterable[int], block: str, parameters: Mapping[int, int], operations: Mapping[int, float]
) -> dict[str, Entry]:
    options: dict[str, Any] = {"block": block, "shortcut": "projection", "stem": RAW_CIFAR_STEM}
    name = "pytorchcv_preresnet{}"
    return by_depth(name, PreActResNet, depths, PYTORCHCV, parameters, operations, **CIFAR, **options)


def _pytorchcv_preresnet_imagenet(
    name: str, depths: Iterable[int], block, operations: Mapping[int, float]
) -> dict[str, Entry]:
    options: dict[str, Any] = {"block": block, "order": REPEATED, "stem": IMAGENET_STEM}
    counts = figures.REPEATED_PRE_IMAGENET
    return by_depth(name, PreActResNet, depths, PYTORCHCV, counts, operations, **IMAGENET, **options)


def _pytorchcv_wrn(depth: int, width: int) -> Entry:
    units = [(depth - 4) // 6] * 3
    options = {"depth": units, **CIFAR, "width": width, "shortcut": "projection", "stem": RAW_CIFAR_STEM}
    place = (depth, width)
    return Entry(PreActResNet, options, PYTORCHCV, figures.WIDE[place], figures.WIDE_OPERATIONS[place])


def _pytorchcv_densenet(depth: int, growth: int, bottleneck: bool) -> Entry:
    stem = Stem(2 * growth, activated=False)
    options = {"depth": depth, **CIFAR, "growth": growth, "bottleneck": bottleneck, "compression": 0.5, "stem": stem}
    counts = figures.DENSE_BC if bottleneck else figures.DENSE_HALVED
    operations = figures.DENSE_BC_OPERATIONS if bottleneck else figures.DENSE_HALVED_OPERATIONS
    return Entry(DenseNet, options, PYTORCHCV, counts[depth, growth], operations[depth, growth])


LIBRARIES: dict[str, Entry] = {
    **{
        name: entry
        for depth, block in TORCHVISION_BLOCK.items()
        for name, entry in by_depth(
            "torchvision_resnet{}",
            ResNet,
            [depth],
            TORCHVISION,
            figures.IMAGENET,
            **IMAGENET,
            block=block,
            stem=IMAGENET_STEM,
        ).items()
    },
    **by_depth(
        "torchvision_wide_resnet{}_2",
        ResNet,
        (50, 101),
        TORCHVISION,
        figures.WIDE_BOTTLENECK,
        **IMAGENET,
        block=wide_bottleneck(),
        stem=IMAGENET_STEM,
    ),
    **_torchvision_densenet(121),
    **_torchvision_densenet(169),
    **_torchvision_densenet(201),
    **_torchvision_densenet(161, growth=48),
    **by_depth(
        "timm_resnetv2_{}",
        PreActResNet,
        (18, 34, 50, 101, 152),
        TIMM,
        figures.PRE_IMAGENET,
        derived=True,
        **IMAGENET,
        stem=RAW_IMAGENET_STEM,
    ),
    **{
        name: entry
        for depth, block in TORCHVISION_BLOCK.items()
        for name, entry in by_depth(
            "timm_seresnet{}",
            ResNet,
            [depth],
            TIMM,
            figures.SE_IMAGENET,
            derived=True,
            **IMAGENET,
            block=block,
            stem=IMAGENET_STEM,
            tail=timm_squeeze_excite,
        ).items()
    },
    **by_depth(
        "akamaster_resnet{}",
        ResNet,
        figures.OPTION_A,
        AKAMASTER,
        figures.OPTION_A,
        **CIFAR,
        shortcut=zero_pad_both_sides,
    ),
    **by_depth(
        "pytorchcv_resnet{}",
        ResNet,
        figures.OPTION_B_OPERATIONS,
        PYTORCHCV,
        figures.OPTION_B,
        figures.OPTION_B_OPERATIONS,
        **CIFAR,
        block="basic",
        shortcut="projection",
    ),
    **by_depth(
        "pytorchcv_resnet{}",
        ResNet,
        figures.BOTTLENECK,
        PYTORCHCV,
        figures.BOTTLENECK,
        figures.BOTTLENECK_V1_5_OPERATIONS,
        **CIFAR,
        block="bottleneck_v1_5",
        shortcut="projection",
    ),
    **by_depth(
        "pytorchcv_seresnet{}",
        ResNet,
        figures.SE_OPTION_B,
        PYTORCHCV,
        figures.SE_OPTION_B,
        **CIFAR,
        block="basic",
        shortcut="projection",
        tail="squeeze_excite",
    ),
    **by_depth(
        "pytorchcv_seresnet{}",
        ResNet,
        figures.SE_BOTTLENECK,
        PYTORCHCV,
        figures.SE_BOTTLENECK,
        **CIFAR,
        block="bottleneck_v1_5",
        shortcut="projection",
        tail="squeeze_excite",
    ),
    **_pytorchcv_preresnet(figures.RAW_STEM_B, "basic", figures.RAW_STEM_B, figures.RAW_STEM_B_OPERATIONS),
    **_pytorchcv_preresnet(
        figures.PRE_BOTTLENECK, "bottleneck_v1_5", figures.PRE_BOTTLENECK, figures.PRE_BOTTLENECK_V1_5_OPERATIONS
    ),
    **_pytorchcv_preresnet_imagenet("pytorchcv_preresnet{}", (18, 34), basic, figures.REPEATED_PRE_IMAGENET_OPERATIONS),
    **_pytorchcv_preresnet_imagenet(
        "pytorchcv_preresnet{}", (50, 101, 152), bottleneck, figures.REPEATED_PRE_IMAGENET_OPERATIONS
    ),
    **_pytorchcv_preresnet_imagenet(
        "pytorchcv_preresnet{}b", (50, 101, 152, 200), bottleneck_v1_5, figures.REPEATED_PRE_IMAGENET_V1_5_OPERATIONS
    ),
    **{f"pytorchcv_wrn{depth}_{width}": _pytorchcv_wrn(depth, width) for depth, width in figures.WIDE_OPERATIONS},
    **{
        f"pytorchcv_densenet{depth}_k{growth}": _pytorchcv_densenet(depth, growth, bottleneck=False)
        for depth, growth in figures.DENSE_HALVED
    },
    **{
        f"pytorchcv_densenet{depth}_k{growth}_bc": _pytorchcv_densenet(depth, growth, bottleneck=True)
        for depth, growth in figures.DENSE_BC
    },
}
"""The rows by name; the word before the first underscore is the library."""
