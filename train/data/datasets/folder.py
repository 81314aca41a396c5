"""A folder of images: train/<class>/* and test/<class>/*, JPEG or PNG."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ...process.errors import BadInput
from .images import ImageData

SUFFIXES = {".jpg", ".jpeg", ".png"}
FORMATS = {"JPEG", "MPO", "PNG"}
GREY_MODES = {"1", "L", "F", "LA"}
SHOWN = 5
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what PIL raises on bad files


def load_folder(root: Path, image_size: int | None = None, skip_bad_images: bool = False) -> ImageData:
    """Decode every image into memory: grey if all images are grey, else RGB.

    Args:
        root: The folder with `train/` and `test/`.
        image_size: Height and width to resize to, in pixels; none by default.
        skip_bad_images: Whether unreadable images are skipped instead of refused.

    Raises:
        BadInput: if a split or class is missing or empty, an image is unreadable, or sizes differ.
    """
    return decoded(*class_folders(root), image_size, skip_bad_images)


def decoded(
    classes: list[str], files: dict[str, list[list[Path]]], image_size: int | None, skip_bad_images: bool
) -> ImageData:
    """Decode the files that `class_folders` found; see `load_folder`."""
    pictures, bad = _decode([path for split in files.values() for paths in split for path in paths], image_size)
    report_bad(bad, skip_bad_images)
    colour = any(picture.ndim == 3 for picture in pictures.values())
    _check_sizes(pictures)
    train, test = (_stack(pictures, split, colour) for split in files.values())
    named = {
        name: [str(path) for paths in split for path in paths if path in pictures] for name, split in files.items()
    }
    return ImageData(train, test, classes, files=named)


def class_folders(root: Path) -> tuple[list[str], dict[str, list[list[Path]]]]:
    """`(classes, {split: [files of a class]})`; prints how many images in deeper folders are ignored.

    Raises:
        BadInput: if a split or class is missing or empty.
    """
    classes, tested = (_classes(root / split) for split in ("train", "test"))
    if tested != classes:
        raise BadInput(_class_difference(root, classes, tested))
    folders = [root / split / name for split in ("train", "test") for name in classes]
    deeper = {folder: _deeper(folder) for folder in folders}
    files = [_files(folder, deeper[folder]) for folder in folders]
    if passed := [path for paths in deeper.values() for path in paths]:
        counted = f"{len(passed)} image{'s' * (len(passed) > 1)}"
        print(f"ignored {counted} deeper than <class>/* ({passed[0]}{', ...' * (len(passed) > 1)})", file=sys.stderr)
    return classes, {"train": files[: len(classes)], "test": files[len(classes) :]}


def _classes(folder: Path) -> list[str]:
    wanted = f"expected a folder of images for each class: {folder}/<class>/*"
    if not folder.is_dir():
        raise BadInput(f"{folder} is missing; {wanted}.")
    classes = sorted(d.name for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    if len(classes) < 2:
        raise BadInput(
            f"{folder} has {f'one class ({classes[0]!r})' if classes else 'no class'}; {wanted}, two or more."
        )
    return classes


def _class_difference(root: Path, train: list[str], test: list[str]) -> str:
    missing, extra = sorted(set(train) - set(test)), sorted(set(test) - set(train))
    differences = [f"test lacks {', '.join(missing)}"] * bool(missing) + [f"train lacks {', '.join(extra)}"] * bool(
        extra
    )
    return f"{root}: train and test must have the same classes; {'; '.join(differences)}."


def _files(folder: Path, deeper: list[Path]) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if _names_an_image(path))
    if not files:
        where = f", but {len(deeper)} in folders below it ({deeper[0]})" if deeper else ""
        raise BadInput(
            f"{folder} has no images ({', '.join(sorted(SUFFIXES))}){where}; expected one or more in every class."
        )
    return files


def _deeper(folder: Path) -> list[Path]:
    """Images in folders below the folder of a class."""
    below = [path for path in folder.iterdir() if not (_names_an_image(path) or path.name[0] == ".") and path.is_dir()]
    return [path for each in sorted(below) for path in sorted(each.rglob("*")) if _names_an_image(path)]


def _names_an_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and not _is_special(path)


def _is_special(path: Path) -> bool:
    """Whether reading may never end: a FIFO, a socket or a device."""
    try:
        mode = path.stat().st_mode
    except OSError:  # reading reports it
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image, and read only its header.

    Raises:
        One of `UNREADABLE`: if it cannot be read, or its content has another format, whatever its extension.
    """
    with Image.open(path) as image:
        if image.format not in FORMATS:
            raise ValueError(f"{image.format}, expected JPEG or PNG")
        yield image


def _read(path: Path, image_size: int | None) -> np.ndarray:
    """One image as uint8, `[height, width]` if grey, else `[height, width, 3]`."""
    with opened(path) as image:
        if image.mode.startswith("I"):  # 16 bits, which PIL would clip to 255 instead of scaling
            picture = Image.fromarray((np.asarray(image, np.int64).clip(0, 65535) // 257).astype(np.uint8))
        else:
            picture = image.convert("L" if image.mode in GREY_MODES else "RGB")
    if image_size:
        picture = picture.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _decode(files: list[Path], image_size: int | None) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """`({path: picture}, {path: why it cannot be read})`, decoded on all cores."""

    def attempt(path: Path):
        try:
            return path, _read(path, image_size), ""
        except UNREADABLE as error:
            return path, None, str(error) or type(error).__name__

    pictures, bad = {}, {}
    with ThreadPoolExecutor() as pool:
        for path, picture, why in tqdm(
            pool.map(attempt, files), "reading images", len(files), unit="img", disable=None
        ):
            if picture is None:
                bad[path] = why
            else:
                pictures[path] = picture
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


def _check_sizes(pictures: dict[Path, np.ndarray]) -> None:
    first: dict[tuple[int, ...], Path] = {}
    for path, picture in pictures.items():
        first.setdefault(picture.shape[:2], path)
    if len(first) > 1:
        examples = ", ".join(f"{path} is {h}x{w}" for (h, w), path in list(first.items())[:2])
        raise BadInput(
            f"images have {len(first)} sizes ({examples}); pass --image_size to resize them to one, or --crop=resized."
        )


def _stack(pictures: dict[Path, np.ndarray], files: list[list[Path]], colour: bool):
    """The images and labels of one split, in the order of classes and names."""
    found = [(pictures[path], label) for label, paths in enumerate(files) for path in paths if path in pictures]
    for paths in files:
        if not any(path in pictures for path in paths):
            raise BadInput(f"{paths[0].parent} has no readable image.")
    images = [np.stack([p] * 3, -1) if colour and p.ndim == 2 else p for p, _ in found]
    return np.stack(images), np.array([label for _, label in found])
