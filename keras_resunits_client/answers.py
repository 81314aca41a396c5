"""The answer for one picture, and answers in order from requests that run at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

OK = "ok"
BAD_IMAGE = "bad_image"
REFUSED = "refused"
UNAVAILABLE = "unavailable"
DEADLINE = "deadline"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """The classes of one picture, the likeliest first, with their scores.

    `status` is "ok", or why there is none: "bad_image" (the picture cannot be decoded), "refused" (the server's error),
    "unavailable" (no server, even after retries) or "deadline". `error` says more.
    """

    path: Path
    status: str = OK
    error: str = ""
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`map(function, items)` in threads, which are at most twice as many items ahead of the reader.

    >>> list(in_order(abs, range(-3, 0), workers=2))
    [3, 2, 1]
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
