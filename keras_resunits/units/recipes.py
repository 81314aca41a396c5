"""Recipes: five choices that turn any slot into a unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_resunits.arguments import resolve
from keras_resunits.layers.series import series
from keras_resunits.units.bodies import BODIES, Body
from keras_resunits.units.merges import MERGES, Merge, add
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.shortcuts import SHORTCUTS, Shortcut
from keras_resunits.units.slots import Slot
from keras_resunits.units.tails import TAILS, Tail, no_tail
from keras_resunits.units.unit import Unit


@dataclass(frozen=True)
class Recipe:
    """The five choices that define a network's units: `recipe(slot)` builds the unit for a slot.

    Each choice may be given by name.

    Args:
        body: The weight layers of `F`: a `Body`.
        order: The placement of norm and activation: an `Order`.
        shortcut: `h`: a function `(Slot, Order) -> Layer`.
        merge: `M`: a function `Slot -> Merge`. Defaults to `add`.
        tail: The layers that end `F`: a function `Slot -> [layers]`. Defaults to none.

    Raises:
        ValueError: if a name is unknown, or an object is not of the type that its choice requires.

    Example:

    >>> from keras_resunits import FullPreAct, Recipe, Slot, basic, projection
    >>> recipe = Recipe(basic, FullPreAct(), projection)
    >>> recipe(Slot(index=7, total=9, in_filters=16, filters=32, strides=2)).name
    'unit007'
    """

    body: Body
    order: Order
    shortcut: Shortcut
    merge: Callable[[Slot], Merge] = add
    tail: Tail = no_tail

    def __post_init__(self):
        for part, known, wanted in (
            ("body", BODIES, Body),
            ("order", ORDERS, Order),
            ("shortcut", SHORTCUTS, Callable),
            ("merge", MERGES, Callable),
            ("tail", TAILS, Callable),
        ):
            object.__setattr__(self, part, resolve(part, getattr(self, part), known, wanted))

    def __call__(self, slot: Slot) -> Unit:
        layer, layers = (keras.layers.Layer, "a Keras layer"), (list, "a list of Keras layers")
        weights = _made("body", self.body(slot), slot, *layers)
        tail = _made("tail", self.tail(slot), slot, *layers)
        return Unit(
            entry=series(self.order.entry(slot), name="entry"),
            shortcut=_made("shortcut", self.shortcut(slot, self.order), slot, *layer),
            branch=series([*self.order.branch(weights, slot), *tail], name="branch"),
            merge=_made("merge", self.merge(slot), slot, Merge, "a `Merge`"),
            exit=series(self.order.exit(slot), name="exit"),
            slot=slot,
            name=slot.name,
        )


def _made(part: str, result, slot: Slot, kind: type, words: str):
    """Return the result of a choice for a slot; refuse anything of another type."""
    inside = result if isinstance(result, list) else []
    if not isinstance(result, kind) or not all(isinstance(each, keras.layers.Layer) for each in inside):
        raise ValueError(f"`{part}` must return {words} for each unit. Received: {result!r} (unit '{slot.name}').")
    return result
