"""Validate arguments at the public edge: numbers become Python ints or floats, and names become objects.

A `Kind` says once what an argument must be, and calling it checks a value; `checked` applies kinds to a function's
arguments. NumPy's numbers are accepted like Python's; bools are not accepted as numbers.
"""

from __future__ import annotations

import difflib
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Any, Generic, ParamSpec, TypeVar

import keras

T = TypeVar("T")
P = ParamSpec("P")


def is_int(value) -> bool:
    """Whether `value` is an int of Python or NumPy; a bool is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether `value` is a finite number of Python or NumPy; a bool is not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_sequence(value) -> bool:
    """Whether `value` is a sequence of objects; text and bytes are not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What an argument must be.

    Args:
        words: What it must be, as error messages describe it.
        accepts: Whether a value is of this kind.
        made: Turns an accepted value into what the package works with. By default the value itself.

    Example:

    >>> require_rate(1.5, "rate", "layer 'dropout'")
    Traceback (most recent call last):
    ValueError: `rate` must be a number in [0, 1). Received: rate=1.5 (layer 'dropout').
    """

    words: str
    accepts: Callable[[Any], bool]
    made: Callable[[Any], T] = lambda value: value

    def __call__(self, value, name: str, where: str) -> T:
        """Return `value` as this kind, or raise a `ValueError` that names the argument and its place."""
        if not self.accepts(value):
            raise ValueError(f"`{name}` must be {self.words}. Received: {name}={value!r} ({where}).")
        return self.made(value)

    @property
    def or_none(self) -> Kind[T | None]:
        """The same kind, or `None`."""
        return Kind(
            f"{self.words}, or None",
            lambda value: value is None or self.accepts(value),
            lambda value: None if value is None else self.made(value),
        )

    def each(self, values, name: str, where: str) -> tuple[T, ...]:
        """Return `values`, a sequence or another iterable, as a tuple of this kind."""
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ValueError(f"`{name}` must be a sequence. Received: {name}={values!r} ({where}).")
        return tuple(self(value, f"{name}[{i}]", where) for i, value in enumerate(values))


def instance_of(kind: type, words: str) -> Kind[Any]:
    """Return the kind of the instances of a class."""
    return Kind(words, lambda value: isinstance(value, kind))


def one_of(*choices: str) -> Kind[str]:
    """Return the kind of a string that is one of `choices`."""
    return Kind(" or ".join(map(repr, choices)), lambda value: isinstance(value, str) and value in choices)


require_int = Kind("an int", is_int, int)
require_index = Kind("an int >= 0", lambda value: is_int(value) and value >= 0, int)
require_positive_int = Kind("a positive int", lambda value: is_int(value) and value > 0, int)
require_number = Kind("a finite number", is_number, float)
require_positive_number = Kind("a number > 0", lambda value: is_number(value) and value > 0, float)
require_not_negative = Kind("a finite number >= 0", lambda value: is_number(value) and value >= 0, float)
require_fraction = Kind("a number in [0, 1]", lambda value: is_number(value) and 0 <= value <= 1, float)
require_rate = Kind("a number in [0, 1)", lambda value: is_number(value) and 0 <= value < 1, float)
require_share = Kind("a number in (0, 1]", lambda value: is_number(value) and 0 < value <= 1, float)
require_limit = Kind(
    "a number", lambda value: is_number(value) or (isinstance(value, float) and math.isinf(value)), float
)
require_bool = Kind("True or False", lambda value: type(value).__name__ in ("bool", "bool_"), bool)
require_text: Kind[str] = Kind("a string that is not empty", lambda value: isinstance(value, str) and value != "")


def require_names(values, name: str, where: str) -> tuple[str, ...] | None:
    """Return names as a tuple, given as one name or a sequence of one or more; `None` stays.

    >>> require_names("unit000", "units", "lesions"), require_names(["a", "b"], "units", "lesions")
    (('unit000',), ('a', 'b'))
    """
    if values is None:
        return None
    names = (values,) if isinstance(values, str) else require_text.each(values, name, where)
    if not names:
        raise ValueError(f"`{name}` must hold at least one name. Received: none ({where}).")
    return names


require_path: Kind[str | os.PathLike] = Kind(
    "a path, as a string or `os.PathLike`",
    lambda value: isinstance(value, os.PathLike) or (isinstance(value, str) and value != ""),
)
require_mapping = instance_of(Mapping, "a mapping")
require_model = instance_of(keras.Model, "a Keras model")
require_network: Kind[keras.Model] = Kind(
    "a functional Keras model, or a built `Sequential`",
    lambda value: isinstance(value, keras.Model) and bool(getattr(value, "inputs", None)),
)
require_layer = instance_of(keras.layers.Layer, "a Keras layer")
require_function: Kind[Callable] = Kind("a function", lambda value: callable(value) and not _is_layer(value))
require_maker: Kind[Callable] = Kind(
    "a function that makes a layer from a `name`, as a layer class does",
    lambda value: callable(value) and not isinstance(value, keras.layers.Layer),
)
require_activation = Kind(
    "an activation: a function, or a name that Keras knows, such as 'relu' or 'leaky_relu'",
    lambda value: not isinstance(value, type) and _known_to(keras.activations.get, value),
    keras.activations.get,
)
require_initializer = Kind(
    "a Keras initialiser or its name",
    lambda value: (
        isinstance(value, keras.initializers.Initializer)
        or (isinstance(value, str) and _known_to(keras.initializers.get, value))
    ),
    keras.initializers.get,
)


def _known_to(get: Callable, value) -> bool:
    """Whether Keras finds the object that `value` denotes."""
    try:
        get(value)
    except (ValueError, TypeError, KeyError):
        return False
    return True


def checked(**kinds: Callable[[Any, str, str], Any]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Check arguments of a function by their names.

    Example:

    >>> import keras_resunits as kr
    >>> kr.gates("resnet20")
    Traceback (most recent call last):
    ValueError: `model` must be a Keras model. Received: model='resnet20' (gates).
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs)
            for name, kind in kinds.items():
                if name in given.arguments:
                    given.arguments[name] = kind(given.arguments[name], name, function.__name__)
            return function(*given.args, **given.kwargs)

        return call

    return decorate


FUNCTIONS = {
    "shortcut": "a function `(Slot, Order) -> Layer` such as `kr.projection`",
    "merge": "a function `Slot -> Merge` such as `kr.add`",
    "tail": "a function `Slot -> [layers]` such as `kr.rezero`",
}
"""How error messages describe the choices that are functions of a unit's slot."""


