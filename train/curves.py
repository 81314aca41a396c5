"""The command that plots histories: `python -m train.curves PICTURE.png NAME=HISTORY.csv ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from .process.commands import command
from .process.errors import BadInput, RunError
from .process.files import local, outlive_full_disks
from .run.folder import Run
from .run.history import draw_curves, read_history

__all__ = ["draw_curves", "read_history"]

DRAWN = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")

USAGE = """Plot the histories of runs.

    {curves} PICTURE.png NAME=HISTORY.csv ...
        Several runs in one picture.
"""


def given(arguments: list[str]) -> list[tuple[str, Path]]:
    """The histories by name, after checking that each can be plotted.

    Raises:
        BadInput: for one that cannot be plotted.
    """
    histories = [(name, local(path, name)) for name, path in (argument.rsplit("=", 1) for argument in arguments)]
    for _, path in histories:
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file.")
        columns = read_history(path)
        if missing := [name for name in DRAWN if name not in columns]:
            raise BadInput(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(columns) or 'none'}.")
        if not columns["epoch"]:
            raise BadInput(f"{path} has no epoch yet.")
    return histories


def run_main(argv: list[str]) -> int:
    """Plot the histories; report errors that a user can fix in one line, with their exit code."""
    if {"-h", "--help"} & set(argv):
        print(USAGE.format(curves=command("curves")))
        return 0
    if len(argv) < 2 or not all("=" in argument for argument in argv[1:]):
        print(USAGE.format(curves=command("curves")), file=sys.stderr)
        return 2
    try:
        picture = local(argv[0], "PICTURE.png")
        if picture.suffix != ".png":
            raise BadInput(f"the picture must end in .png; got {picture}.")
        if not picture.parent.is_dir():
            raise BadInput(f"{picture.parent}: there is no such folder.")
        histories = given(argv[1:])
        watched = sorted({Run.at(path.parent).watched for _, path in histories})
        draw_curves(histories, picture, " or ".join(watched))
    except RunError as error:
        print(f"curves: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"curves: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    outlive_full_disks()
    sys.exit(run_main(sys.argv[1:]))
