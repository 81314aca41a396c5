"""The assembly of a network: a stem, a list of (recipe, slot) pairs and a head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_resunits.arguments import Kind, is_int, is_sequence, require_positive_int, require_text, resolve
from keras_resunits.layers.series import Series
from keras_resunits.models.head import Head
from keras_resunits.models.rematerialized import chain
from keras_resunits.models.stems import STEMS, Stem
from keras_resunits.notices import warn
from keras_resunits.units.liveness import require_alive
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.slots import Slot
from keras_resunits.units.unit import Unit

Shape = tuple[int | None, int | None, int]
require_pair: Kind[tuple] = Kind(
    "a (recipe, slot) pair", lambda value: isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Slot)
)


def network(
    units: Iterable[tuple[Callable[[Slot], Unit], Slot]],
    stem: Stem | None,
    order: Order,
    *,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = None,
    name: str | None = None,
    remat: int | str | None = None,
) -> keras.Model:
    """Assemble a network from any units, as every factory of the package does.

    Args:
        units: `(recipe, slot)` pairs, in order; a recipe is a `Recipe` or any function `Slot -> Unit`.
        stem: A `Stem` or its name; `None` for none.
        order: An `Order` or its name, for norm and activation in the stem and before the head.
        input_shape: `(height, width, channels)` of the images; height and width may be `None`. Defaults to
            `(32, 32, 3)`.
        classes: Number of classes. Defaults to 10.
        include_top: Whether average pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.
        name: Name of the model.
        remat: What the backward pass computes again instead of keeping it: see `ResNet`. Defaults to `None`, nothing.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]` (or features). Its
        layers are `stem`, `unit000`, ..., `post`, `pool`, `classifier`.

    Raises:
        ValueError: if the image is smaller than the strides allow, an argument is out of range, or a unit could never
            learn.

    Example: a network that no paper has: He's units of 2015 followed by those of 2016

    >>> import keras_resunits as kr
    >>> slots = kr.plan([kr.Stage(2, 16), kr.Stage(2, 32, strides=2)], in_filters=16, activated=True)
    >>> post = kr.Recipe(kr.basic, kr.PostAct(), kr.projection)
    >>> pre = kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection)
    >>> model = kr.network(zip([post, post, pre, pre], slots), kr.Stem(16), kr.FullPreAct())
    >>> model.output.shape
    (None, 10)
    """
    pairs = require_pair.each(units, "units", "network")
    name = require_text.or_none(name, "name", "network")
    order = resolve("order", order, ORDERS, Order)
    stem = stem if stem is None else resolve("stem", stem, STEMS, Stem)
    classes = require_positive_int(classes, "classes", f"network '{name}'" if name else "network")
    head = Head(classes, include_top, pooling, classifier_activation)
    input_shape = require_shape(input_shape)
    _require_fit(stem, pairs, input_shape)
    _require_size(input_shape, stem, [slot for _, slot in pairs])
    images = keras.Input(input_shape, name="images")
    x = stem(order)(images) if stem else images
    x = _through_units(x, pairs)
    post = order.head()
    if post:
        x = Series(post, name="post")(x)
    x = head(x, order.classifier())
    return chain(images, x, name, remat)


def _through_units(x, pairs: Iterable[tuple[Callable[[Slot], Unit], Slot]]):
    """Make the units, and return the output of the last."""
    owners: dict[int, str] = {}
    idle: list[str] = []
    for recipe, slot in pairs:
        unit = recipe(slot)
        _require_own_layers(unit, slot.name, owners)
        require_alive(unit)
        x = unit(x)
        if x.shape[-1] != slot.filters:
            hint = " `Concat` adds channels, which the plan of `DenseNet` allows for." if unit.merge.widens else ""
            raise ValueError(
                f"a unit must output as many channels as its slot plans, {slot.filters}. "
                f"Received: {x.shape[-1]} channels (unit '{slot.name}').{hint}"
            )
        if unit.merge.drops_carry and unit.shortcut.weights:
            idle.append(unit.name)
    if idle:
        warn(f"the merge drops the shortcut, so that its weights have no effect (first in unit '{idle[0]}').")
    return x


def _require_own_layers(unit: Unit, name: str, owners: dict[int, str]) -> None:
    """Refuse a layer with weights that another unit already has: the saved model would not load."""
    if not isinstance(unit, Unit):
        raise ValueError(f"a recipe must return a `Unit` for a slot. Received: {unit!r}.")
    for layer in unit._flatten_layers():
        other = owners.setdefault(id(layer), name)
        if other != name and layer.weights:
            raise ValueError(
                "each unit must have layers of its own: a choice must make a new layer for every slot, not share one. "
                f"Received: layer '{layer.name}' in '{other}' and in '{name}'."
            )


def require_shape(input_shape) -> Shape:
    """Return the shape of the images in Python ints; refuse anything else."""
    sound = is_sequence(input_shape) and len(input_shape) == 3 and input_shape[2] is not None
    if not sound or not all(side is None or (is_int(side) and side > 0) for side in input_shape):
        raise ValueError(
            "`input_shape` must be (height, width, channels) in positive ints; height and width may be None. "
            f"Received: input_shape={input_shape!r}."
        )
    height, width, channels = input_shape
    return height and int(height), width and int(width), int(channels)


def _require_fit(stem: Stem | None, pairs, input_shape: Shape) -> None:
    if not pairs:
        raise ValueError("`units` must hold at least one (recipe, slot) pair. Received: none.")
    first = pairs[0][1]
    if stem is None:
        if first.in_filters != input_shape[-1]:
            raise ValueError(
                f"without a stem, images must have the {first.in_filters} channels that unit '{first.name}' expects. "
                f"Received: stem=None, input_shape={input_shape}."
            )
        return
    if first.in_filters != stem.filters:
        raise ValueError(
            f"the stem must output the {first.in_filters} channels that unit '{first.name}' expects. "
            f"Received: {stem.filters} channels. Plan the units with `plan(stages, stem.filters, stem.activated)`."
        )
    if first.activated and not stem.activated:
        raise ValueError(
            f"unit '{first.name}' expects a stem that ends in norm and activation. "
            "Received: a stem with activated=False. Plan the units with `activated=stem.activated`."
        )


def _require_size(input_shape, stem: Stem | None, slots: Sequence[Slot]) -> None:
    least = math.prod([stem.strides * stem.pool if stem else 1, *(slot.strides for slot in slots)])
    if any(side is not None and side < least for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must be at least {least}x{least}: the network's strides multiply to {least}. "
            f"Received: input_shape={tuple(input_shape)}."
        )
