"""Several workers: that all do the same, and what one's end means for the others."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ..process.backend import tf
from ..process.errors import ClusterError, RunError, leave
from .strategy import Place
from .watch import COMPARISON, GO_ON

T = TypeVar("T")


def require_agreement(place: Place, wanted: dict[str, Any]) -> None:
    """Compare `wanted` between the workers: before the first step, not by what their exchanges would make of it.

    Args:
        place: Where this worker stands.
        wanted: What decides the run's numbers, by name; JSON can tell it.

    Raises:
        ClusterError: with what is otherwise here than at another worker.
    """
    if place.workers == 1:
        return
    sums = [zlib.crc32(json.dumps([name, value]).encode()) for name, value in sorted(wanted.items())]
    with place.watch(COMPARISON):
        everyone = place.gathered(sums)
        with suppress(tf.errors.OpError):
            place.gathered(sums)  # nobody leaves before all have the answer
    for number, theirs in enumerate(everyone[:: len(everyone) // place.workers]):
        differing = [name for name, a, b in zip(sorted(wanted), sums, theirs, strict=True) if a != b]
        if differing:
            here = ", ".join(f"{name}={wanted[name]!r}" for name in differing)
            raise ClusterError(
                f"worker {place.number} has {here}, worker {number} has not. Start all with the same flags and data, "
                "and an --output that all see."
            )


def chief_first(place: Place, what: Callable[[], T]) -> T:
    """`what()`, by the first worker before the others: it mends what they read then."""
    results = [what()] if place.is_chief else []
    if place.workers > 1:
        with place.watch(COMPARISON):
            place.gathered([0])
    return results[0] if results else what()


@contextmanager
def leaving_together(place: Place) -> Iterator[None]:
    """Name what an error of an exchange says of the other workers, and end at once, whatever the error is: TensorFlow
    would wait for them.

    Args:
        place: Where this worker stands.
    """
    if place.workers == 1:
        yield
        return
    try:
        yield
    except RunError as error:
        leave(error)
    except tf.errors.OpError as error:
        leave(ClusterError(f"worker {place.number} of {place.workers}: {_cause(error, place)}"))
    except Exception:
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


def _cause(error: tf.errors.OpError, place: Place) -> str:
    text = " ".join(str(error).split())
    named = sorted({int(task) for task in re.findall(r"/task:(\d+)", text)} - {place.number})
    other = f"worker {' and '.join(map(str, named))}" if named else "another worker"
    said = re.split(r" The error could be| Additional GRPC| \[\[| \[Op:| \[type", text.rpartition("aborted by: ")[2])[0]
    if isinstance(error, tf.errors.DeadlineExceededError) or "heartbeat" in said:
        what = f"{other} did not answer: it is stuck or gone"
    elif isinstance(error, tf.errors.AbortedError):
        what = f"{other} ended, or was started again alone"
    elif isinstance(error, (tf.errors.UnavailableError, tf.errors.CancelledError, tf.errors.InternalError)):
        what = f"{other} is gone; its own last line says why"
    else:
        return f"{type(error).__name__}: {said[:200]}."
    where = said.startswith("Graph execution error")  # in the graph: no news
    why = "" if where else f" ({said[:160].rstrip('.')})"
    return f"{what}. {GO_ON}{why}."
