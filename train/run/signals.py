"""SIGTERM and SIGINT are recorded, so that the run stops between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT)


def handle_by_default() -> None:
    """Restore the default handlers of SIGTERM and SIGINT, for the time before and after training.

    `MultiWorkerMirroredStrategy` sets a handler on construction that swallows SIGTERM; call this after it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Notice:
    """The signal that was received; false if none was."""

    received: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.received is not None


@contextmanager
def noticed() -> Iterator[Notice]:
    """Record SIGTERM and SIGINT instead of ending the process; SIGINT after either interrupts as usual.

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
