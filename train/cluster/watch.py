"""Each worker measures how long joint operations take, and so detects another one that is stuck."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..process.errors import ClusterError, leave

GO_ON = "Start all workers again with --resume and the same --run, to continue from the last checkpoint"
POLL = 0.5  # seconds between two checks of the clock
COMPARISON = "comparing flags and data"
SLOW = ("a save", COMPARISON)  # operations that wait for a disk: before a comparison, the data or a checkpoint are read


class Watch:
    """Ends this process when an operation that it shares with other workers takes too long.

    TensorFlow's own timeouts (`CommunicationOptions(timeout_seconds=...)`) cost a thread for each exchange, which
    sleeps until the time is over. At a thousand exchanges a second, as in small networks, 30,000 threads exist after
    30 seconds, and the process dies.

    Args:
        who: This worker's name in messages.
        first: Seconds for the first operation of a kind, which compiles and waits for workers that load their data
            more slowly; also for every save and comparison.
        later: Seconds for each later operation of that kind.

    Example:

    >>> watch = Watch("worker 0 of 2", first=300.0, later=30.0)
    >>> with watch("a training step"):
    ...     pass
    """

    def __init__(self, who: str, first: float, later: float):
        self.who, self.first, self.later = who, first, later
        self._what, self._limit, self._flag, self._until = "", math.inf, "", math.inf
        self._seen: set[str] = set()
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Limit the time that `what` takes."""
        quick = what in self._seen and what not in SLOW
        self._what = what
        self._limit, self._flag = (self.later, "--worker_timeout") if quick else (self.first, "--startup_timeout")
        self._until = time.monotonic() + self._limit
        try:
            yield
        finally:
            self._until = math.inf
        self._seen.add(what)

    def _look(self) -> None:
        while time.monotonic() < self._until:
            time.sleep(POLL)
        leave(
            ClusterError(
                f"{self.who}: another worker did not answer and is stuck or gone: {self._what} took over "
                f"{self._limit:g} s ({self._flag}). {GO_ON}."
            )
        )
