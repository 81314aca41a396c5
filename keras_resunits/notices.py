"""Warnings to users, in the name of their own line."""

from __future__ import annotations

import inspect
import warnings
from itertools import takewhile
from pathlib import Path
from traceback import walk_stack

PACKAGE = str(Path(__file__).parent)


def warn(text: str) -> None:
    """Warn in the name of the line outside this package that led here."""
    frames = walk_stack(inspect.currentframe())
    inner = takewhile(lambda found: found[0].f_code.co_filename.startswith(PACKAGE), frames)
    warnings.warn(text, stacklevel=1 + sum(1 for _ in inner))
