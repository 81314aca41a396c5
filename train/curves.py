"""Histories as pictures.

python -m train.curves PICTURE.png NAME=HISTORY.csv ...   several runs in one picture
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

from .process.errors import StorageError
from .run.history import draw_curves

matplotlib.use("Agg")  # a server has no screen


if __name__ == "__main__":
    if len(sys.argv) < 3 or not all("=" in argument for argument in sys.argv[2:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    given = {name: Path(path) for name, path in (a.rsplit("=", 1) for a in sys.argv[2:])}
    for path in given.values():
        if not path.is_file():
            print(f"curves: {path}: there is no such file.", file=sys.stderr)
            sys.exit(2)
    try:
        draw_curves(given, Path(sys.argv[1]))
    except StorageError as error:
        print(f"curves: {error}", file=sys.stderr)
        sys.exit(error.code)
