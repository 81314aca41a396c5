"""The command line, made from the records in `sections`: one flag for each option."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from absl import flags

from .options import ARGUMENTS, Bounds, Section, is_reference
from .sections import SECTIONS, Command

FLAGS = flags.FLAGS


class Numbers(flags.ListParser):
    """A flag parser for numbers separated by commas.

    Args:
        kind: `float`, or `int` for whole ones.
    """

    def __init__(self, kind: type[int] | type[float]):
        super().__init__()
        self.kind = kind

    def parse(self, argument):
        """The numbers in a text or list.

        Raises:
            ValueError: for anything else.
        """
        try:
            given = argument if isinstance(argument, tuple) else super().parse(argument)
            numbers = [self.kind(str(part)) for part in given]
        except (ValueError, TypeError):
            numbers = []
        if not numbers or not isinstance(argument, (str, list, tuple)):
            raise ValueError(f"expected {'whole ' * (self.kind is int)}numbers, separated by commas")
        return numbers


class Choices(flags.EnumParser):
    """A flag parser for choices, of which `--name` and `--noname` stand for two: "auto" and "none"."""

    def parse(self, argument):
        """The choice that a text stands for.

        Raises:
            ValueError: for anything else.
        """
        plain = {"true": "auto", "false": "none"}
        return super().parse(plain.get(str(argument).lower(), argument))


class Named(flags.EnumParser):
    """A flag parser for choices, and for references to objects."""

    def parse(self, argument):
        """The choice or reference.

        Raises:
            ValueError: for anything else, with what is expected.
        """
        if is_reference(argument) or argument in self.enum_values:
            return argument
        raise ValueError(f"expected {', '.join(self.enum_values)}, keras:NAME or FILE.py:NAME")


class References(flags.ListParser):
    """A flag parser for references to objects, separated by commas; arguments of a call may hold commas too.

    >>> References().parse("keras:RandomZoom(0.2, 0.3),my.py:made")
    ['keras:RandomZoom(0.2, 0.3)', 'my.py:made']
    """

    def parse(self, argument):
        """The references in a text or list."""
        if not isinstance(argument, str):
            return super().parse(argument)
        return [each.strip() for each in re.findall(rf"(?:[^(),]|\({ARGUMENTS}\)|[()])+", argument)]


class _Switch(flags.Flag):
    """A flag with and without a value: `--name`, `--noname`, `--name=choice`."""

    def __init__(self, name: str, default: str, help: str, choices: tuple[str, ...]):
        super().__init__(Choices(choices), flags.ArgumentSerializer(), name, default, help, boolean=True)


def _define(name: str, hint: Any, default: Any, help: str, bounds: Bounds) -> None:
    """Define the flag of one option."""
    kind, choices = _without_none(hint), bounds.choices
    if choices and kind is not str:
        flags.DEFINE_list(name, default, help)
    elif {"auto", "none"} <= set(choices):
        flags.DEFINE_flag(_Switch(name, default, help, choices))
    elif choices and bounds.objects:
        flags.DEFINE(Named(choices), name, default, help)
    elif choices:
        flags.DEFINE_enum(name, default, choices, help)
    elif bounds.unnamed and kind == list[str]:
        flags.DEFINE(References(), name, default, help, serializer=flags.ListSerializer(","))
    elif kind in (list[float], list[int]):
        flags.DEFINE(Numbers(get_args(kind)[0]), name, default, help, serializer=flags.CsvListSerializer(","))
    else:
        define: dict[Any, Callable] = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
            list[str]: flags.DEFINE_list,
        }
        define[kind](name, default, help)


def _without_none(hint: Any) -> Any:
    """`int` of `int | None`."""
    return next(each for each in get_args(hint) if each is not NoneType) if isinstance(hint, UnionType) else hint


GROUPS: dict[str, str] = {}
"""The headings of --help, keyed by the first flag under each."""
BOUNDS: dict[str, Bounds] = {}
"""The values that each option allows."""

flags.DEFINE_string(
    "config",
    None,
    "An experiment, which sets these flags: one in train/configs by name, or the path of your own .py file. A flag on "
    "the command line overrides the experiment, even when you pass the flag's default.",
)
flags.DEFINE_bool("smoke", False, "Run the experiment's smoke version: the same pipeline in seconds, on tiny data.")
GROUPS["config"] = "Experiment"
RECORDS: tuple[type[Section], ...] = (*SECTIONS.values(), Command)
for record in RECORDS:
    hints = get_type_hints(record)
    GROUPS[fields(record)[0].name] = record.title
    for each in fields(record):
        BOUNDS[each.name] = each.metadata["bounds"]
        _define(each.name, hints[each.name], each.default, each.metadata["help"], each.metadata["bounds"])


def defined() -> list[flags.Flag]:
    """The flags defined above, in their order, without absl's own."""
    return FLAGS.flags_by_module_dict()[__name__]


def command() -> Command:
    """The settings that only the command line decides.

    Raises:
        BadInput: for a value outside its bounds.
    """
    values: dict[str, Any] = {each.name: FLAGS[each.name].value for each in fields(Command)}
    return Command(**values)
