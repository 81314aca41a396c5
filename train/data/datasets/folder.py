"""Files of images, decoded into memory: JPEG, PNG, BMP, the first frame of a GIF, WebP, TIFF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from ...process.errors import BadInput
from .images import ImageData, tell_narrow
from .layouts import Layout

FORMATS = {"JPEG", "MPO", "PNG", "BMP", "GIF", "WEBP", "TIFF"}
GREY_MODES = {"1", "L", "LA"}
HIGHEST = 65535  # of 16 bits
SHOWN = 5
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on bad files


def decoded(
    layout: Layout, image_size: int | None = None, skip_bad_images: bool = False, upright: bool = True
) -> ImageData:
    """Decode every image into memory: grey if all images are grey, else RGB.

    Args:
        layout: The files.
        image_size: Height and width to resize to, in pixels; none by default.
        skip_bad_images: Whether unreadable images are skipped instead of refused.
        upright: Whether the orientation that a camera noted (EXIF) is obeyed; not so in runs of earlier versions.

    Raises:
        BadInput: if an image is unreadable, a class has none that is readable, or sizes differ.
    """
    files = [path for split in layout.files.values() for paths in split for path in paths]
    pictures, bad = _decode(files, image_size, upright)
    report_bad(bad, skip_bad_images)
    require_readable(layout, bad)
    colour = any(picture.ndim == 3 for picture in pictures.values())
    _check_sizes(pictures)
    parts = {split: _stack(pictures, lists, colour) for split, lists in layout.files.items()}
    named = {
        split: [str(path) for paths in lists for path in paths if path in pictures]
        for split, lists in layout.files.items()
    }
    return ImageData.of_splits(parts, class_names=layout.classes, files=named)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image, and read only its header.

    Raises:
        One of `UNREADABLE`: if it cannot be read, or its content has another format, whatever its extension.
    """
    with Image.open(path) as image:
        if image.format not in FORMATS:
            raise ValueError(f"{image.format}, expected JPEG, PNG, BMP, GIF, WebP or TIFF")
        if image.mode == "F":
            raise ValueError("floating-point numbers, expected pixels of 8 or 16 bits")
        yield image


def pixels(
    path: Path, image_size: int | tuple[int, int] | None = None, upright: bool = True
) -> tuple[np.ndarray, int | None]:
    """One image as uint8, `[height, width]` if grey, else `[height, width, 3]`; and its highest value of 16 bits.

    Sixteen bits are scaled to eight. The second value is `None` for images of eight bits.

    Args:
        path: The file.
        image_size: Height and width to resize to, or one number for both; none by default.
        upright: See `decoded`.

    Raises:
        One of `UNREADABLE`: if it cannot be read.
    """
    highest = None
    with opened(path) as image:
        turned = ImageOps.exif_transpose(image) if upright else image
        if image.mode.startswith("I"):  # 16 bits, which PIL would clip to 255 instead of scaling
            values = np.asarray(turned, np.int64)
            highest = int(values.max())
            if upright and not 0 <= values.min() <= highest <= HIGHEST:
                raise ValueError(f"values {values.min()}..{highest}, expected 0..{HIGHEST}")
            picture = Image.fromarray((values.clip(0, HIGHEST) // 257).astype(np.uint8))
        else:
            picture = turned.convert("L" if image.mode in GREY_MODES else "RGB")
    if image_size:
        height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture), highest


def _decode(files: list[Path], image_size: int | None, upright: bool) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """`({path: picture}, {path: why it cannot be read})`, decoded on all cores."""

    def attempt(path: Path):
        try:
            return path, *pixels(path, image_size, upright), ""
        except UNREADABLE as error:
            return path, None, None, str(error) or type(error).__name__

    pictures, bad, highest = {}, {}, []
    with ThreadPoolExecutor() as pool:
        results = tqdm(pool.map(attempt, files), "reading images", len(files), unit="img", disable=None)
        for path, picture, high, why in results:
            if picture is None:
                bad[path] = why
            else:
                pictures[path] = picture
                highest += [high] * (high is not None)
    tell_narrow(highest)
    return pictures, bad


def report_bad(bad: dict[Path, str], skip: bool) -> None:
    """Refuse files that cannot be read, or print that they are skipped."""
    if not bad:
        return
    shown = "; ".join(f"{path}: {why}" for path, why in list(bad.items())[:SHOWN])
    summary = f"{len(bad)} unreadable image{'s' * (len(bad) > 1)} ({shown}{'; ...' * (len(bad) > SHOWN)})"
    if not skip:
        raise BadInput(f"{summary}. Fix or remove them, or pass --skip_bad_images.")
    print(f"skipped {summary}", file=sys.stderr)


def require_readable(layout: Layout, bad: dict[Path, str]) -> None:
    """Refuse a class of which no image of a split is readable."""
    for split, lists in layout.files.items():
        for name, paths in zip(layout.classes, lists, strict=True):
            if all(path in bad for path in paths):
                raise BadInput(f"{split}/{name} has no readable image.")


def _check_sizes(pictures: dict[Path, np.ndarray]) -> None:
    first: dict[tuple[int, ...], Path] = {}
    for path, picture in pictures.items():
        first.setdefault(picture.shape[:2], path)
    if len(first) > 1:
        examples = ", ".join(f"{path} is {h}x{w}" for (h, w), path in list(first.items())[:2])
        raise BadInput(
            f"images have {len(first)} sizes ({examples}); pass --image_size to resize them to one, or --crop=resized."
        )


def _stack(pictures: dict[Path, np.ndarray], files, colour: bool):
    """The images and labels of one split, in the order of classes and names."""
    found = [(pictures[path], label) for label, paths in enumerate(files) for path in paths if path in pictures]
    images = [np.stack([p] * 3, -1) if colour and p.ndim == 2 else p for p, _ in found]
    return np.stack(images), np.array([label for _, label in found])
