"""Files of pictures: which there are, and their pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_resunits_client.errors import ClientError, one_line

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
LARGEST = 1 << 27  # pixels; a header that claims more is not decoded
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Unreadable(Exception):
    """A file that is no picture, or cannot be read."""


def found(paths: Iterable[str | os.PathLike]) -> list[Path]:
    """The files, and for a folder the pictures in it and below, sorted; hidden ones are left out.

    Raises:
        ClientError: for a path that does not exist, or a folder without pictures.
    """
    return [file for path in paths for file in _below(Path(path))]


def _below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ClientError(f"{path}: there is no such file or folder")
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise ClientError(f"{path}: the folder holds no picture; expected files that end in {', '.join(SUFFIXES)}")
    return files


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Unreadable: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or one_line(error)) from error


def pixels(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A picture as uint8 `[height, width, channels]` of `shape`; resized with a triangle filter where it differs.

    It is turned upright by its orientation tag. A side of -1 stays as it is. Of an animation, the first frame is taken;
    of 16 bits, the upper eight.

    Raises:
        Unreadable: if Pillow cannot decode it, or its header claims more than 2**27 pixels.
    """
    from PIL import Image, ImageOps

    height, width, channels = shape
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > LARGEST:
                raise Unreadable(f"the header claims {picture.width} x {picture.height} pixels")
            picture = _of_eight_bits(ImageOps.exif_transpose(picture)).convert(MODES[channels])
            wanted = (picture.width if width == -1 else width, picture.height if height == -1 else height)
            if picture.size != wanted:
                picture = picture.resize(wanted, Image.Resampling.BILINEAR)
            return np.asarray(picture).reshape(*picture.size[::-1], channels)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Unreadable(one_line(error) or type(error).__name__) from error


def _of_eight_bits(picture):
    """A grey picture of 16 bits as one of eight, whose conversion would cut values at 255."""
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":
        values = np.asarray(picture)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise Unreadable("expected pixels of 8 or 16 bits; got 32")
        return Image.fromarray((values >> 8).astype("uint8"))
    if picture.mode == "F":
        raise Unreadable("expected pixels of 8 or 16 bits; got floats")
    return picture
