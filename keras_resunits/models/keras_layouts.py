"""The residual networks of `keras.applications`, as recipes: what differs from the papers' is written down here.

Version 1 has a bias on every convolution; version 2 has its stride in a stage's last unit, with a max-pool on the
shortcut, biases on some convolutions, and neither norm nor activation in the stem. Both have another epsilon and
momentum.
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
    """Option B whose 1x1 convolution has a bias."""
    if not slot.changes_shape:
        return identity(slot, order)
    return series(order.projection(conv(slot.filters, 1, slot.strides, use_bias=True)), name="shortcut")


def pooled_projection(slot: Slot, order: Order) -> keras.layers.Layer:
    """A 1x1 convolution with a bias where the filters change; where the stride alone does, every such pixel."""
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
        input_shape: As for `ResNet`; `(224, 224, 3)` by default.
        classes: 1000 by default.
        **choices: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: for another depth.

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

    Its units are those alone: unlike `KerasResNet` it takes no `block`, `order`, `shortcut`, `merge`, `tail`, `width`
    or `stem`.

    Args:
        depth: 50 (default), 101 or 152.
        input_shape: As for `ResNet`; `(224, 224, 3)` by default.
        classes: 1000 by default.
        name: The model's name; the family and depth by default.
        include_top: Whether pooling and the classifier follow the last unit; yes by default.
        pooling: Without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: `None`, the default, gives logits.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: for another depth.

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
    """The depth as an int, refusing those that `keras.applications` has not."""
    if not is_int(depth) or depth not in UNITS:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, UNITS))}, those of keras.applications; for other plans use "
            f"`ResNet` or `network`. Received: depth={depth!r}."
        )
    return int(depth)
