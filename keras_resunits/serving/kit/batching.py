"""The batch sizes that a server forms: checked, and as TensorFlow Serving reads them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from keras_resunits.arguments import require_positive_int

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""The default."""

FILE = "batching_params.pbtxt"
"""Its name in the version's folder, where TensorFlow Serving's --enable_per_model_batching_parameters expects it."""


def checked_sizes(sizes: Sequence[int]) -> list[int]:
    """Return batch sizes as a list.

    Raises:
        ValueError: if they are not positive ints, each larger than the one before.

    >>> checked_sizes((1, 4))
    [1, 4]
    """
    found = require_positive_int.each(sizes, "batch_sizes", "export_saved_model")
    if not found or any(a >= b for a, b in pairwise(found)):
        raise ValueError(
            f"`batch_sizes` must be positive ints, each larger than the one before. Received: batch_sizes={sizes!r}."
        )
    return list(found)


def batching_params(sizes: Sequence[int], max_delay: float = 0.002) -> str:
    """Return a `BatchingParameters` message as text.

    The server waits up to `max_delay` seconds for more requests, and pads a batch to the next of the sizes. It refuses
    a request of more rows than the largest.

    >>> print(batching_params([1, 8]), end="")
    max_batch_size { value: 8 }
    batch_timeout_micros { value: 2000 }
    max_enqueued_batches { value: 100 }
    allowed_batch_sizes: 1
    allowed_batch_sizes: 8
    """
    lines = (
        f"max_batch_size {{ value: {max(sizes)} }}",
        f"batch_timeout_micros {{ value: {round(max_delay * 1e6)} }}",
        "max_enqueued_batches { value: 100 }",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    )
    return "".join(f"{line}\n" for line in lines)
