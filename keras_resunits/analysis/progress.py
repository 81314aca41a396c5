"""Progress of what takes over five seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
EVERY = 5.0
"""Seconds between two lines, and before the first."""


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield items, and print to the error stream how many are done, every five seconds.

    >>> list(progress([1, 2], "unit"))
    [1, 2]
    """
    told = time.monotonic()
    for i, item in enumerate(items):
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print(f"{what} {i} of {len(items)}", file=sys.stderr, flush=True)
        yield item
