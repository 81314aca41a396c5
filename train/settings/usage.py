"""The texts about flags: the page that --help prints, and the messages about wrong flags."""

from __future__ import annotations

from absl import flags

from .flags import BOUNDS, GROUPS, defined
from .names import near
from .sections import NEEDS

REASONS = {
    "Non-boolean argument": "expected true or false",
    "invalid literal for int()": "expected an integer",
    "could not convert string to float": "expected a number",
}


def page() -> str:
    """The help page: the flags in the order of the pipeline, under the headings of `GROUPS`."""
    lines = []
    for flag in defined():
        if flag.name in GROUPS:
            lines.append(f"\n{GROUPS[flag.name]}:")
        told = f"--{'[no]' * flag.boolean}{flag.name}: {flag.help}"
        lines.append(flags.text_wrap(told, indent=" " * 6, firstline_indent="  "))
        notes = [f"(default: {flag.default_as_str})"] * bool(flag.default_as_str)
        if kind := flag.parser.syntactic_help:
            limits = str(BOUNDS[flag.name]).replace("one of ", "of ").replace("finite", "")
            notes.append(f"({f'{kind} {limits}'.strip()})")
        if flag.name in NEEDS:
            notes.append(f"({NEEDS[flag.name]})")
        lines += [flags.text_wrap(note, indent=" " * 6) for note in notes]
    return "\n".join(lines)


def why(error: flags.Error) -> str:
    """An error of absl's, as a message for the user."""
    if isinstance(error, flags.UnrecognizedFlagError):
        return unknown(error.flagname)
    if isinstance(error, flags.CantOpenFlagFileError) and isinstance(error.__context__, OSError):
        return f"--flagfile={error.__context__.filename} cannot be read ({error.__context__.strerror})."
    flag, _, said = str(error).removeprefix("flag ").partition(": ")
    own = said if said.startswith("expected ") else None
    reason = next((reason for theirs, reason in REASONS.items() if theirs in said), own)
    return f"{flag}: {reason}." if reason else str(error)


def unknown(name: str) -> str:
    """The message for an unknown flag, with what serves its purpose."""
    return f"unknown flag --{name}.{near(name, [flag.name for flag in defined()], '--{}'.format)} See --help."
