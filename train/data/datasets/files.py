"""A folder of images of any size, decoded when needed: train/<class>/* and test/<class>/*, JPEG or PNG."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ...process.errors import BadInput
from .encoded import DEFAULT_SIZE, MEMORY_SHARE, EncodedData, EncodedSplit, from_files, why_undecodable
from .folder import UNREADABLE, class_folders, decoded, opened, report_bad
from .images import ImageData, memory


def load_files(
    root: Path, image_size: int | None, skip_bad_images: bool, protocol: str | None
) -> EncodedData | ImageData:
    """The folder's images as files, decoded when needed.

    Images that all have one size and fit in memory are decoded into it once, unless another size or view is requested.

    Args:
        root: The folder with `train/` and `test/`.
        image_size: Height and width of the views; 224 by default.
        skip_bad_images: Whether unreadable images are skipped instead of refused; all images are decoded once to find
            them.
        protocol: The test view, one of `decoding.VIEWS`.

    Raises:
        BadInput: if a split or class is missing or empty, or a file does not have the header of an image.
    """
    classes, files = class_folders(root)
    sizes, bad = _headers([path for split in files.values() for paths in split for path in paths])
    if image_size is None and protocol is None and _fit(sizes):
        return decoded(classes, files, None, skip_bad_images)
    if skip_bad_images:
        bad |= _undecodable(list(sizes))
    report_bad(bad, skip_bad_images)
    train, test = (_split(split, bad) for split in files.values())
    return EncodedData(train, test, classes, image_size or DEFAULT_SIZE, protocol or "paper")


def _fit(sizes: dict[Path, tuple[int, int]]) -> bool:
    one = len(set(sizes.values())) == 1
    return one and sum(3 * width * height for width, height in sizes.values()) <= MEMORY_SHARE * memory()


def _split(files: list[list[Path]], bad) -> EncodedSplit:
    found = [(path, label) for label, paths in enumerate(files) for path in paths if path not in bad]
    for paths in files:
        if all(path in bad for path in paths):
            raise BadInput(f"{paths[0].parent} has no readable image.")
    return from_files([path for path, _ in found], [label for _, label in found])


def _headers(files: list[Path]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """`({path: (width, height)}, {path: why it cannot be read})`, from only the files' first bytes."""

    def attempt(path: Path):
        try:
            with opened(path) as image:
                return path, image.size, ""
        except UNREADABLE as error:
            return path, None, str(error) or type(error).__name__

    sizes, bad = {}, {}
    with ThreadPoolExecutor() as pool:
        for path, size, why in tqdm(pool.map(attempt, files), "reading headers", len(files), unit="img", disable=None):
            if size is None:
                bad[path] = why
            else:
                sizes[path] = size
    return sizes, bad


def _undecodable(files: list[Path]) -> dict[Path, str]:
    """`{path: why}` for files with the header of an image that cannot be decoded as in training."""
    with ThreadPoolExecutor() as pool:
        reasons = pool.map(lambda path: why_undecodable(path.read_bytes()), files)
        looked = tqdm(reasons, "looking for bad images", len(files), unit="img", disable=None)
        return {path: why for path, why in zip(files, looked, strict=True) if why}
