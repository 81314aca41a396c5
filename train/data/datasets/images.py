"""Images and labels in memory, and the checks before training."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...process.errors import BadInput
from ...process.machine import memory

AT_ONCE = 1000  # images


class Splits:
    """The splits of a classification set: `train`, `test`, and where there is one `validation`.

    `tested` is what the split `test` is: where the only one held out is a validation split, it is called "validation".
    """

    train: Any
    test: Any
    validation: Any
    tested: str

    @classmethod
    def of_splits(cls, parts: Mapping[str, Any], **options: Any) -> Self:
        """The data of splits by their names: "train", and one of "validation" and "test", or both."""
        tested = "test" if "test" in parts else "validation"
        more = {"validation": parts.get("validation")} if tested == "test" else {}
        options |= {"train": parts["train"], "test": parts[tested], "tested": tested}
        return cls(**more, **options)

    @property
    def watched(self) -> str:
        """The split that is looked at after each epoch: the validation split, if there is one."""
        return self.tested if self.validation is None else "validation"

    @property
    def selects(self) -> bool:
        """Whether there is a validation split, by which the best state may be chosen."""
        return self.watched == "validation"

    @property
    def names(self) -> list[str]:
        """The names of the splits."""
        return ["train", *dict.fromkeys((self.watched, self.tested))]

    def of(self, name: str) -> Any:
        """The split with this name.

        Raises:
            BadInput: if there is none.
        """
        if name not in self.names:
            raise BadInput(f"the data have no {name} split; they have {', '.join(self.names)}.")
        return self.test if name == self.tested else getattr(self, name)

    def testing_on(self, name: str) -> Self:
        """The data with this split in the place of `test`."""
        return replace(self, test=self.of(name))  # type: ignore[type-var]


@dataclass(frozen=True)
class ImageData(Splits):
    """A classification set in memory.

    Args:
        train, test: `(images, labels)`: uint8 `[n, height, width, channels]` (or without channels, for grey) and
            integers `[n]`.
        class_names: One name for each class; `None` where the source has none.
        own_names: The source's own class names, even where the user gave others.
        files: The file of each image, by split; `None` where images are not files.
        validation, tested: See `Splits`.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    class_names: Sequence[str] | None = None
    own_names: Sequence[str] | None = None
    files: Mapping[str, Sequence[str]] | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
    tested: str = "test"

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
    def train_labels(self) -> np.ndarray:
        """The labels of the training images, int64 `[n]`."""
        return self.train[1]

    @property
    def validation_count(self) -> int:
        """The number of validation images beside the test images."""
        return len(self.validation[0]) if self.validation else 0

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
        for images, labels in filter(None, (self.train, self.test, self.validation)):
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


def checked(data: ImageData, class_names: Sequence[str] | None) -> ImageData:
    """The data in canonical form: channels last, labels `[n]`, named classes.

    Raises:
        BadInput: if images or labels have another type, shape or range.
    """
    parts = {name: _canonical(data.of(name), name) for name in data.names}
    train, test = parts["train"], parts[data.tested]
    for name, (images, _) in parts.items():
        if images.shape[1:] != train[0].shape[1:]:
            raise BadInput(
                f"train images are {train[0].shape[1:]}, {name} images {images.shape[1:]}; expected one shape."
            )
    check_names(class_names, data.class_names)
    names = class_names or data.class_names or _numbers(train[1])
    for split, (_, labels) in parts.items():
        _check_labels(labels, names, split)
    if len(names) < 2:
        raise BadInput(f"expected two or more classes; got only {names[0]!r}.")
    validation = None if data.validation is None else parts["validation"]
    return replace(
        data, train=train, test=test, validation=validation, class_names=list(names), own_names=data.class_names
    )


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
            raise BadInput(
                f"the class name {name!r} is not valid UTF-8; pass other names with --class_names (of folders: rename)."
            )


