"""Families: functions from their own choices to a `Design`, which a decorator turns into factories of networks.

The decorator `family` adds what all factories share: the arguments of the head, the model's default name and its
weights, the refusal of choices that define the family, and the row in `FAMILIES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, get_args, get_type_hints

import keras

from keras_resunits.arguments import near_matches
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
    """The decisions of a family about a network.

    Args:
        units: `(recipe, slot)` pairs, in order.
        stem: Stem before the first unit; `None` for none.
        order: Order of normalisation and activation in the stem and before the head.
        name: Default name of the model.
    """

    units: Sequence[tuple[Callable[[Slot], Unit], Slot]]
    stem: Stem | None
    order: Order
    name: str


class Units(Top, total=False):
    """The choices that all residual families share, documented in `ResNet`; `None` selects the family's default."""

    block: str | Body | None
    order: str | Order | None
    shortcut: str | Shortcut | None
    stem: str | Stem | None
    merge: str | Callable[[Slot], Merge] | None


class Tailed(Units, total=False):
    """The same and the tail, for families that set the width themselves."""

    tail: str | Tail | None


class Widened(Units, total=False):
    """The same and the width, for families that set the tail themselves."""

    width: int | None


class Choices(Tailed, Widened, total=False):
    """All of these choices."""


DepthRule = Callable[[Any, dict[str, Any]], object]
"""Raises a `ValueError` if a depth does not exist, given the family's other arguments."""


@dataclass(frozen=True)
class Family:
    """A row of `FAMILIES`.

    Args:
        build: The factory.
        depths: Refuses depths that do not exist, without building a network; `None` if only building can tell.
        own: Choices that define the family and are therefore refused.
    """

    build: Callable[..., keras.Model]
    depths: DepthRule | None
    own: tuple[str, ...]

    @property
    def accepts(self) -> set[str]:
        """The arguments that the factory accepts, or refuses with an explanation."""
        return {*inspect.signature(self.build).parameters, *self.own}


FAMILIES: dict[str, Family] = {}
"""Every family by the name of its factory."""


@dataclass(frozen=True)
class Weights:
    """Weights that were found for a network.

    Args:
        load: Loads them into it.
        arguments: Arguments of the factory that they set where these are not given.
    """

    load: Callable[[keras.Model], object]
    arguments: Mapping[str, Any] = field(default_factory=dict)


FINDERS: list[Callable[[str, inspect.BoundArguments, Any], Weights | None]] = []
"""Functions that find what `weights` names, from the family's name and the other arguments, before a network is built.

The first that does not return `None` is used. The zoo, which knows trained networks by name, adds its functions here.
"""


def family(
    depths: DepthRule | None = None, own: tuple[str, ...] = ()
) -> Callable[[Callable[P, Design]], Callable[P, keras.Model]]:
    """Turn a function that returns a `Design` into a factory of networks, and add it to `FAMILIES`.

    The function itself has the arguments `input_shape` and `classes`, so that each family decides on their position and
    defaults. In the factory, the other arguments of the head follow the positional ones. The choices of
    `**choices: Unpack[Choices]` are keywords; those that are `None` are not passed to the function.

    Args:
        depths: Depth rule of the family. Defaults to none.
        own: Choices that define the family and are therefore refused. Defaults to none.

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
                unknown = next((name for name in kwargs if name not in signature.parameters), None)
                hint = f".{near_matches(unknown, signature.parameters)}" if unknown else "."
                raise TypeError(f"{title}() {error}{hint}") from None
            weights = bound.arguments.pop("weights", None)
            found = None if weights is None else next(filter(None, (find(title, bound, weights) for find in FINDERS)))
            if found:
                bound.arguments = {**found.arguments, **bound.arguments}
            bound.apply_defaults()
            given = {name: value for name, value in bound.arguments.items() if value is not None or name not in shared}
            top = {name: given.pop(name) for name in TOP}
            del top["weights"]
            design = function(**given)  # type: ignore[call-arg]
            top["name"] = design.name if top["name"] is None else top["name"]
            model = network(design.units, design.stem, design.order, input_shape=given["input_shape"], **top)
            if found:
                found.load(model)
            return model

        build.__signature__ = signature  # type: ignore[attr-defined]
        FAMILIES[title] = Family(build, depths, own)
        return build

    return decorate


def _signature(function: Callable, own: tuple[str, ...]) -> tuple[inspect.Signature, set[str]]:
    """Return the signature of the factory, and the names of its arguments that are the function's `**choices`."""
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
