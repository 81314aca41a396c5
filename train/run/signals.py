"""SIGTERM and SIGINT, taken note of and heeded between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT)


def handle_by_default() -> None:
    """Let SIGTERM end and SIGINT interrupt: for the time before and after training, when nothing is to be saved.

    `MultiWorkerMirroredStrategy` sets a handler when it is made that swallows SIGTERM; call this after it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Notice:
    """Which signal has come, if any."""

    received: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.received is not None


@contextmanager
def noticed() -> Iterator[Notice]:
    """Take note of SIGTERM and SIGINT instead of ending; a second SIGINT interrupts as ever.

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
