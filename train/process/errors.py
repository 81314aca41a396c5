"""What ends a run without a traceback: said in one line, with an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


class RunError(Exception):
    """Its text says wanted, got and where; `code` is what the program exits with."""

    code = 1


class BadInput(RunError):
    """A usage or data error, for the user to mend."""

    code = 2


class WrongBackend(BadInput, ImportError):
    """Keras runs on another backend than TensorFlow: the module cannot be imported."""


class NumericError(RunError):
    """The loss is no number any more."""

    code = 3


class StorageError(RunError):
    """Checkpoints cannot be written, or none of them can be read."""

    code = 4


class ClusterError(RunError):
    """Another worker is gone, stuck, or configured otherwise."""

    code = 5


class Preempted(RunError):
    """The run was asked to stop, and can go on from where it is."""

    code = 42


def first_line(error: Exception) -> str:
    """What an error says first, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def told(error: Exception) -> str:
    """The line for standard error."""
    return f"train: {' '.join(str(error).split())}"


def say(text: str) -> None:
    """Tell on standard error what ends nothing."""
    print(f"train: {text}", file=sys.stderr, flush=True)


def leave(error: RunError) -> NoReturn:
    """End the process at once, from any thread: where workers are gone, TensorFlow's own ending waits for them."""
    print(told(error), file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(error.code)