def _numbers(labels: np.ndarray) -> list[str]:
    """The labels as names, up to the highest."""
    if labels.max() >= len(labels):
        raise BadInput(
            f"label {labels.max()} of split 'train' implies more classes than there are images, {len(labels)}."
        )
    return [str(i) for i in range(int(labels.max()) + 1)]


def _canonical(split, name: str):
    images, labels = (np.asarray(part) for part in split)
    images = _of_eight_bits(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or _channels_first(images):
        raise BadInput(
            f"{name} images must be uint8 [n, height, width] or [n, height, width, channels], 0..255; "
            f"got {images.dtype} {list(images.shape)}.{way_out(images)}"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if not len(images):
        raise BadInput(f"split '{name}' has no images.")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(
            f"{name} labels must be integers [n]; got {labels.dtype} {list(labels.shape)}.{_way_out_of(labels)}"
        )
    if len(labels) != len(images):
        raise BadInput(f"split '{name}' has {len(images)} images but {len(labels)} labels.")
    return images, labels.astype(np.int64)


def _channels_first(images: np.ndarray) -> bool:
    """Whether the second of four axes looks like the channels."""
    return images.ndim == 4 and images.shape[1] <= 4 < images.shape[3] and images.shape[1] < images.shape[2]


def _of_eight_bits(images: np.ndarray) -> np.ndarray:
    """Unsigned integers of 16 bits scaled to 8; all other types, and numbers that fit into 8 bits, as they are."""
    if images.dtype != np.uint16 or not images.size or (highest := int(images.max())) <= 255:
        return images
    tell_narrow([highest])
    return (images // 257).astype(np.uint8)


def tell_narrow(highest: Sequence[int]) -> None:
    """Warn if no image of 16 bits uses more than an eighth of the range, as 12 bits in a file of 16 do.

    Args:
        highest: The highest value of each image.

    Raises:
        BadInput: if all have 8 bits, of which scaling would leave nothing.
    """
    if highest and max(highest) <= 255:
        raise BadInput(
            f"the images of 16 bits only use 0..{max(highest)} of 0..65535, so that scaled to 8 bits they would be "
            "black. Save them with 8 bits."
        )
    if highest and max(highest) < 2**13:
        print(
            f"the images of 16 bits only use 0..{max(highest)} of 0..65535: scaled to 8 bits they are nearly black, "
            f"0..{max(highest) // 257}. Multiply their values first.",
            file=sys.stderr,
        )


def way_out(images: np.ndarray) -> str:
    """How to make images of these; empty if there is no simple way."""
    kind, size = images.dtype.kind, images.size
    hint = ""
    if _channels_first(images):
        hint = " Are these channels first? Channels come last: np.moveaxis(images, 1, -1)."
    if kind == "b":
        hint += " For true and false: images.astype('uint8') * 255."
    elif kind == "f" and size and images.min() >= 0 and images.max() <= 1:
        hint += " For numbers 0..1: (images * 255).round().astype('uint8')."
    elif kind in "iuf" and images.dtype != np.uint8 and size and images.min() >= 0 and images.max() <= 255:
        hint += f" The values fit: images{'.round()' * (kind == 'f')}.astype('uint8')."
    return hint


def _way_out_of(labels: np.ndarray) -> str:
    """How to make labels of these; empty if there is no simple way."""
    if labels.ndim == 2:
        return " For one-hot labels: labels.argmax(1)."
    if labels.dtype.kind in "US":
        return " For names: names, labels = np.unique(labels, return_inverse=True), and --class_names for the names."
    whole = labels.dtype.kind in "fb" and labels.ndim == 1 and bool((labels == np.round(labels)).all())
    return " The values are whole: labels.astype('int64')." if whole else ""


def _check_labels(labels: np.ndarray, names: Sequence[str], split: str) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(outside):
        raise BadInput(
            f"label {labels[outside[0]]} at record {outside[0]} of split '{split}' is outside 0..{len(names) - 1} "
            f"({len(outside)} such labels); there are {len(names)} classes."
        )
