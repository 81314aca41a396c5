"""Several workers: they agree before they start, and end together when one fails."""

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
    """Require the same values in `wanted` on all workers, before the first step exchanges results of different runs.

    Args:
        place: This worker's place.
        wanted: The values that determine the run's results, by name; each can be written as JSON.

    Raises:
        ClusterError: with the values that differ from another worker's.
    """
    if place.workers == 1:
        return
    sums = [zlib.crc32(json.dumps([name, value]).encode()) for name, value in sorted(wanted.items())]
    with place.watch(COMPARISON):
        everyone = place.gathered(sums)
        with suppress(tf.errors.OpError):
            place.gathered(sums)  # no worker leaves before all have the answer
    for number, theirs in enumerate(everyone[:: len(everyone) // place.workers]):
        differing = [name for name, a, b in zip(sorted(wanted), sums, theirs, strict=True) if a != b]
        if differing:
            here = ", ".join(f"{name}={wanted[name]!r}" for name in differing)
            raise ClusterError(
                f"worker {place.number} has {here}, unlike worker {number}. Start all with the same flags and data, "
                "and with a shared --output."
            )


def chief_first(place: Place, what: Callable[[], T]) -> T:
    """`what()`, on the first worker before the others, because it may repair files that they read."""
    results = [what()] if place.is_chief else []
    if place.workers > 1:
        with place.watch(COMPARISON):
            place.gathered([0])
    return results[0] if results else what()


@contextmanager
def leaving_together(place: Place) -> Iterator[None]:
    """End the process at once on any error, because TensorFlow would wait for the other workers.

    An error of an exchange is reported as what it implies about the other workers.

    Args:
        place: This worker's place.
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
        what = f"{other} ended, or was restarted without the others"
    elif isinstance(error, (tf.errors.UnavailableError, tf.errors.CancelledError, tf.errors.InternalError)):
        what = f"{other} {'is' if len(named) < 2 else 'or one of them is'} gone; its own last line gives the reason"
    else:
        return f"{type(error).__name__}: {said[:200]}."
    where = said.startswith("Graph execution error")  # only names the place in the graph, which is no help
    why = "" if where else f" ({said[:160].rstrip('.')})"
    return f"{what}. {GO_ON}{why}."