def near_matches(name: str, names) -> str:
    """Return ` Did you mean 'x'?` with up to three known names similar to `name`, or an empty string.

    Names that start with `name` come first, the shortest of them leading.
    """
    by_lower = {known.lower(): known for known in names}
    longer = sorted((known for known in by_lower if name and known.startswith(name.lower())), key=len)
    close = [*dict.fromkeys([*longer[:2], *difflib.get_close_matches(name.lower(), by_lower)])][:3]
    close = [by_lower[match] for match in close]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def resolve(kind: str, choice: T | str, known: Mapping[str, T], wanted: Any) -> T:
    """Return the object that `choice` names, or `choice` itself if it already is an object.

    Args:
        kind: Name of the choice, for the error message.
        choice: A name or an object.
        known: The objects by name.
        wanted: The type that an object must have; `collections.abc.Callable` for the kinds in `FUNCTIONS`.

    Raises:
        ValueError: if the name is unknown (the message lists the known ones), or the object has another type. A layer
            is refused where a function is expected, since every unit needs a layer of its own.
    """
    if isinstance(choice, str):
        if choice not in known:
            raise ValueError(f"unknown {kind} {choice!r}.{near_matches(choice, known)} Choices: {', '.join(known)}.")
        return known[choice]
    if not isinstance(choice, wanted) or (kind in FUNCTIONS and _is_layer(choice)):
        article = "an" if wanted.__name__[0] in "AEIOU" else "a"
        other = FUNCTIONS.get(kind, f"{article} {wanted.__name__}")
        raise ValueError(f"`{kind}` must be one of {', '.join(known)}, or {other}. Received: {kind}={choice!r}.")
    return choice


def _is_layer(choice) -> bool:
    """Whether `choice` is a layer or a layer class."""
    return issubclass(choice if isinstance(choice, type) else type(choice), keras.layers.Layer)
