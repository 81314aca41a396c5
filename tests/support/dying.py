"""`python -m tests.support.dying MOMENT STEP -- ...`: `python -m train ...` that SIGKILLs itself at that save.

Moments of the save at step STEP: "before" it, "half" (the state's files exist, but no manifest), "written" (all files
exist, not yet renamed), "renamed"; or, at any step, "exported" (the SavedModel exists, not yet renamed).
"""

from __future__ import annotations

import os
import signal
import sys

from train.__main__ import run_main
from train.run import checkpoints

MOMENTS = ("before", "half", "written", "renamed", "exported")


def dying(moment: str, step: int) -> None:
    """Patch the save, so that the process dies within it."""
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


def dying_in_the_export(event: str, arguments: tuple) -> None:
    """An audit hook: SIGKILL once the SavedModel exists, but is not yet renamed."""
    if event == "os.rename" and ".unfinished-" in str(arguments[0]) and os.path.isdir(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    moment, step, _, *arguments = sys.argv[1:]
    assert moment in MOMENTS, moment
    if moment == "exported":
        sys.addaudithook(dying_in_the_export)
    else:
        dying(moment, int(step))
    sys.argv = ["train", *arguments]
    sys.exit(run_main(sys.argv))
