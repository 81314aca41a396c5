"""TFRecord files read by number: what tensorflow-datasets prepares, in any order, without a shuffle buffer."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...process.backend import tf
from ...process.errors import BadInput

HEADER = struct.Struct("<QI")  # length, its checksum; then the data and theirs
TRAILER = 4


def records(parts: Sequence[tuple[Path, int, int]]) -> tuple[int, Callable[[tf.Tensor], tf.Tensor]]:
    """`(count, int64 -> string)`: how many records there are, and how one is read.

    Args:
        parts: `(file, skip, take)`: TFRecord files, not compressed, and which of their records; a `take` of -1 for all
            that follow.

    Raises:
        BadInput: if one is missing, cut short or no TFRecord file.
    """
    with ThreadPoolExecutor() as pool:
        tables = list(pool.map(_table, *zip(*parts, strict=True)))
    paths = [path for path, _, _ in parts]
    owners = np.repeat(np.arange(len(paths)), [len(table) for table in tables])
    places = np.concatenate(tables)

    def read(number) -> bytes:
        start, length = places[number]
        with open(paths[owners[number]], "rb") as file:
            return os.pread(file.fileno(), int(length), int(start))

    def read_in_graph(index):
        return tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), [])

    return len(places), read_in_graph


def _table(path: Path, skip: int, take: int) -> np.ndarray:
    """`[n, 2]`: where each record's data begin, and their length."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            table = np.array(list(_places(file, size, path)), np.int64).reshape(-1, 2)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    return table[skip:] if take < 0 else table[skip : skip + take]


def _places(file, size: int, path: Path):
    start = 0
    while start < size:
        header = os.pread(file.fileno(), HEADER.size, start)
        end = start + HEADER.size + (HEADER.unpack(header)[0] if len(header) == HEADER.size else size) + TRAILER
        if end > size:
            raise BadInput(f"{path} is cut short or no TFRecord file: the record at byte {start} ends after the file.")
        yield start + HEADER.size, end - TRAILER - start - HEADER.size
        start = end
