"""The residual networks of `keras.applications` as recipes, with their differences from the papers.

Version 1 has a bias in every convolution. Version 2 has the stride in the last unit of a stage, with a max pooling on
the shortcut. It has biases in some convolutions, and neither norm nor activation in the stem. Both versions differ in
epsilon and momentum.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import keras

from keras_resunits.arguments import is_int
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.normalization import BatchNormalization
from keras_resunits.layers.series import series
from keras_resunits.models.depths import IMAGENET_UNITS
from keras_resunits.models.family import Choices, Design, family
from keras_resunits.models.head import Top
from keras_resunits.models.network import Shape
from keras_resunits.models.residual import residual
from keras_resunits.models.stems import Stem
from keras_resunits.units.bodies import keras_bottleneck, keras_bottleneck_v2
from keras_resunits.units.orders import Order, PostAct, PreActOnWidening
from keras_resunits.units.recipes import Recipe
from keras_resunits.units.shortcuts import identity
from keras_resunits.units.slots import Slot, Stage, plan

norm = partial(BatchNormalization, momentum=0.99, epsilon=1.001e-5)
UNITS = {depth: IMAGENET_UNITS[depth][1] for depth in (50, 101, 152)}


def biased_projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """Option B with a bias in its 1x1 convolution."""
    if not slot.changes_shape:
        return identity(slot, order)
    return series(order.projection(conv(slot.filters, 1, slot.strides, use_bias=True)), name="shortcut")


def pooled_projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """A 1x1 convolution with a bias where the filters change; every `strides`-th pixel where only the stride does."""
    if slot.filters != slot.in_filters:
        return biased_projection(slot, order)
    if slot.strides == 1:
        return identity(slot, order)
    return keras.layers.MaxPooling2D(1, slot.strides, data_format="channels_last", name="shortcut")


@family(depths=lambda depth, _: require_keras_depth(depth))
def KerasResNet(
    depth: int = 50, input_shape: Shape = (224, 224, 3), classes: int = 1000, **choices: Unpack[Choices]
) -> Design:
    """The layout of `keras.applications.ResNet50`, `ResNet101` and `ResNet152`, as logits.

    Args:
        depth: 50 (default), 101 or 152.
        input_shape: As for `ResNet`. Defaults to `(224, 224, 3)`.
        classes: Number of classes. Defaults to 1000.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: if `depth` is none of these.

    Example: trainable parameters and moving statistics as published with `keras.applications`

    >>> import keras_resunits as kr
    >>> kr.KerasResNet(depth=50).count_params()
    25636712
    """
    depth = require_keras_depth(depth)
    defaults: dict[str, Any] = {
        "block": keras_bottleneck,
        "order": PostAct(norm=norm),
        "shortcut": biased_projection,
        "stem": Stem(64, kernel_size=7, strides=2, pool=2, use_bias=True, pads=0.0),
    }
    return residual("kerasresnet", depth, input_shape, **{**defaults, **choices})


@family(depths=lambda depth, _: require_keras_depth(depth))
def KerasResNetV2(
    depth: int = 50, input_shape: Shape = (224, 224, 3), classes: int = 1000, **top: Unpack[Top]
) -> Design:
    """The layout of `keras.applications.ResNet50V2`, `ResNet101V2` and `ResNet152V2`, as logits.

    Its units are fixed: unlike `KerasResNet`, it takes no `block`, `order`, `shortcut`, `merge`, `tail`, `width` or
    `stem`.

    Args:
        depth: 50 (default), 101 or 152.
        input_shape: As for `ResNet`. Defaults to `(224, 224, 3)`.
        classes: Number of classes. Defaults to 1000.
        name: Name of the model. Defaults to family and depth.
        remat: As for `ResNet`.
        weights: As for `ResNet`.
        include_top: Whether pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: if `depth` is none of these.

    Example: trainable parameters and moving statistics as published with `keras.applications`

    >>> import keras_resunits as kr
    >>> kr.KerasResNetV2(depth=50).count_params()
    25613800
    """
    depth = require_keras_depth(depth)
    order = PreActOnWidening(norm=norm)
    stem = Stem(64, kernel_size=7, strides=2, pool=2, activated=False, use_bias=True, pads=0.0)
    *strided, last = UNITS[depth]
    stages = [Stage(n, 256 * 2**i, strides=2, strided="last") for i, n in enumerate(strided)]
    recipe = Recipe(keras_bottleneck_v2, order, pooled_projection)
    units = [(recipe, slot) for slot in plan([*stages, Stage(last, 2048)], stem.filters)]
    return Design(units, stem, order, f"kerasresnetv2{depth}")


def require_keras_depth(depth) -> int:
    """Return the depth as an int; refuse depths that `keras.applications` lacks."""
    if not is_int(depth) or depth not in UNITS:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, UNITS))}, the depths of keras.applications. "
            f"Received: depth={depth!r}. For other plans use `ResNet` or `network`."
        )
    return int(depth)
