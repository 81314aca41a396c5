"""TFRecord files read by number: what tensorflow-datasets prepares, in any order, without a shuffle buffer."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c
import numpy as np

from ...process.backend import tf
from ...process.errors import BadInput

LENGTH, CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")  # a record: length, its checksum, the data, theirs
HEADER = LENGTH.size + CHECKSUM.size


def masked(data: bytes) -> int:
    """The checksum of TFRecord files: CRC32C, rotated by 15 bits, plus a constant.

    >>> hex(masked(b"123456789"))  # CRC32C's published check value is 0xe3069283
    '0xc78ab0e5'
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(parts: Sequence[tuple[Path, int, int]]) -> tuple[int, Callable[[tf.Tensor], tf.Tensor]]:
    """`(count, int64 -> string)`: how many records there are, and how one is read.

    Args:
        parts: `(file, skip, take)`: TFRecord files, not compressed, and which of their records; a `take` of -1 for all
            that follow.

    Raises:
        BadInput: if one is missing, cut short or no TFRecord file.

    A record whose data do not match their checksum is a `ValueError` where it is read, in a graph an
    `InvalidArgumentError`.
    """
    with ThreadPoolExecutor() as pool:
        tables = list(pool.map(_table, *zip(*parts, strict=True)))
    paths = [path for path, _, _ in parts]
    owners = np.repeat(np.arange(len(paths)), [len(table) for table in tables])
    places = np.concatenate(tables)

    def read(number) -> bytes:
        (start, length), path = places[number], paths[owners[number]]
        with open(path, "rb") as file:
            content = os.pread(file.fileno(), int(length) + CHECKSUM.size, int(start))
        data, end = content[:length], content[length:]
        if len(end) < CHECKSUM.size or CHECKSUM.unpack(end)[0] != masked(data):
            raise ValueError(f"{path}: the record at byte {start} does not match its checksum")
        return data

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
        header = os.pread(file.fileno(), HEADER, start)
        length, told = header[: LENGTH.size], header[LENGTH.size :]
        if len(header) < HEADER or CHECKSUM.unpack(told)[0] != masked(length):
            raise BadInput(f"{path} is damaged or no TFRecord file: no record begins at byte {start}.")
        data = LENGTH.unpack(length)[0]
        end = start + HEADER + data + CHECKSUM.size
        if end > size:
            raise BadInput(f"{path} is cut short: the record at byte {start} ends after the file.")
        yield start + HEADER, data
        start = end
