"""Names at the public edge, resolved once into the objects that the package works with."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def near_matches(name: str, names) -> str:
    """` Did you mean 'x'?` for the names close to `name`, or nothing."""
    by_lower = {known.lower(): known for known in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3)]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def resolve(kind: str, choice: T | str, known: Mapping[str, T], wanted: Any) -> T:
    """The object named `choice`, or `choice` itself where it is an object already.

    Args:
        kind: What is chosen, for the error.
        choice: A name or an object.
        known: The objects by name.
        wanted: The type (or `collections.abc.Callable`) that an object must have.

    Raises:
        ValueError: for a name that is not known, with the names that are, or an object of another type.
    """
    if isinstance(choice, str):
        if choice not in known:
            raise ValueError(f"unknown {kind} {choice!r}.{near_matches(choice, known)} Choices: {', '.join(known)}.")
        return known[choice]
    if not isinstance(choice, wanted):
        raise ValueError(
            f"`{kind}` must be one of {', '.join(known)}, or a {wanted.__name__}. Received: {kind}={choice!r}."
        )
    return choice
