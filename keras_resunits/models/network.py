"""A network: a stem, a list of (recipe, slot) pairs, a head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_resunits.arguments import is_int, require_positive_int, resolve
from keras_resunits.layers.series import Series
from keras_resunits.models.head import Head
from keras_resunits.models.stems import STEMS, Stem
from keras_resunits.units.liveness import require_alive
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.slots import Slot
from keras_resunits.units.unit import Unit

Shape = tuple[int | None, int | None, int]


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
) -> keras.Model:
    """Assemble a network of any units: what every factory of the package calls.

    Args:
        units: `(recipe, slot)` pairs, in order; a recipe is a `Recipe` or any function `Slot -> Unit`.
        stem: What stands before the first unit, or its name; `None` for nothing.
        order: An `Order` or its name: places norm and activation in the stem and before the head.
        input_shape: `(height, width, channels)` of the images; height and width may be `None`.
        classes: Number of classes.
        include_top: Whether average pooling and the classifier follow the last unit.
        pooling: Without the top: "avg", "max", or `None` for the feature map.
        classifier_activation: Of the classifier; `None`, the default, gives logits.
        name: The model's name.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]` (or features). Its
        layers are `stem`, `unit000`, ..., `post`, `pool`, `classifier`.

    Raises:
        ValueError: for an image smaller than the strides allow, an argument out of its range, or a unit that could
            never learn.

    Example: a network that no paper has: He's units of 2015 followed by those of 2016

    >>> import keras_resunits as kr
    >>> slots = kr.plan([kr.Stage(2, 16), kr.Stage(2, 32, strides=2)], in_filters=16, activated=True)
    >>> post = kr.Recipe(kr.basic, kr.PostAct(), kr.projection)
    >>> pre = kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection)
    >>> model = kr.network(zip([post, post, pre, pre], slots), kr.Stem(16), kr.FullPreAct())
    >>> model.output.shape
    (None, 10)
    """
    units = list(units)
    if wrong := [each for each in units if not (isinstance(each, tuple) and isinstance(each[-1], Slot))]:
        raise ValueError(f"`units` must hold (recipe, slot) pairs. Received: {wrong[0]!r} among them.")
    order = resolve("order", order, ORDERS, Order)
    stem = stem if stem is None else resolve("stem", stem, STEMS, Stem)
    classes = require_positive_int(classes, "classes", f"network '{name}'" if name else "network")
    head = Head(classes, include_top, pooling, classifier_activation)
    input_shape = require_shape(input_shape)
    if stem:
        _require_fit(stem, units)
    _require_size(input_shape, stem, [slot for _, slot in units])
    images = keras.Input(input_shape, name="images")
    x = stem(order)(images) if stem else images
    for recipe, slot in units:
        unit = recipe(slot)
        require_alive(unit)
        x = unit(x)
        if x.shape[-1] != slot.filters:
            hint = " A `Concat` widens: `DenseNet` plans its units so." if unit.merge.widens else ""
            raise ValueError(
                f"unit '{slot.name}' gives {x.shape[-1]} channels, its slot promises the next one {slot.filters}.{hint}"
            )
    post = order.head()
    if post:
        x = Series(post, name="post")(x)
    x = head(x, order.classifier())
    return keras.Model(images, x, name=name)


def require_shape(input_shape) -> Shape:
    """The shape of the images, refusing what is none."""
    sound = isinstance(input_shape, Sequence) and len(input_shape) == 3 and input_shape[2] is not None
    if not sound or not all(side is None or (is_int(side) and side > 0) for side in input_shape):
        raise ValueError(
            "`input_shape` must be (height, width, channels), positive ints, height and width perhaps None. "
            f"Received: input_shape={input_shape!r}."
        )
    height, width, channels = input_shape
    return height and int(height), width and int(width), int(channels)


def _require_fit(stem: Stem, units) -> None:
    if not units:
        raise ValueError("`units` must hold at least one (recipe, slot). Received: none.")
    first = units[0][1]
    if first.in_filters != stem.filters:
        raise ValueError(
            f"the stem gives {stem.filters} channels, unit '{first.name}' wants {first.in_filters}. Plan the units as "
            "`plan(stages, stem.filters, stem.activated)`."
        )
    if first.activated and not stem.activated:
        raise ValueError(
            f"unit '{first.name}' counts on a stem that ends in norm and activation (`activated=True`), this one does "
            "not. Plan the units with `activated=stem.activated`."
        )


def _require_size(input_shape, stem: Stem | None, slots: Sequence[Slot]) -> None:
    least = math.prod([stem.strides * stem.pool if stem else 1, *(slot.strides for slot in slots)])
    if any(side is not None and side < least for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must be at least {least}x{least}: the network's strides multiply to {least}. "
            f"Received: input_shape={tuple(input_shape)}."
        )
