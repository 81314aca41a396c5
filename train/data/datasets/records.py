"""TFRecord files, as prepared by tensorflow-datasets, read by index in any order, without a shuffle buffer."""

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

LENGTH, CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")  # record: length, its CRC, data, their CRC
HEADER = LENGTH.size + CHECKSUM.size


def masked(data: bytes) -> int:
    """The checksum in TFRecord files: CRC32C, rotated by 15 bits, plus a constant.

    >>> hex(masked(b"123456789"))  # CRC32C's published check value is 0xe3069283
    '0xc78ab0e5'
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(parts: Sequence[tuple[Path, int, int]]) -> tuple[int, Callable[[tf.Tensor], tf.Tensor]]:
    """`(count, int64 -> string)`: the number of records, and a function that reads one.

    Args:
        parts: `(file, skip, take)`: uncompressed TFRecord files, and which of their records to use; a `take` of -1
            means all that follow.

    Raises:
        BadInput: if a file is missing, truncated or not a TFRecord file.

    Reading a record whose data do not match their checksum raises `ValueError`, or in a graph `InvalidArgumentError`.
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
    """The offset and length of each record's data, int64 `[n, 2]`."""
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
            raise BadInput(f"{path} is damaged or not a TFRecord file: no record begins at byte {start}.")
        data = LENGTH.unpack(length)[0]
        end = start + HEADER + data + CHECKSUM.size
        if end > size:
            raise BadInput(f"{path} is cut short: the record at byte {start} ends after the file.")
        yield start + HEADER, data
        start = end
