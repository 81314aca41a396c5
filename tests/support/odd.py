"""`python -m tests.support.odd WAY ...`: a worker that behaves oddly in the third epoch's test.

It "raises" an unexpected error, "leaves" silently, or "sleeps", as when a disk does not respond; or it "dawdles" over
its first save, as when a disk is slow.
"""

from __future__ import annotations

import os
import sys
import time

from train.__main__ import run_main
from train.run import checkpoints, session


def raises() -> None:
    """Raise an unexpected error."""
    raise RuntimeError("odd")


WAYS = {"raises": raises, "leaves": lambda: os._exit(0), "sleeps": lambda: time.sleep(600)}


def behave(way: str) -> None:
    """Patch the test, or the save."""
    if way == "dawdles":
        dawdle()
        return
    tested = session.Session._tested

    def odd(self):
        if self.position.epoch == 2:
            print(f"odd: {way}", flush=True)
            WAYS[way]()
        return tested(self)

    session.Session._tested = odd


def dawdle() -> None:
    """Make the first save take 12 seconds."""
    write = checkpoints.Checkpoints._write

    def slow(self, *arguments):
        print("odd: dawdles", flush=True)
        time.sleep(12)
        checkpoints.Checkpoints._write = write
        write(self, *arguments)

    checkpoints.Checkpoints._write = slow


if __name__ == "__main__":
    behave(sys.argv[1])
    sys.argv = ["train", *sys.argv[2:]]
    sys.exit(run_main(sys.argv))
