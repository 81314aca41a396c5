"""IDX files, the format of MNIST and its kin (http://yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from ...process.errors import BadInput
from .images import ImageData

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
UNSIGNED_BYTE = 0x08


def holds_idx(folder: Path) -> bool:
    """Whether the folder has files with names of IDX files."""
    return any(folder.glob("*-ubyte")) or any(folder.glob("*-ubyte.gz"))


def load_idx(folder: Path) -> ImageData:
    """Read the four files, gzipped or not.

    Raises:
        BadInput: if a file is missing or damaged.
    """
    x_train, y_train, x_test, y_test = (read_idx(_find(folder, part)) for part in PARTS)
    return ImageData((x_train, y_train), (x_test, y_test))


def _find(folder: Path, part: str) -> Path:
    for path in (folder / part, folder / f"{part}.gz"):
        if path.is_file():
            return path
    raise BadInput(f"{folder} holds IDX files, but neither {part} nor {part}.gz.")


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zero bytes, type, rank, sizes as big-endian int32, data.

    Raises:
        BadInput: if the file is damaged or holds another type.
    """
    try:
        content = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise BadInput(f"{path} is not an IDX file of unsigned bytes: it begins {content[:4].hex(' ') or 'nowhere'}.")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise BadInput(f"{path} is cut short: expected a header of {start} bytes, got {len(content)}.")
    shape = np.frombuffer(content[4:start], ">u4").astype(np.int64)
    if len(content) - start != shape.prod():
        raise BadInput(f"{path} is cut short: its header promises {shape.prod()} values, got {len(content) - start}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
