"""Several workers: that all do the same, and what one's end means for the others."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from train.errors import ClusterError, RunError, first_line, leave
from train.strategy import Place

GO_ON = "Start all workers again, with --resume and the same --run, to go on from the last checkpoint"


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
    mine = place.strategy.run(lambda: tf.constant([sums], tf.int64))
    everyone = place.strategy.gather(mine, axis=0).numpy()
    for number, theirs in enumerate(everyone[:: len(everyone) // place.workers]):
        differing = [name for name, a, b in zip(sorted(wanted), sums, theirs, strict=True) if a != b]
        if differing:
            here = ", ".join(f"{name}={wanted[name]!r}" for name in differing)
            raise ClusterError(
                f"worker {place.number} has {here}, worker {number} has not. Start all with the same flags and data."
            )


@contextmanager
def leaving_together(place: Place, timeout: float) -> Iterator[None]:
    """Name what an error of an exchange says of the other workers, and end at once: TensorFlow would wait for them.

    Args:
        place: Where this worker stands.
        timeout: Seconds that an exchange may take.
    """
    if place.workers == 1:
        yield
        return
    try:
        yield
    except RunError as error:
        leave(error)
    except tf.errors.OpError as error:
        leave(ClusterError(f"worker {place.number} of {place.workers}: {_cause(error, timeout)}"))


def _cause(error: tf.errors.OpError, timeout: float) -> str:
    said = first_line(error)[:160]
    if isinstance(error, tf.errors.DeadlineExceededError):
        return f"another worker did not answer for {timeout:g} s: it is stuck. {GO_ON} ({said})."
    if isinstance(error, tf.errors.AbortedError):
        return f"another worker ended, or was started again alone. {GO_ON} ({said})."
    if isinstance(error, (tf.errors.UnavailableError, tf.errors.CancelledError, tf.errors.InternalError)):
        return f"another worker is gone; its own last line says why. {GO_ON} ({said})."
    return f"{type(error).__name__}: {said}."
