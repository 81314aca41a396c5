"""An .npz file of arrays: x_train, y_train, x_test, y_test as in `keras.datasets`, or under other common names."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ...process.errors import BadInput
from .images import ImageData, require_file, require_room
from .layouts import SPELLINGS

IMAGES = ("x", "images", "image", "imgs", "data")
LABELS = ("y", "labels", "label", "targets")

EXPECTED = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
ZIP, NPY = b"PK", b"\x93NUMPY"  # the first bytes of such files


def load_npz(path: Path, held: bool = False) -> ImageData:
    """Read the arrays of images and labels: of a training split, and of a test or validation split, or both.

    Args:
        path: The file.
        held: Whether a part of the training images is held out afterwards: then these alone do, and stand for the test
            split too.

    Raises:
        BadInput: if the file does not exist or is not an .npz file, or an array is missing or has pickled objects.
    """
    _require_npz(path)
    try:
        _require_sizes(path)
        with np.load(path, allow_pickle=False) as arrays:
            names = _names(path, list(arrays), held)
            parts = {split: (arrays[x], arrays[y]) for split, (x, y) in names.items()}
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is not a readable .npz file: {error}.") from None
    if names != EXPECTED:
        told = (f"{split} from {x} and {y}" for split, (x, y) in names.items())
        print(f"data: {', '.join(told)} of {path}", flush=True)
    return ImageData.of_splits({"test": parts["train"], **parts} if len(parts) == 1 else parts)


def _names(path: Path, given: list[str], held: bool) -> dict[str, tuple[str, str]]:
    """The arrays of images and of labels by split, however their names are spelled.

    >>> _names(Path("a.npz"), ["train_images", "train_labels", "val_images", "val_labels"], held=False)
    {'train': ('train_images', 'train_labels'), 'validation': ('val_images', 'val_labels')}
    """
    found: dict[str, list[str]] = {}
    for name in given:
        if (role := _role(name)) is not None:
            found.setdefault(role, []).append(name)
    for names in found.values():
        if len(names) > 1:
            raise BadInput(f"{path} has {names[0]} and {names[1]}: expected one of them.")
    splits = [s for s in ("train", "validation", "test") if f"x_{s}" in found or f"y_{s}" in found or s == "train"]
    if alone := len(splits) == 1 and not held:
        splits.append("test")
    missing = [name for split in splits for name in (f"x_{split}", f"y_{split}") if name not in found]
    if missing:
        way = ", or hold out training images by --validation=0.2" if alone and "x_train" in found else ""
        raise BadInput(f"{path} lacks {', '.join(missing)}; it has {', '.join(given) or 'nothing'}. Add them{way}.")
    return {split: (found[f"x_{split}"][0], found[f"y_{split}"][0]) for split in splits}


def _role(name: str) -> str | None:
    """What an array is, by its name: `x_train`, `y_validation`, ...; `None` for other arrays.

    >>> _role("train_images"), _role("Y_val"), _role("training_labels"), _role("mean")
    ('x_train', 'y_validation', 'y_train', None)
    """
    first, _, second = name.lower().partition("_")
    for split, kind in ((first, second), (second, first)):
        for letter, words in (("x", IMAGES), ("y", LABELS)):
            if split in SPELLINGS and kind in words:
                return f"{letter}_{SPELLINGS[split]}"
    return None


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
