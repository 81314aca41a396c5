"""Fully connected residual networks: on an image of one pixel a 1x1 convolution is a dense layer."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_resunits.bodies import Body
from keras_resunits.checks import is_int, require_positive_int
from keras_resunits.choices import resolve
from keras_resunits.convolutions import conv
from keras_resunits.merges import Merge
from keras_resunits.networks import Shape, network
from keras_resunits.orders import ORDERS, Order
from keras_resunits.recipes import Recipe
from keras_resunits.shortcuts import Shortcut
from keras_resunits.slots import Slot, Stage, plan
from keras_resunits.stems import FlatStem
from keras_resunits.tails import Tail

LAYERS = 2  # of a unit


def _dense(slot: Slot):
    return [conv(slot.filters, 1, name=f"dense{i}") for i in range(1, LAYERS + 1)]


dense = Body(_dense, depth=LAYERS)
"""Two dense layers without bias: "Dot-BN-ReLU" twice (Savarese et al. 2016, MNIST)."""


def require_even(depth) -> int:
    """The depth, refusing what units of two layers do not add up to."""
    depth = require_positive_int(depth, "depth", "FullyConnectedResNet")
    if depth % LAYERS:
        raise ValueError(
            f"no network of depth {depth}: depths are {LAYERS}n, units of {LAYERS} dense layers. "
            f"Nearest: {', '.join(str(near) for near in (depth - 1, depth + 1) if near)}. Received: depth={depth}."
        )
    return depth


def FullyConnectedResNet(
    depth: int = 20,
    input_shape: Shape = (28, 28, 1),
    classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = None,
    name: str | None = None,
    *,
    filters: int = 50,
    order: str | Order = "relu_before_add",
    shortcut: str | Shortcut = "identity",
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
) -> keras.Model:
    """The residual network of dense layers that Savarese et al. 2016 train on MNIST.

    A dense layer, `depth` more in units of two, and the classifier, each but the last with norm and ReLU. The gated one
    has `tail="residual_gate"`, the classical one `merge="branch_only"`.

    Args:
        depth: Layers between the first and the classifier, an even number; 20 by default, the paper has 2 to 100.
        input_shape: `(height, width, channels)`, `(28, 28, 1)` by default; no side may be `None`.
        classes: Number of classes; 10 by default.
        include_top: Whether the classifier follows the last unit; yes by default.
        pooling: Without the top: "avg" or "max" for `[batch, filters]`, or `None` (default) for an image of one pixel.
        classifier_activation: `None`, the default, gives logits.
        name: The model's name.
        filters: Of every layer; 50 by default, as in the paper.
        order: "relu_before_add" by default, the paper's for MNIST ("pre-activation" was poor there), or any other.
        shortcut: "identity" by default, or any other of `ResNet`'s.
        merge: "add" by default, or any other of `ResNet`'s.
        tail: "no_tail" by default, or any other of `ResNet`'s.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]`.

    Raises:
        ValueError: for an odd depth (naming the nearest), an image without a size, or an unknown name.

    Example: the paper's deepest, with its 50 gates

    >>> import keras_resunits as kr
    >>> model = kr.FullyConnectedResNet(depth=100, tail="residual_gate")
    >>> len(kr.gates(model)), model.get_layer("unit049").output.shape
    (50, (None, 1, 1, 50))
    """
    depth = require_even(depth)
    filters = require_positive_int(filters, "filters", "FullyConnectedResNet")
    if not all(is_int(side) for side in input_shape):
        raise ValueError(
            "`input_shape` must be three ints here: a dense layer has a weight for every pixel. "
            f"Received: input_shape={input_shape!r} (FullyConnectedResNet)."
        )
    order = resolve("order", order, ORDERS, Order)
    stem = FlatStem(filters, activated=not order.raw_stem)
    recipe = Recipe(dense, order, shortcut, merge, tail)
    slots = plan([Stage(depth // LAYERS, filters)], filters, stem.activated)
    return network(
        [(recipe, slot) for slot in slots],
        stem,
        order,
        input_shape=input_shape,
        classes=classes,
        include_top=include_top,
        pooling=pooling,
        classifier_activation=classifier_activation,
        name=name or f"fully_connected_resnet{depth}",
    )
