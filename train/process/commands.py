"""How the user starts this package's commands, for messages that suggest the next one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

CONSOLE = "keras-resunits"  # prefix of the installed commands
PACKAGE = __name__.partition(".")[0]


def python() -> str:
    """This interpreter as a user types it: `python` where that finds it, else its path, relative to here if below."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = f"{os.getcwd()}/"
    return sys.executable.removeprefix(here) if sys.executable else "python"


def command(name: str) -> str:
    """The command `name` ("train", "evaluate", "answer", "launch"), in the form in which this process was started.

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
