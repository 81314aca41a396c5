"""Validate arguments at the public edge: numbers become Python ints or floats, and names become objects.

NumPy's numbers are accepted like Python's; bools are not accepted as numbers.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import keras


def is_int(value) -> bool:
    """Whether `value` is an int of Python or NumPy; a bool is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether `value` is a finite number of Python or NumPy; a bool is not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def require_positive_int(value, name: str, where: str) -> int:
    """Return `value` as an int, or raise a `ValueError` unless it is a positive int.

    >>> import numpy as np
    >>> require_positive_int(np.int64(4), "growth", "DenseNet")
    4
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"`{name}` must be a positive int. Received: {name}={value!r} ({where}).")
    return int(value)


def require_bool(value, name: str, where: str) -> bool:
    """Return `value` as a bool, or raise a `ValueError` unless it is a bool of Python or NumPy.

    >>> require_bool("False", "include_top", "network")
    Traceback (most recent call last):
    ValueError: `include_top` must be True or False. Received: include_top='False' (network).
    """
    if not (isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r} ({where}).")
    return bool(value)


def require_number(value, name: str, where: str) -> float:
    """Return `value` as a float, or raise a `ValueError` unless it is a finite number."""
    if not is_number(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r} ({where}).")
    return float(value)


def require_rate(value, name: str, where: str) -> float:
    """Return `value`, a probability of dropping, as a float, or raise a `ValueError` unless it is in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r} ({where}).")
    return float(value)


def require_share(value, name: str, where: str) -> float:
    """Return `value`, a fraction to keep, as a float, or raise a `ValueError` unless it is in (0, 1]."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"`{name}` must be a number in (0, 1]. Received: {name}={value!r} ({where}).")
    return float(value)


T = TypeVar("T")

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
