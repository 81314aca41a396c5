"""The command line, made from the records of `sections`: a flag for each option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from absl import flags

from .sections import SECTIONS, Bounds, Command, Section

FLAGS = flags.FLAGS


class Numbers(flags.ListParser):
    """Numbers separated by commas."""

    def parse(self, argument):
        """The numbers of a text, or of a list of numbers.

        Raises:
            ValueError: for anything else.
        """
        try:
            return [float(part) for part in super().parse(argument)]
        except (ValueError, TypeError):
            raise ValueError("expected numbers, separated by commas") from None


def _define(name: str, hint: Any, default: Any, help: str, choices: tuple[str, ...] = ()) -> None:
    """The flag of one option."""
    kind = _without_none(hint)
    if choices:
        flags.DEFINE_enum(name, default, choices, help)
    elif kind == list[float]:
        flags.DEFINE(Numbers(), name, default, help, serializer=flags.CsvListSerializer(","))
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
"""The headings of --help, each by the first flag under it."""
BOUNDS: dict[str, Bounds] = {}
"""What each option allows."""

flags.DEFINE_string(
    "config",
    None,
    "An experiment of train/configs by name, or a .py file of yours like them: values for these flags. A flag on the "
    "command line overrides the experiment, even when you pass the flag's default.",
)
flags.DEFINE_bool("smoke", False, "The experiment's smoke twin: the same in seconds, on tiny data.")
GROUPS["config"] = "Experiment"
RECORDS: tuple[type[Section], ...] = (*SECTIONS.values(), Command)
for record in RECORDS:
    hints = get_type_hints(record)
    GROUPS[fields(record)[0].name] = record.title
    for each in fields(record):
        BOUNDS[each.name] = each.metadata["bounds"]
        _define(each.name, hints[each.name], each.default, each.metadata["help"], each.metadata["bounds"].choices)


def defined() -> list[flags.Flag]:
    """The flags above, absl's own not among them, in their order."""
    return FLAGS.flags_by_module_dict()[__name__]


def command() -> Command:
    """What the command line asks for besides the run's configuration.

    Raises:
        BadInput: for a value outside its bounds.
    """
    values: dict[str, Any] = {each.name: FLAGS[each.name].value for each in fields(Command)}
    return Command(**values)
