"""SIGTERM and SIGINT, taken note of and heeded between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT)


class Notice:
    """Which signal has come, if any."""

    received: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.received is not None


@contextmanager
def noticed() -> Iterator[Notice]:
    """Take note of SIGTERM and SIGINT instead of ending; a second SIGINT interrupts as ever.

    Enter it after the strategy is made: `MultiWorkerMirroredStrategy` sets a handler of its own that swallows SIGTERM.

    Example:

    >>> import os
    >>> with noticed() as notice:
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     bool(notice), notice.received.name
    (True, 'SIGTERM')
    """
    notice = Notice()

    def note(number, frame):
        if notice and number == signal.SIGINT:
            raise KeyboardInterrupt
        notice.received = signal.Signals(number)

    before = {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield notice
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
