"""Errors that end a run without a traceback: reported in one line, with an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


class RunError(Exception):
    """Its text states what was expected, what was got and where; `code` is the program's exit code.

    >>> [kind.code for kind in (RunError, BadInput, NumericError, StorageError, ClusterError, Preempted)]
    [1, 2, 3, 4, 5, 42]
    """

    code = 1


class BadInput(RunError):
    """A usage or data error that the user can fix."""

    code = 2


class WrongBackend(BadInput, ImportError):
    """Keras runs on a backend other than TensorFlow, so the module cannot be imported."""


class NumericError(RunError):
    """The loss became NaN or infinite."""

    code = 3


class StorageError(RunError):
    """Checkpoints cannot be written, or none can be read."""

    code = 4


class ClusterError(RunError):
    """Another worker is gone, stuck, or configured differently."""

    code = 5


class Preempted(RunError):
    """The run was asked to stop, and can be resumed."""

    code = 42


def first_line(error: Exception) -> str:
    r"""The first line of an error's text, without a full stop; its type where it has no text.

    >>> first_line(ValueError("no such file.\nTry again.")), first_line(ValueError())
    ('no such file', 'ValueError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


LONGEST = 500  # characters of a word that messages repeat in full; Linux's longest paths have more


def one_line(error: Exception) -> str:
    """The error's text in one line, in which a word that nobody would read to its end is cut.

    >>> one_line(ValueError("no file\\nof this name")), len(one_line(ValueError("x" * 5000)))
    ('no file of this name', 503)
    >>> len(one_line(ValueError("x" * 500)))
    500
    """
    return " ".join(word if len(word) <= LONGEST else f"{word[:LONGEST]}..." for word in str(error).split())


def told(error: Exception) -> str:
    """The error as one line for standard error."""
    return f"train: {one_line(error)}"


def say(text: str) -> None:
    """Print a warning to standard error."""
    print(f"train: {text}", file=sys.stderr, flush=True)


def leave(error: RunError) -> NoReturn:
    """End the process at once, from any thread: TensorFlow's own shutdown would wait for workers that are gone."""
    print(told(error), file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(error.code)
