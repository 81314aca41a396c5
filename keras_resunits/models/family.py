"""A family: a function from its own choices to a `Design`, which one decorator makes a factory of networks.

The decorator `family` adds what every network has: the arguments of the head, the refusal of what defines the family,
the model's name, and the family's row in `FAMILIES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, get_args, get_type_hints

import keras

from keras_resunits.models.head import TOP, Top
from keras_resunits.models.network import network
from keras_resunits.models.stems import Stem
from keras_resunits.units.bodies import Body
from keras_resunits.units.merges import Merge
from keras_resunits.units.orders import Order
from keras_resunits.units.shortcuts import Shortcut
from keras_resunits.units.slots import Slot
from keras_resunits.units.tails import Tail
from keras_resunits.units.unit import Unit

P = ParamSpec("P")
Depth = int | Sequence[int]


@dataclass(frozen=True)
class Design:
    """What a family decides about a network.

    Args:
        units: `(recipe, slot)` pairs, in order.
        stem: What stands before the first unit; `None` for nothing.
        order: Places normalisation and activation in the stem and before the head.
        name: The model's default name.
    """

    units: Sequence[tuple[Callable[[Slot], Unit], Slot]]
    stem: Stem | None
    order: Order
    name: str


class Units(Top, total=False):
    """The choices of units that all residual families share, as `ResNet` documents them; `None` is the family's own."""

    block: str | Body | None
    order: str | Order | None
    shortcut: str | Shortcut | None
    stem: str | Stem | None
    merge: str | Callable[[Slot], Merge] | None


class Tailed(Units, total=False):
    """The same, and what ends the branch: of families with a width of their own."""

    tail: str | Tail | None


class Widened(Units, total=False):
    """The same, and the width: of families with a tail of their own."""

    width: int | None


class Choices(Tailed, Widened, total=False):
    """All of them."""


DepthRule = Callable[[Any, dict[str, Any]], object]
"""Raises `ValueError` for a depth that does not exist, given the family's other arguments."""


@dataclass(frozen=True)
class Family:
    """A row of `FAMILIES`.

    Args:
        build: The factory.
        depths: Refuses depths that do not exist without building anything; `None` where only building tells.
        own: The choices that define the family, and are refused.
    """

    build: Callable[..., keras.Model]
    depths: DepthRule | None
    own: tuple[str, ...]

    @property
    def accepts(self) -> set[str]:
        """The arguments that the factory takes, or refuses with a reason."""
        return {*inspect.signature(self.build).parameters, *self.own}


FAMILIES: dict[str, Family] = {}
"""Every family by the name of its factory."""


def family(
    depths: DepthRule | None = None, own: tuple[str, ...] = ()
) -> Callable[[Callable[P, Design]], Callable[P, keras.Model]]:
    """Make a factory of networks from a function that returns a `Design`, and add it to `FAMILIES`.

    The function names `input_shape` and `classes` among its arguments, so that each family has them in its own place
    and with its own defaults. The factory takes the other arguments of the head behind the positional ones, and those
    of `**choices: Unpack[Choices]` as keywords; choices that are `None` do not reach the function.

    Args:
        depths: The family's depth rule.
        own: Choices that define the family: any other value is refused.

    Example:

    >>> import keras_resunits as kr
    >>> FAMILIES["WideResNet"].own
    ('block',)
    >>> kr.WideResNet(depth=10, block="single")
    Traceback (most recent call last):
    ValueError: `block` defines a WideResNet: use `ResNet` for another. Received: block='single'.
    """

    def decorate(function: Callable[P, Design]) -> Callable[P, keras.Model]:
        title = function.__name__
        signature, shared = _signature(function, own)

        @wraps(function)
        def build(*args: P.args, **kwargs: P.kwargs) -> keras.Model:
            for choice in own:
                if (value := kwargs.pop(choice, None)) is not None:
                    raise ValueError(
                        f"`{choice}` defines a {title}: use `ResNet` for another. Received: {choice}={value!r}."
                    )
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{title}() {error}") from None
            bound.apply_defaults()
            given = {name: value for name, value in bound.arguments.items() if value is not None or name not in shared}
            top = {name: given.pop(name) for name in TOP}
            design = function(**given)  # type: ignore[call-arg]
            top["name"] = top["name"] or design.name
            return network(design.units, design.stem, design.order, input_shape=given["input_shape"], **top)

        build.__signature__ = signature  # type: ignore[attr-defined]
        FAMILIES[title] = Family(build, depths, own)
        return build

    return decorate


def _signature(function: Callable, own: tuple[str, ...]) -> tuple[inspect.Signature, set[str]]:
    """The factory's signature, and which of its arguments are the function's `**choices`."""
    parameters = inspect.signature(function).parameters.values()
    named = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    names = {each.name for each in named}
    hints = get_type_hints(function)
    records = [get_args(hints[each.name])[0] for each in parameters if each.kind is each.VAR_KEYWORD]
    shared = {name: hint for record in records for name, hint in get_type_hints(record).items()}
    head = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in TOP.items()
        if name not in names
    ]
    choices = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in shared.items()
        if name not in {*names, *own, *TOP}
    ]
    positional = [each for each in named if each.kind is not each.KEYWORD_ONLY]
    keywords = [each for each in named if each.kind is each.KEYWORD_ONLY]
    signature = inspect.Signature([*positional, *head, *keywords, *choices], return_annotation=keras.Model)
    return signature, {each.name for each in choices}
