"""IDX files, the format of MNIST and its kin (http://yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from ...process.errors import BadInput
from .images import ImageData, require_file, require_room

NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<split>train|t10k|test)-(?P<kind>images|labels)(?:[-.]idx[13])?(?:-ubyte)?(?:\.gz)?"
)
PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
UNSIGNED_BYTE = 0x08
Part = tuple[str, str]  # split and kind


def holds_idx(folder: Path) -> bool:
    """Whether the folder has files with names of IDX files."""
    return bool(_found(folder))


def load_idx(folder: Path) -> ImageData:
    """Read the four files, gzipped or not, under any of their common names (`t10k-images.idx3-ubyte`, EMNIST's).

    Raises:
        BadInput: if a file is missing or damaged, or the folder holds several sets.
    """
    found = _found(folder)
    if len(found) > 1:
        raise BadInput(f"{folder} holds {len(found)} sets ({', '.join(sorted(found))}): put one into its own folder.")
    (files,) = found.values()
    for name in PARTS:
        if _part(name) not in files:
            raise BadInput(f"{folder} holds IDX files, but neither {name} nor {name}.gz.")
    x_train, y_train, x_test, y_test = (read_idx(files[_part(name)]) for name in PARTS)
    return ImageData((x_train, y_train), (x_test, y_test))


def _found(folder: Path) -> dict[str, dict[Part, Path]]:
    """The files by set ("emnist-letters", mostly "") and part: those not gzipped, and not deeper, first."""
    found: dict[str, dict[Part, Path]] = {}
    here = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    inside = [below for each in here if NAME.fullmatch(each.name) and each.is_dir() for below in sorted(each.iterdir())]
    for path in here + inside:
        match = NAME.fullmatch(path.name)
        if match and ("idx" in path.name or "ubyte" in path.name or path.suffix == ".gz") and not path.is_dir():
            found.setdefault(match["set"] or "", {}).setdefault(_part(path.name), path)
    return found


def _part(name: str) -> Part:
    """The split and kind of a file.

    >>> _part("t10k-images.idx3-ubyte"), _part("emnist-letters-train-labels-idx1-ubyte.gz")
    (('test', 'images'), ('train', 'labels'))
    """
    match = NAME.fullmatch(name)
    assert match is not None  # by the callers
    return "train" if match["split"] == "train" else "test", match["kind"]


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zero bytes, type, rank, sizes as big-endian int32, data.

    Raises:
        BadInput: if the file is damaged or holds another type.
    """
    require_file(path)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            return _read(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None


def _read(file, path: Path) -> np.ndarray:
    """The array, reading no more than its header declares: a small packed file may unpack to gigabytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise BadInput(f"{path} is not an IDX file of unsigned bytes: it begins {magic.hex(' ') or 'nowhere'}.")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise BadInput(f"{path} is truncated: its header has {4 + 4 * magic[3]} bytes, the file {4 + len(sizes)}.")
    shape = [int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4)]
    values = math.prod(shape)
    require_room(values, path)
    content = file.read(values + 1)
    if len(content) != values:
        more = "more" if len(content) > values else len(content)
        raise BadInput(f"{path} does not hold what its header declares: {values} values expected, got {more}.")
    return np.frombuffer(content, np.uint8).reshape(shape)
