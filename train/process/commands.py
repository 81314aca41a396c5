"""How the user starts this package's commands, for the lines that tell what to type next."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

CONSOLE = "keras-resunits"  # what the names of the installed commands begin with
PACKAGE = __name__.partition(".")[0]


def python() -> str:
    """This interpreter as a user types it: `python` where that is it, else its path, relative if it lies below."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = f"{os.getcwd()}/"
    return sys.executable.removeprefix(here) if sys.executable else "python"


def command(name: str) -> str:
    """The command `name` ("train", "evaluate", "answer", "launch") in the form in which this process was started.

    An installed command names its sisters in its own folder; `python -m train` names modules.
    """
    started = Path(sys.argv[0])
    if started.name.startswith(CONSOLE):
        sister = started.with_name(f"{CONSOLE}-{name}")
        return sister.name if shutil.which(sister.name) == str(sister.absolute()) else str(sister)
    return f"{python()} -m {PACKAGE}" + (f".{name}" if name != "train" else "")


def extra_needed(error: ModuleNotFoundError) -> str | None:
    """Which extra brings a module that is missing; `None` for one of no extra."""
    root = (error.name or "").partition(".")[0]
    return "train" if root in EXTRA else None


EXTRA = {"absl", "importlib_resources", "matplotlib", "PIL", "sklearn", "tensorboard", "tensorflow_datasets", "tqdm"}
"""What the extra `train` installs, by the modules' names."""
