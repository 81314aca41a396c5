"""Networks that other libraries publish weights of, each as ours that answers alike, by their layout and name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import keras

from keras_resunits.bodies import Body, basic, bottleneck, bottleneck_v1_5, wide_bottleneck
from keras_resunits.densenet import DenseNet
from keras_resunits.models import PreActResNet, ResNet
from keras_resunits.orders import FullPreAct, Order
from keras_resunits.shortcuts import ZeroPad, appended, identity
from keras_resunits.slots import Slot
from keras_resunits.stems import Stem

IMAGENET: dict[str, Any] = {"input_shape": (224, 224, 3), "classes": 1000}
CIFAR: dict[str, Any] = {"input_shape": (32, 32, 3), "classes": 10}
IMAGENET_STEM = Stem(64, kernel_size=7, strides=2, pool=2)
RAW_CIFAR_STEM = Stem(16, activated=False)
RAW_IMAGENET_STEM = replace(IMAGENET_STEM, activated=False)


def zero_pad_both_sides(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option A as akamaster has it: half of the zeros before the old channels, half behind.

    Raises:
        ValueError: if the unit has fewer filters than arrive.
    """
    if not slot.changes_shape:
        return identity(slot, order)
    extra = appended(slot)
    return ZeroPad(extra, slot.strides, before=extra // 2, name="shortcut")


class RepeatedPreAct(FullPreAct):
    """Full pre-activation in every unit, the first one too, whatever the stem has activated already.

    So are pytorchcv's PreResNets for ImageNet, with 128 parameters more than `PreActResNet`: the authors' code leaves
    out the first unit's (He et al. 2016, appendix).

    Example:

    >>> import keras_resunits as kr
    >>> slot = kr.Slot(index=0, total=8, in_filters=64, filters=64, activated=True)
    >>> len(RepeatedPreAct().branch([None, None], slot)), len(kr.FullPreAct().branch([None, None], slot))
    (6, 4)
    """

    def entry(self, slot):
        return super().entry(replace(slot, activated=False))

    def branch(self, weights, slot):
        return super().branch(weights, replace(slot, activated=False))


def _torchvision_resnet(depth: int, block: Body | None = None) -> partial[keras.Model]:
    block = block or (basic if depth < 50 else bottleneck_v1_5)
    return partial(ResNet, depth=depth, **IMAGENET, block=block, stem=IMAGENET_STEM)


def _torchvision_densenet(depth: int, growth: int = 32) -> partial[keras.Model]:
    stem = replace(IMAGENET_STEM, filters=2 * growth)
    return partial(DenseNet, depth=depth, **IMAGENET, growth=growth, stem=stem)


def _timm_resnetv2(depth: int) -> partial[keras.Model]:
    return partial(PreActResNet, depth=depth, **IMAGENET, stem=RAW_IMAGENET_STEM)


def _akamaster_resnet(depth: int) -> partial[keras.Model]:
    return partial(ResNet, depth=depth, **CIFAR, shortcut=zero_pad_both_sides)


def _pytorchcv_resnet(depth: int, block: str) -> partial[keras.Model]:
    return partial(ResNet, depth=depth, **CIFAR, block=block, shortcut="projection")


def _pytorchcv_imagenet_preresnet(depth: int, block: Body) -> partial[keras.Model]:
    return partial(PreActResNet, depth=depth, **IMAGENET, block=block, order=RepeatedPreAct(), stem=IMAGENET_STEM)


def _pytorchcv_preresnet(depth: int, block: str) -> partial[keras.Model]:
    return partial(PreActResNet, depth=depth, **CIFAR, block=block, shortcut="projection", stem=RAW_CIFAR_STEM)


def _pytorchcv_wrn(depth: int, width: int) -> partial[keras.Model]:
    units = [(depth - 4) // 6] * 3
    return partial(PreActResNet, depth=units, **CIFAR, width=width, shortcut="projection", stem=RAW_CIFAR_STEM)


def _pytorchcv_densenet(depth: int, growth: int, bottleneck: bool) -> partial[keras.Model]:
    stem = Stem(2 * growth, activated=False)
    return partial(DenseNet, depth=depth, **CIFAR, growth=growth, bottleneck=bottleneck, compression=0.5, stem=stem)


NETWORKS: dict[str, partial[keras.Model]] = {
    **{f"torchvision_resnet{depth}": _torchvision_resnet(depth) for depth in (18, 34, 50, 101, 152)},
    **{f"torchvision_wide_resnet{depth}_2": _torchvision_resnet(depth, block=wide_bottleneck()) for depth in (50, 101)},
    **{f"torchvision_densenet{depth}": _torchvision_densenet(depth) for depth in (121, 169, 201)},
    "torchvision_densenet161": _torchvision_densenet(161, growth=48),
    **{f"timm_resnetv2_{depth}": _timm_resnetv2(depth) for depth in (18, 34, 50, 101, 152)},
    **{f"akamaster_resnet{depth}": _akamaster_resnet(depth) for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"pytorchcv_resnet{depth}": _pytorchcv_resnet(depth, "basic") for depth in (20, 56, 110, 1202)},
    **{f"pytorchcv_resnet{depth}": _pytorchcv_resnet(depth, "bottleneck_v1_5") for depth in (164, 272, 542, 1001)},
    **{f"pytorchcv_preresnet{depth}": _pytorchcv_preresnet(depth, "basic") for depth in (20, 56, 110, 1202)},
    **{
        f"pytorchcv_preresnet{depth}": _pytorchcv_preresnet(depth, "bottleneck_v1_5") for depth in (164, 272, 542, 1001)
    },
    **{f"pytorchcv_preresnet{depth}": _pytorchcv_imagenet_preresnet(depth, basic) for depth in (18, 34)},
    **{f"pytorchcv_preresnet{depth}": _pytorchcv_imagenet_preresnet(depth, bottleneck) for depth in (50, 101, 152)},
    **{
        f"pytorchcv_preresnet{depth}b": _pytorchcv_imagenet_preresnet(depth, bottleneck_v1_5)
        for depth in (50, 101, 152, 200)
    },
    **{f"pytorchcv_wrn{depth}_{width}": _pytorchcv_wrn(depth, width) for depth, width in ((16, 10), (28, 10), (40, 8))},
    **{
        f"pytorchcv_densenet{depth}_k{growth}": _pytorchcv_densenet(depth, growth, bottleneck=False)
        for depth, growth in ((40, 12), (100, 12), (100, 24))
    },
    **{
        f"pytorchcv_densenet{depth}_k{growth}_bc": _pytorchcv_densenet(depth, growth, bottleneck=True)
        for depth, growth in ((40, 12), (40, 24), (40, 36), (100, 12), (190, 40), (250, 24))
    },
}
