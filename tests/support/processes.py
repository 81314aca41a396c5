"""Commands that run alongside a test, which reads their output as it comes."""

from __future__ import annotations

import subprocess
import threading
import time

from tests.support.forks import Forked
from tests.train.conftest import Outcome


class Process:
    """A command whose lines are read as they come."""

    def __init__(self, popen: subprocess.Popen | Forked):
        self.popen, self.out, self.err = popen, [], []
        pairs = ((popen.stdout, self.out), (popen.stderr, self.err))
        self._readers = [threading.Thread(target=lines.extend, args=(pipe,), daemon=True) for pipe, lines in pairs]
        for reader in self._readers:
            reader.start()

    def ended(self, within: float = 300) -> Outcome:
        """Wait for its end; return its result."""
        try:
            code = self.popen.wait(within)
        finally:
            self.popen.kill()
        for reader in self._readers:
            reader.join()
        return Outcome(code, "".join(self.out), "".join(self.err))

    def has_said(self, text: str, within: float = 120) -> None:
        """Wait for `text` in its output."""
        deadline = time.monotonic() + within
        while not any(text in line for line in [*self.out, *self.err]):
            assert time.monotonic() < deadline and self.popen.poll() is None, self.ended()
            time.sleep(0.02)


def begun(*arguments: str) -> Process:
    """Start `python -m ...`."""
    return Process(Forked(*arguments))


def finished(*arguments: str, **environment: str) -> Outcome:
    """Run `python -m ...` to its end."""
    return Process(Forked(*arguments, **environment)).ended()
