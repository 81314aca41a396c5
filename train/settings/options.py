"""What an option of a run is: its default, help and bounds, and what it requires of others.

A value may name an object of the user's, as `MODULE:NAME`, `FILE.py:NAME` or a call of one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ..process.errors import BadInput

ARGUMENTS = r"(?:[^()]|\([^()]*\))*"
"""Of a call, which may hold tuples."""
REFERENCE = re.compile(
    rf"(?P<place>.+?):(?P<name>[A-Za-z_][\w.]*)(?:\(\)\.(?P<key>\w+)|\((?P<arguments>{ARGUMENTS})\))?"
)


def is_reference(value: Any) -> bool:
    """Whether a value names an object by its file or module.

    >>> [is_reference(each) for each in ("my.py:halved", "keras:RandomZoom(0.2)", "my.py:config().tail", "adamw", None)]
    [True, True, True, False, False]
    """
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


@dataclass(frozen=True)
class Bounds:
    """The values that an option allows.

    Args:
        least, most: The smallest and largest allowed value; none by default.
        above, below: Exclusive bounds; none by default.
        choices: The only allowed values; any by default.
        objects: Whether objects are allowed, and references to them, besides `choices`.
        unnamed: Whether nothing else is: no name stands for an object.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    objects: bool = False
    unnamed: bool = False

    def allows(self, value) -> bool:
        """Whether a value, which is not `None`, is allowed."""
        if self.objects and (is_reference(value) or not isinstance(value, str)):
            return True
        if self.unnamed:
            return False
        if self.choices:
            return value in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return not (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )

    def __str__(self) -> str:
        if self.unnamed:
            return "keras:NAME or FILE.py:NAME"
        if self.choices:
            return f"one of {', '.join(self.choices)}{', or MODULE:NAME' * self.objects}"
        lower = {"least": ">=", "above": ">"}
        upper = {"most": "<=", "below": "<"}
        limits = [
            f"{sign} {getattr(self, name)}" for name, sign in (lower | upper).items() if getattr(self, name) is not None
        ]
        return " and ".join(limits) or "finite"


@dataclass(frozen=True)
class Needs:
    """What an option requires of another one; without it, the option has no effect.

    Args:
        option: The name of the other option.
        values: The values with which it has an effect; any but 0 by default.
        excluded: Values without effect, where all others have one; none by default.
    """

    option: str
    values: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def met(self, value) -> bool:
        """Whether the other option's value gives this one an effect; `None` stands for the first of `values`."""
        if self.excluded:
            return value not in self.excluded
        return (value is None or value in self.values) if self.values else bool(value)

    def lack(self, value) -> str:
        """What makes the option idle, for messages."""
        return f"with --{self.option}={value}" if self.values or self.excluded else f"without --{self.option}"

    def __str__(self) -> str:
        if self.excluded:
            return f"not with --{self.option}={'|'.join(self.excluded)}"
        return f"only with --{self.option}{'=' * bool(self.values)}{'|'.join(self.values)}"


def option(default: Any, help: str, needs: Needs | None = None, **bounds: Any) -> Any:
    """A field of a section, with its default, its help, what it requires and the arguments of `Bounds`."""
    return field(default=default, metadata={"help": help, "needs": needs, "bounds": Bounds(**bounds)})


@dataclass(frozen=True)
class Section:
    """The base of the records below; it checks their values on construction."""

    title: ClassVar[str]

    def __post_init__(self):
        for each in fields(self):
            check(each, getattr(self, each.name))


def check(each, value) -> None:
    """Check that a value is within an option's bounds.

    Raises:
        BadInput: with the flag, its bounds and the value, for one outside.
    """
    bounds: Bounds = each.metadata["bounds"]
    numbers = value if isinstance(value, (list, tuple)) else [value]
    if not all(number is None or isinstance(number, bool) or bounds.allows(number) for number in numbers):
        raise BadInput(f"--{each.name} must be {bounds}, got {value}.")
