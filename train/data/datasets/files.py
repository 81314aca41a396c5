"""Files of images of any size, decoded when needed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from ...process.errors import BadInput
from ...process.machine import memory
from .encoded import DEFAULT_SIZE, MEMORY_SHARE, EncodedData, EncodedSplit, from_files, why_undecodable
from .folder import UNREADABLE, decoded, opened, pixels, report_bad, require_readable
from .images import ImageData, tell_narrow
from .layouts import Layout

LOOKED_AT = 64  # images of 16 bits
TAGGED = 0x0112  # EXIF's orientation
DIRECT = {"JPEG": {"L", "RGB"}, "MPO": {"L", "RGB"}, "PNG": {"1", "L", "LA", "P", "RGB", "RGBA"}}
"""The modes of PIL that TensorFlow decodes to the same pixels, by format."""


def load_files(
    layout: Layout, image_size: int | None, skip_bad_images: bool, protocol: str | None, exact: bool = True
) -> EncodedData | ImageData:
    """The images as files, decoded when needed.

    Images that all have one size and fit in memory are decoded into it once, unless another size or view is requested.

    Args:
        layout: The files.
        image_size: Height and width of the views; 224 by default.
        skip_bad_images: Whether unreadable images are skipped instead of refused; all images are decoded once to find
            them.
        protocol: The test view, one of `decoding.VIEWS`.
        exact: See `EncodedData`.

    Raises:
        BadInput: if a class has no image, or a file does not have the header of an image.
    """
    headers, bad = read_headers([path for split in layout.files.values() for paths in split for path in paths])
    if image_size is None and protocol is None and _fit(headers):
        return decoded(layout, None, skip_bad_images, exact)
    if skip_bad_images:
        bad |= _undecodable(headers)
    report_bad(bad, skip_bad_images)
    require_readable(layout, bad)
    if exact:
        _tell_narrow(headers)
    others = {path for path, header in headers.items() if not header.direct} if exact else set()
    parts = {split: _split(lists, bad, others) for split, lists in layout.files.items()}
    return EncodedData.of_splits(
        parts,
        class_names=layout.classes,
        size=image_size or DEFAULT_SIZE,
        test_protocol=protocol or "paper",
        exact=exact,
    )


class Header(NamedTuple):
    size: tuple[int, int]
    direct: bool
    """Whether TensorFlow decodes the file as PIL does."""
    deep: bool = False
    """Whether it has 16 bits of grey."""


def _fit(headers: dict[Path, Header]) -> bool:
    sizes = [header.size for header in headers.values()]
    return len(set(sizes)) == 1 and sum(3 * width * height for width, height in sizes) <= MEMORY_SHARE * memory()


def _tell_narrow(headers: Mapping[Path, Header]) -> None:
    """Look at some images of 16 bits, whether they use the range."""
    deep = [path for path, header in headers.items() if header.deep]
    highest = []
    for path in deep[:: max(len(deep) // LOOKED_AT, 1)]:
        with suppress(*UNREADABLE):  # which reading reports
            highest.append(pixels(path)[1] or 0)
    tell_narrow(highest)


def _split(files: Sequence[Sequence[Path]], bad, others: set[Path]) -> EncodedSplit:
    found = [(path, label) for label, paths in enumerate(files) for path in paths if path not in bad]
    return from_files([path for path, _ in found], [label for _, label in found], others, as_png)


def as_png(path: Path | str) -> bytes:
    """A file of any format that is read as a PNG file of the same pixels, upright and of eight bits.

    Raises:
        BadInput: if it cannot be read.
    """
    try:
        return converted(Path(path))
    except UNREADABLE as error:
        raise BadInput(f"{path} cannot be read: {error}. Remove it, or pass --skip_bad_images.") from error


def converted(path: Path) -> bytes:
    """As `as_png`, but it raises one of `UNREADABLE`."""
    file = io.BytesIO()
    Image.fromarray(pixels(path)[0]).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _orientation(image: Image.Image) -> int:
    """What a camera noted of an image's orientation, 1..8; a PNG file is not decoded to look behind its pixels."""
    unknown = image.format == "PNG" and "exif" not in image.info
    return 1 if unknown else image.getexif().get(TAGGED, 1)


def read_headers(files: list[Path]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """`({path: header}, {path: why it cannot be read})`, from only the files' first bytes."""

    def attempt(path: Path):
        try:
            with opened(path) as image:
                turned = _orientation(image)
                size = image.size[::-1] if turned > 4 else image.size
                direct = image.mode in DIRECT.get(image.format or "", ()) and (image.format != "PNG" or turned == 1)
                return path, Header(size, direct, image.mode.startswith("I")), ""
        except UNREADABLE as error:
            return path, None, str(error) or type(error).__name__

    headers, bad = {}, {}
    with ThreadPoolExecutor() as pool:
        results = pool.map(attempt, files)
        for path, header, why in tqdm(results, "reading headers", len(files), unit="img", disable=None):
            if header is None:
                bad[path] = why
            else:
                headers[path] = header
    return headers, bad


def _undecodable(headers: dict[Path, Header]) -> dict[Path, str]:
    """`{path: why}` for files with the header of an image that cannot be decoded as in training."""

    def why(path: Path) -> str:
        if headers[path].direct:
            return why_undecodable(path.read_bytes())
        try:
            pixels(path)
        except UNREADABLE as error:
            return str(error) or type(error).__name__
        return ""

    files = list(headers)
    with ThreadPoolExecutor() as pool:
        looked = tqdm(pool.map(why, files), "looking for bad images", len(files), unit="img", disable=None)
        return {path: why for path, why in zip(files, looked, strict=True) if why}
