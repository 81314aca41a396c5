"""`python -m tests.train.dying MOMENT STEP -- ...`: `python -m train ...` that SIGKILLs itself at that save.

Moments of the save at step STEP: "before" it, "half" (the state's files are there, no manifest), "written" (all is
there, not yet renamed), "renamed".
"""

from __future__ import annotations

import os
import signal
import sys

from train import checkpoints
from train.__main__ import run_main

MOMENTS = ("before", "half", "written", "renamed")


def dying(moment: str, step: int) -> None:
    """Change what saves, so that the process ends within it."""
    cls = checkpoints.Checkpoints
    write, forget, digest = cls._write, cls._forget, checkpoints._digest
    saving = None

    def at(here: str) -> None:
        if (here, saving) == (moment, step):
            os.kill(os.getpid(), signal.SIGKILL)

    def watched_write(self, folder, position, score):
        nonlocal saving
        saving = position.step
        at("before")
        write(self, folder, position, score)
        at("written")

    def watched_digest(path):
        at("half")
        return digest(path)

    def watched_forget(self):
        at("renamed")
        forget(self)

    cls._write, cls._forget, checkpoints._digest = watched_write, watched_forget, watched_digest


if __name__ == "__main__":
    moment, step, _, *arguments = sys.argv[1:]
    assert moment in MOMENTS, moment
    dying(moment, int(step))
    sys.argv = ["train", *arguments]
    sys.exit(run_main(sys.argv))
