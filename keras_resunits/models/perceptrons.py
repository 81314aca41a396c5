"""Fully connected residual networks: units of dense layers on images that the stem flattens to one pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import keras
from keras.initializers import Initializer

from keras_resunits.arguments import require_initializer, require_positive_int, resolve
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


def _dense(filters: int, name: str, bias: Initializer | None) -> keras.layers.Layer:
    """Make the "Dot" of "Dot-BN-ReLU": He normal over fan-out like the package's convolutions, by default no bias."""
    he_normal = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return keras.layers.Dense(
        filters,
        use_bias=bias is not None,
        bias_initializer=bias.clone() if bias else "zeros",  # each draws for itself
        kernel_initializer=he_normal,
        name=name,
    )


def _body(layers: int, bias: Initializer | None) -> Body:
    """Return the body of so many dense layers."""
    return Body(lambda slot: [_dense(slot.filters, f"dense{i + 1}", bias) for i in range(layers)], depth=layers)


@dataclass(frozen=True)
class _OnePixel(Stem):
    """Flattens the image to one pixel and applies a dense layer; of `Stem`, only `filters` and `activated` apply."""

    bias: Initializer | None = None

    def __call__(self, order: Order) -> keras.layers.Layer:
        layers = [keras.layers.Reshape((1, 1, -1), name="flat"), order.stem(_dense(self.filters, "dense", self.bias))]
        return Series([*layers, *(order.norm_act() if self.activated else [])], name="stem")


def require_multiple(depth, layers: int = 2) -> int:
    """Return the depth; refuse depths that are not a sum of units of so many layers.

    >>> require_multiple(6, 3)
    6
    """
    depth = require_positive_int(depth, "depth", "FullyConnectedResNet")
    if beyond := depth % layers:
        nearest = ", ".join(str(near) for near in (depth - beyond, depth - beyond + layers) if near)
        raise ValueError(
            f"no network of depth {depth}: depths are {layers}n, units of {layers} dense layers. Nearest: {nearest}. "
            f"Received: depth={depth} (FullyConnectedResNet)."
        )
    return depth


@family(depths=lambda depth, given: require_multiple(depth, given.get("layers", 2)))
def FullyConnectedResNet(
    depth: int = 20,
    input_shape: Shape = (28, 28, 1),
    classes: int = 10,
    *,
    filters: int = 50,
    layers: int = 2,
    bias: str | Initializer | None = None,
    order: str | Order = "relu_before_add",
    shortcut: str | Shortcut = "identity",
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
    **top: Unpack[Top],
) -> Design:
    """The residual network of dense layers that Savarese et al. 2016 (arXiv 1611.01260) train on MNIST.

    It consists of a dense layer, `depth` more dense layers in units of two, and the classifier. All but the classifier
    have norm and ReLU. With `tail="residual_gate"` it is the paper's gated network, with `merge="branch_only"` the
    plain one. Body and stem define the family, so there is no `block`, `stem` or `width`.

    Args:
        depth: Number of layers between the first one and the classifier, a multiple of `layers`. Defaults to 20; the
            paper has 2, 10, 20, 50 and 100.
        input_shape: `(height, width, channels)`; none of them may be `None`. Defaults to `(28, 28, 1)`.
        classes: Number of classes. Defaults to 10.
        include_top: Whether the classifier follows the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg" or "max" for `[batch, filters]`, or `None` (default) for an image of one
            pixel.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.
        name: Name of the model. Defaults to family and depth.
        remat: As for `ResNet`.
        weights: As for `ResNet`.
        filters: Filters of every layer. Defaults to 50, as in the paper.
        layers: Dense layers of a unit. Defaults to 2, as in the paper; Balduzzi et al. 2017 have 1.
        bias: Initialiser of the biases of all dense layers but the classifier, or its name. Defaults to none.
        order: As for `ResNet`. Defaults to "relu_before_add", which is "Dot-BN-ReLU" twice, as in the paper.
        shortcut: As for `ResNet`. Defaults to "identity".
        merge: As for `ResNet`. Defaults to "add".
        tail: As for `ResNet`. Defaults to "no_tail".

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]`.

    Raises:
        ValueError: if `depth` is no multiple of `layers` (the message names the nearest) or not positive, `filters` or
            `layers` is not positive, `bias` is no initialiser, the image's size is not given, or a name is unknown.

    Example: the paper's deepest network, with its 50 gates

    >>> import keras_resunits as kr
    >>> model = kr.FullyConnectedResNet(depth=100, tail="residual_gate")
    >>> len(kr.gates(model)), model.get_layer("unit049").output.shape
    (50, (None, 1, 1, 50))
    """
    layers = require_positive_int(layers, "layers", "FullyConnectedResNet")
    bias = require_initializer.or_none(bias, "bias", "FullyConnectedResNet")
    depth, input_shape = require_multiple(depth, layers), require_shape(input_shape)
    filters = require_positive_int(filters, "filters", "FullyConnectedResNet")
    if None in input_shape:
        raise ValueError(
            "`input_shape` must specify height and width, since a dense layer has a weight for every pixel. "
            f"Received: input_shape={input_shape} (FullyConnectedResNet)."
        )
    order = resolve("order", order, ORDERS, Order)
    stem, body = _OnePixel(filters, activated=not order.raw_stem, bias=bias), _body(layers, bias)
    slots = plan([Stage(depth // layers, filters)], filters, stem.activated)
    recipe = Recipe(
        body,
        order,
        resolve("shortcut", shortcut, SHORTCUTS, Callable),
        resolve("merge", merge, MERGES, Callable),
        resolve("tail", tail, TAILS, Callable),
    )
    return Design([(recipe, slot) for slot in slots], stem, order, f"fullyconnectedresnet{depth}")
