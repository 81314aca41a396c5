"""`python -m tests.train.odd WAY ...`: a worker that behaves oddly in the third epoch's test, its heart still beating.

It "raises" an error of no kind that is expected, "leaves" without a word, or "sleeps", as where a disk does not answer.
"""

from __future__ import annotations

import os
import sys
import time

from train import session
from train.__main__ import run_main


def raises() -> None:
    """An error."""
    raise RuntimeError("odd")


WAYS = {"raises": raises, "leaves": lambda: os._exit(0), "sleeps": lambda: time.sleep(600)}


def behave(way: str) -> None:
    """Change what tests."""
    tested = session.Session._tested

    def odd(self):
        if self.position.epoch == 2:
            print(f"odd: {way}", flush=True)
            WAYS[way]()
        return tested(self)

    session.Session._tested = odd


if __name__ == "__main__":
    behave(sys.argv[1])
    sys.argv = ["train", *sys.argv[2:]]
    sys.exit(run_main(sys.argv))
