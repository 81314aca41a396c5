"""Fully connected residual networks: units of dense layers, on images that the stem makes one pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import keras

from keras_resunits.arguments import require_positive_int, resolve
from keras_resunits.layers.series import Series
from keras_resunits.models.family import Design, family
from keras_resunits.models.head import Top
from keras_resunits.models.network import Shape, require_shape
from keras_resunits.models.stems import Stem
from keras_resunits.units.bodies import Body
from keras_resunits.units.merges import MERGES, Merge
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.recipes import Recipe
from keras_resunits.units.shortcuts import SHORTCUTS, Shortcut
from keras_resunits.units.slots import Slot, Stage, plan
from keras_resunits.units.tails import TAILS, Tail


def _dense(filters: int, name: str) -> keras.layers.Layer:
    """The "Dot" of "Dot-BN-ReLU": no bias; He normal over fan-out, as the package's convolutions."""
    he_normal = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return keras.layers.Dense(filters, use_bias=False, kernel_initializer=he_normal, name=name)


_TWO = Body(lambda slot: [_dense(slot.filters, f"dense{i}") for i in (1, 2)], depth=2)


@dataclass(frozen=True)
class _OnePixel(Stem):
    """All pixels as the channels of one, and a dense layer over them; of `Stem`'s choices `activated` alone."""

    def __call__(self, order: Order) -> keras.layers.Layer:
        layers = [keras.layers.Reshape((1, 1, -1), name="flat"), order.stem(_dense(self.filters, "dense"))]
        return Series([*layers, *(order.norm_act() if self.activated else [])], name="stem")


def require_even(depth) -> int:
    """The depth, refusing what units of two layers do not add up to."""
    depth = require_positive_int(depth, "depth", "FullyConnectedResNet")
    if depth % _TWO.depth:
        nearest = ", ".join(str(near) for near in (depth - 1, depth + 1) if near)
        raise ValueError(
            f"no network of depth {depth}: depths are 2n, units of two dense layers. Nearest: {nearest}. "
            f"Received: depth={depth} (FullyConnectedResNet)."
        )
    return depth


@family(depths=lambda depth, _: require_even(depth))
def FullyConnectedResNet(
    depth: int = 20,
    input_shape: Shape = (28, 28, 1),
    classes: int = 10,
    *,
    filters: int = 50,
    order: str | Order = "relu_before_add",
    shortcut: str | Shortcut = "identity",
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
    **top: Unpack[Top],
) -> Design:
    """The residual network of dense layers that Savarese et al. 2016 (arXiv 1611.01260) train on MNIST.

    A dense layer, `depth` more in units of two, each with norm and ReLU, and the classifier. The gated one has
    `tail="residual_gate"`, the plain one `merge="branch_only"`. Body and stem are what makes the family: there is no
    `block`, `stem` or `width`.

    Args:
        depth: Layers between the first one and the classifier, an even number; 20 by default, the paper has 2, 10, 20,
            50 and 100.
        input_shape: `(height, width, channels)`, `(28, 28, 1)` by default; no side may be `None`.
        classes: Number of classes; 10 by default.
        include_top: Whether the classifier follows the last unit; yes by default.
        pooling: Without the top: "avg" or "max" for `[batch, filters]`, or `None` (default) for an image of one pixel.
        classifier_activation: `None`, the default, gives logits.
        name: The model's name; the family and depth by default.
        filters: Of every layer; 50 by default, as in the paper.
        order: "relu_before_add" by default, "Dot-BN-ReLU" twice as in the paper; or any other of `ResNet`'s.
        shortcut: "identity" by default, or any other of `ResNet`'s.
        merge: "add" by default, or any other of `ResNet`'s.
        tail: "no_tail" by default, or any other of `ResNet`'s.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]`.

    Raises:
        ValueError: for a depth that is odd (naming the nearest) or not positive, filters that are not positive, an
            image whose size is not given, or an unknown name.

    Example: the paper's deepest, with its 50 gates

    >>> import keras_resunits as kr
    >>> model = kr.FullyConnectedResNet(depth=100, tail="residual_gate")
    >>> len(kr.gates(model)), model.get_layer("unit049").output.shape
    (50, (None, 1, 1, 50))
    """
    depth, input_shape = require_even(depth), require_shape(input_shape)
    filters = require_positive_int(filters, "filters", "FullyConnectedResNet")
    if None in input_shape:
        raise ValueError(
            "`input_shape` must give height and width: a dense layer has a weight for every pixel. "
            f"Received: input_shape={input_shape} (FullyConnectedResNet)."
        )
    order = resolve("order", order, ORDERS, Order)
    stem = _OnePixel(filters, activated=not order.raw_stem)
    slots = plan([Stage(depth // _TWO.depth, filters)], filters, stem.activated)
    recipe = Recipe(
        _TWO,
        order,
        resolve("shortcut", shortcut, SHORTCUTS, Callable),
        resolve("merge", merge, MERGES, Callable),
        resolve("tail", tail, TAILS, Callable),
    )
    return Design([(recipe, slot) for slot in slots], stem, order, f"fullyconnectedresnet{depth}")
