"""Numbers at the public edge: Python's or NumPy's but no bools, all checked here and given back as Python's."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import keras


def is_int(value) -> bool:
    """Whether a value is an int, of Python or NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether a value is a finite number, of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def require_positive_int(value, name: str, where: str) -> int:
    """The value as an int, refusing what is no positive one.

    >>> import numpy as np
    >>> require_positive_int(np.int64(4), "growth", "DenseNet")
    4
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"`{name}` must be a positive int. Received: {name}={value!r} ({where}).")
    return int(value)


def require_number(value, name: str, where: str) -> float:
    """The value as a float, refusing what is no finite number."""
    if not is_number(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r} ({where}).")
    return float(value)


def require_rate(value, name: str, where: str) -> float:
    """The value as a float, refusing a probability of dropping that is not in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r} ({where}).")
    return float(value)


def require_share(value, name: str, where: str) -> float:
    """The value as a float, refusing a part to keep that is not in (0, 1]."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"`{name}` must be a number in (0, 1]. Received: {name}={value!r} ({where}).")
    return float(value)


T = TypeVar("T")

FUNCTIONS = {
    "shortcut": "a function `(Slot, Order) -> Layer` such as `kr.projection`",
    "merge": "a function `Slot -> Merge` such as `kr.add`",
    "tail": "a function `Slot -> [layers]` such as `kr.rezero`",
}
"""What an object is, where it is chosen by a function of the unit's slot."""


def near_matches(name: str, names) -> str:
    """` Did you mean 'x'?` for the names that go on from `name`, the shortest first, or are close to it; or nothing."""
    by_lower = {known.lower(): known for known in names}
    longer = sorted((known for known in by_lower if name and known.startswith(name.lower())), key=len)
    close = [*dict.fromkeys([*longer[:2], *difflib.get_close_matches(name.lower(), by_lower)])][:3]
    close = [by_lower[match] for match in close]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def resolve(kind: str, choice: T | str, known: Mapping[str, T], wanted: Any) -> T:
    """The object named `choice`, or `choice` itself where it is an object already.

    Args:
        kind: What is chosen, for the error.
        choice: A name or an object.
        known: The objects by name.
        wanted: The type that an object must have; `collections.abc.Callable` for a kind of `FUNCTIONS`.

    Raises:
        ValueError: for a name that is not known, with the names that are, or an object of another type, such as a layer
            where a function makes one for each unit.
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
    """Whether a choice is a layer or a class of layers."""
    return issubclass(choice if isinstance(choice, type) else type(choice), keras.layers.Layer)
