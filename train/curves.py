"""The command that plots histories: `python -m train.curves PICTURE.png NAME=HISTORY.csv ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from .process.commands import command
from .process.errors import StorageError
from .run.history import draw_curves, read_history

__all__ = ["draw_curves", "read_history"]

USAGE = """Plot the histories of runs.

    {curves} PICTURE.png NAME=HISTORY.csv ...
        Several runs in one picture.
"""


def run_main(argv: list[str]) -> int:
    """Plot the histories; report errors that a user can fix in one line, with their exit code."""
    if len(argv) < 2 or not all("=" in argument for argument in argv[1:]):
        print(USAGE.format(curves=command("curves")), file=sys.stderr)
        return 2
    given = {name: Path(path) for name, path in (argument.rsplit("=", 1) for argument in argv[1:])}
    for path in given.values():
        if not path.is_file():
            print(f"curves: {path}: there is no such file.", file=sys.stderr)
            return 2
    try:
        draw_curves(given, Path(argv[0]))
    except StorageError as error:
        print(f"curves: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(run_main(sys.argv[1:]))
