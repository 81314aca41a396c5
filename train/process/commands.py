"""How the user starts this package's commands, for messages that suggest the next one."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from .errors import BadInput, RunError, one_line
from .files import outlive_full_disks

A = TypeVar("A")

CONSOLE = "keras-resunits"  # prefix of the installed commands
PACKAGE = __name__.partition(".")[0]


def python() -> str:
    """This interpreter as a user types it: `python` where that finds it, else its path, relative to here if below."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = f"{os.getcwd()}/"
    return sys.executable.removeprefix(here) if sys.executable else "python"


def command(name: str) -> str:
    """The command `name` ("train", "evaluate", "export", ...), in the form in which this process was started.

    After an installed command, the one in the same folder; after `python -m train`, a module.
    """
    started = Path(sys.argv[0])
    if started.name.startswith(CONSOLE):
        sister = started.with_name(f"{CONSOLE}-{name}")
        return sister.name if shutil.which(sister.name) == str(sister.absolute()) else str(sister)
    return f"{python()} -m {PACKAGE}" + (f".{name}" if name != "train" else "")


def extra_needed(error: ModuleNotFoundError) -> str | None:
    """The extra that installs a missing module; `None` if no extra does."""
    root = (error.name or "").partition(".")[0]
    return "train" if root in EXTRA else None


EXTRA = {
    "absl",
    "google_crc32c",
    "importlib_resources",
    "matplotlib",
    "PIL",
    "sklearn",
    "tensorboard",
    "tensorflow_datasets",
    "tqdm",
}
"""The modules that the extra `train` installs."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are reported like all others."""

    def error(self, message):
        raise BadInput(f"{message}; see --help.")


def separated(text: str) -> list[str]:
    """An argument that is several, separated by commas."""
    return text.split(",")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add the flag of commands that take a run."""
    parser.add_argument(
        "--state",
        choices=("best", "last"),
        help="the state of a run; by default the best if it has a validation split, else the last",
    )


def positive(text: str) -> int:
    """An argument that is an integer above 0, and no larger than TensorFlow's are.

    >>> positive("12")
    12
    """
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"expected an integer above 0, at most {2**31 - 1}, got {text!r}")
    return int(text)


def reported(name: str, work: Callable[[], None]) -> int:
    """Do the work of command `name`; report errors that a user can fix in one line.

    Returns:
        The exit code.
    """
    try:
        work()
    except RunError as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return error.code
    except ModuleNotFoundError as error:
        if not (extra := extra_needed(error)):
            raise
        print(f"{name}: {error}: pip install 'keras_resunits[{extra}]'.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        return 130
    return 0


@dataclass(frozen=True)
class Entry(Generic[A]):
    """A command: `keras-resunits-NAME`, and `python -m train.NAME`.

    Args:
        name: Its name.
        parse: Makes its arguments of the words after the name.
        main: What it does with them.
    """

    name: str
    parse: Callable[[list[str]], A]
    main: Callable[[A], None]

    def run(self, argv: list[str]) -> int:
        """Parse and work; return the exit code."""
        return reported(self.name, lambda: self.main(self.parse(argv)))

    def __call__(self) -> NoReturn:
        outlive_full_disks()
        sys.exit(self.run(sys.argv[1:]))
