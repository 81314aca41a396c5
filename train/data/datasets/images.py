"""Images and labels in memory, and the checks before training."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...process.errors import BadInput

AT_ONCE = 1000  # images
SHOWN = 5  # classes, in a message


@dataclass(frozen=True)
class ImageData:
    """A classification set in memory.

    Args:
        train, test: `(images, labels)`: uint8 `[n, height, width, channels]` (or without channels, for grey) and
            integers `[n]`.
        class_names: One name for each class; `None` where the source has none.
        own_names: The source's own class names, even where the user gave others.
        files: The file of each image, by split; `None` where images are not files.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    class_names: Sequence[str] | None = None
    own_names: Sequence[str] | None = None
    files: Mapping[str, Sequence[str]] | None = None

    def file_of(self, split: str, number: int) -> str | None:
        """The file of an image; `None` where images have none."""
        return self.files[split][number] if self.files else None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self.train[0].shape[1:]

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """`(mean, variance)` of each channel over the training images, exact; from histograms, without a float copy."""
        images, _ = self.train
        channels, values = images.shape[-1], np.arange(256)
        counts = np.zeros((channels, 256))
        for start in range(0, len(images), AT_ONCE):
            pixels = images[start : start + AT_ONCE].reshape(-1, channels)
            counts += [np.bincount(pixels[:, c], minlength=256) for c in range(channels)]
        frequencies = counts / counts.sum(1, keepdims=True)
        mean = frequencies @ values
        return mean, frequencies @ values**2 - mean**2

    @property
    def train_count(self) -> int:
        """The number of training images."""
        return len(self.train[0])

    @property
    def test_count(self) -> int:
        """The number of test images."""
        return len(self.test[0])

    def sample(self, count: int) -> np.ndarray:
        """The first test images: uint8 `[count, height, width, channels]`."""
        return self.test[0][:count]

    def spread(self, count: int) -> np.ndarray:
        """Evenly spaced training images: uint8 `[count, height, width, channels]`, or all where there are fewer."""
        return self.train[0][:: max(self.train_count // count, 1)][:count]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all images and labels."""
        digest = hashlib.sha256()
        for images, labels in (self.train, self.test):
            digest.update(np.ascontiguousarray(images).data)
            digest.update(np.ascontiguousarray(labels).data)
        return digest.hexdigest()[:12]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names or ())


def require_file(path: Path, before: str = "") -> None:
    """Refuse a pipe, device or other thing that is there and no file: reading it might never end."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{before}{path} is not a regular file.")


def require_room(size: int, path: Path) -> None:
    """Refuse an array of `size` bytes that does not fit into the machine's memory."""
    if size > memory():
        raise BadInput(
            f"{path} declares {size / 1e9:,.1f} GB, more than this machine's memory, {memory() / 1e9:,.1f} GB."
        )


def memory(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the machine's memory in bytes, or its container's limit if that is lower.

    Args:
        cgroups: Where Linux keeps a container's limits.
    """
    limits = [cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"]  # version 2, version 1
    read = [path.read_text().strip() for path in limits if path.exists()]
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(int(limit) for limit in read if limit != "max")])


def checked(data: ImageData, class_names: Sequence[str] | None) -> ImageData:
    """The data in canonical form: channels last, labels `[n]`, named classes.

    Raises:
        BadInput: if images or labels have another type, shape or range.
    """
    train, test = (_canonical(split, name) for split, name in ((data.train, "train"), (data.test, "test")))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise BadInput(f"train images are {train[0].shape[1:]}, test images {test[0].shape[1:]}; expected one shape.")
    check_names(class_names, data.class_names)
    names = class_names or data.class_names or _numbers(train[1])
    for (_, labels), split in ((train, "train"), (test, "test")):
        _check_labels(labels, names, split)
    if len(names) < 2:
        raise BadInput(f"expected two or more classes; got only {names[0]!r}.")
    empty = [name for name, n in zip(names, np.bincount(train[1], minlength=len(names)), strict=True) if not n]
    if empty:
        shown = ", ".join(empty[:SHOWN]) + " ..." * (len(empty) > SHOWN)
        print(f"{len(empty)} of {len(names)} classes have no training image: {shown}", file=sys.stderr)
    return replace(data, train=train, test=test, class_names=list(names), own_names=data.class_names)


def check_names(given: Sequence[str] | None, own: Sequence[str] | None) -> None:
    """Check the names of the classes.

    Raises:
        BadInput: if a name is given twice, their number is wrong, or a name is not valid UTF-8.
    """
    if twice := [name for name, count in Counter(given or ()).items() if count > 1]:
        raise BadInput(f"--class_names must be distinct; got {twice[0]!r} more than once.")
    if given and own and len(given) != len(own):
        raise BadInput(f"--class_names must have {len(own)} names, one for each class; got {len(given)}.")
    for name in given or own or ():
        if name != name.encode(errors="replace").decode():  # exports require UTF-8, which names of folders need not be
            raise BadInput(f"the class name {name!r} is not valid UTF-8; pass other names with --class_names.")


def _numbers(labels: np.ndarray) -> list[str]:
    """The labels as names, up to the highest."""
    if labels.max() >= len(labels):
        raise BadInput(
            f"label {labels.max()} of split 'train' implies more classes than there are images, {len(labels)}."
        )
    return [str(i) for i in range(int(labels.max()) + 1)]


def _canonical(split, name: str):
    images, labels = (np.asarray(part) for part in split)
    first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or first:
        hint = " Channels come last: np.moveaxis(images, 1, -1)." * first
        if np.issubdtype(images.dtype, np.integer) and images.size and images.min() >= 0 and images.max() <= 255:
            hint += " The values fit: images.astype('uint8')." * (images.dtype != np.uint8)
        raise BadInput(
            f"{name} images must be uint8 [n, height, width] or [n, height, width, channels], 0..255; "
            f"got {images.dtype} {list(images.shape)}.{hint}"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if not len(images):
        raise BadInput(f"split '{name}' has no images.")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        hint = " For one-hot labels: labels.argmax(1)." * (labels.ndim == 2)
        raise BadInput(f"{name} labels must be integers [n]; got {labels.dtype} {list(labels.shape)}.{hint}")
    if len(labels) != len(images):
        raise BadInput(f"split '{name}' has {len(images)} images but {len(labels)} labels.")
    return images, labels.astype(np.int64)


def _check_labels(labels: np.ndarray, names: Sequence[str], split: str) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(outside):
        raise BadInput(
            f"label {labels[outside[0]]} at record {outside[0]} of split '{split}' is outside 0..{len(names) - 1} "
            f"({len(outside)} such labels); there are {len(names)} classes."
        )
