"""An .npz file with x_train, y_train, x_test and y_test, as `keras.datasets` stores them."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ...process.errors import BadInput
from .images import ImageData, require_file, require_room

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


ZIP, NPY = b"PK", b"\x93NUMPY"  # the first bytes of such files


def load_npz(path: Path) -> ImageData:
    """Read the four arrays.

    Raises:
        BadInput: if the file does not exist or is not an .npz file, or an array is missing or has pickled objects.
    """
    _require_npz(path)
    try:
        _require_sizes(path)
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise BadInput(f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'}.")
            x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is not a readable .npz file: {error}.") from None
    return ImageData((x_train, y_train), (x_test, y_test))


def _require_sizes(path: Path) -> None:
    """Refuse arrays that declare more than the file holds, or than fits in memory, before any memory is taken."""
    declared = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                size = math.prod(shape) * dtype.itemsize
                if member.tell() + size > info.file_size and not dtype.hasobject:
                    raise BadInput(f"{path}: {info.filename} declares {size:,} bytes and holds {info.file_size:,}.")
            declared += size
    require_room(declared, path)


def _require_npz(path: Path) -> None:
    """Check the first bytes, because NumPy would take other files for pickled objects."""
    require_file(path, "--dataset=")
    try:
        with open(path, "rb") as file:
            begins = file.read(len(NPY))
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"--dataset={path}: there is no such file.") from None
    if not begins.startswith(ZIP):
        what = "one array, an .npy file" if begins == NPY else "not a zip file of arrays"
        raise BadInput(f"{path} is not a readable .npz file: it is {what}; np.savez(path, x_train=...) writes one.")
