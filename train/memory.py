"""Memory that there is not, said in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from train.backend import tf
from train.errors import BadInput, first_line

# TensorFlow's words; a disk that is full has the same error without them
TENSOR = re.compile(r"OOM when allocating tensor with shape(\[[\d,]*\]) and type (\w+) on \S*device:(\w+:\d+)")


@contextmanager
def memory_named() -> Iterator[None]:
    """Around what a network, or a step of it, may be too large for.

    Raises:
        BadInput: with the tensor that did not fit, and what takes less.
    """
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        tensor = TENSOR.search(str(error))
        if tensor is None and not isinstance(error, MemoryError):
            raise
        what = "{2} has no room for {1} of shape {0}".format(*tensor.groups()) if tensor else first_line(error)
        raise BadInput(f"out of memory: {what}. A smaller --batch_size, --width or --depth takes less.") from error
