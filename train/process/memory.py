"""Out-of-memory errors, reported in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .backend import tf
from .errors import BadInput

# The texts of TensorFlow, its GPU kernels and oneDNN (status 1), under several error types. A full disk raises one of
# these types too.
LACKING = re.compile(r"OOM when|out of memory|failed to allocate memory|Exception:Status: 1,", re.IGNORECASE)
TENSOR = re.compile(r"allocating tensor with shape(\[[\d,]*\]) and type (\w+) on \S*device:(\w+:\d+)")


@contextmanager
def memory_named() -> Iterator[None]:
    """Report in one line that the block ran out of memory.

    Raises:
        BadInput: with the tensor that did not fit, where the error names it, and the flags that reduce memory use.
    """
    try:
        yield
    except (MemoryError, tf.errors.OpError) as error:
        if not (isinstance(error, MemoryError) or LACKING.search(str(error))):
            raise
        tensor = TENSOR.search(str(error))
        where = "in a step of the network"
        if tensor:
            where = "{2} has no room for {1} of shape {0}".format(*tensor.groups())
        less = "A smaller network (--depth, --width), batch (--batch_size) or image (--image_size)"
        raise BadInput(f"out of memory: {where}. {less}, or --remat=auto, needs less.") from error
