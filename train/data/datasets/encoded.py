"""Encoded images, JPEG or PNG, of any size and number, decoded when needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...process.backend import tf
from ...process.errors import BadInput
from ...process.machine import memory
from .decoding import test_view
from .images import Splits

DEFAULT_SIZE = 224
MEMORY_SHARE = 1 / 4  # of the machine's memory, for file contents
SHOWN = 5
SAMPLED = 1024  # images for the statistics and the digest


@dataclass(frozen=True)
class EncodedSplit:
    """Encoded images that are read by index.

    Args:
        count: The number of images.
        read: `index -> (contents, label)`, scalars: int64 to string and int64.
        name: `index -> str`, the name of an image in messages.
        labels: The label of each image, where they are known without reading it.
    """

    count: int
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    name: Callable[[int], str]
    labels: np.ndarray | None = None

    def part(self, numbers: np.ndarray) -> EncodedSplit:
        """Some of the images."""
        places = tf.constant(numbers, tf.int64)
        labels = None if self.labels is None else self.labels[numbers]
        return EncodedSplit(
            len(numbers), lambda i: self.read(places[i]), lambda at: self.name(int(numbers[at])), labels
        )


@dataclass(frozen=True)
class EncodedData(Splits):
    """A classification set of encoded images.

    Args:
        train, test: Its splits.
        class_names: One name for each class.
        size: Height and width of the views that the network sees.
        test_protocol: The test view: see `decoding.test_view`.
        own_names: The source's own class names, even where the user gave others.
        validation, tested: See `Splits`.
        exact: Whether JPEGs are decoded as PIL does, and upright; not so in runs of earlier versions.
    """

    train: EncodedSplit
    test: EncodedSplit
    class_names: Sequence[str]
    size: int
    test_protocol: str = "paper"
    own_names: Sequence[str] | None = None
    validation: EncodedSplit | None = None
    tested: str = "test"
    exact: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of a view."""
        return (self.size, self.size, 3)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def train_count(self) -> int:
        """The number of training images."""
        return self.train.count

    @property
    def train_labels(self) -> np.ndarray | None:
        """The labels of the training images, int64 `[n]`; `None` where only reading an image tells its own."""
        return self.train.labels

    @property
    def validation_count(self) -> int:
        """The number of validation images beside the test images."""
        return self.validation.count if self.validation else 0

    @property
    def test_count(self) -> int:
        """The number of test images."""
        return self.test.count

    def file_of(self, split: str, number: int) -> str | None:
        """The name of an image."""
        return self.of(split).name(number)

    def sample(self, count: int) -> np.ndarray:
        """The first test images: uint8 `[count, size, size, 3]`."""
        return self._views(self.test, range(min(count, self.test.count)))

    def spread(self, count: int) -> np.ndarray:
        """Centres of evenly spaced training images: uint8 `[count, size, size, 3]`, or all where there are fewer."""
        step = max(self.train.count // count, 1)
        return self._views(self.train, range(0, self.train.count, step)[:count])

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of 1,024 to 2,047 evenly spaced images and labels of each split."""
        digest = hashlib.sha256()
        for split in filter(None, (self.train, self.test, self.validation)):
            for number in range(0, split.count, max(split.count // SAMPLED, 1)):
                contents, label = split.read(tf.constant(number, tf.int64))
                digest.update(contents.numpy() + label.numpy().tobytes())
        return digest.hexdigest()[:12]

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """`(mean, variance)` of each channel over the centres of 1,024 to 2,047 evenly spaced training images."""
        return self._statistics

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        step = max(self.train.count // SAMPLED, 1)
        total, squares, pixels = np.zeros(3), np.zeros(3), 0
        for number in range(0, self.train.count, step):
            view = self._views(self.train, [number]).astype(np.float64).reshape(-1, 3)
            total, squares, pixels = total + view.sum(0), squares + (view**2).sum(0), pixels + len(view)
        mean = total / pixels
        return mean, squares / pixels - mean**2

    def _views(self, split: EncodedSplit, numbers: Sequence[int]) -> np.ndarray:
        return np.stack([self._view(split, tf.constant(number, tf.int64)).numpy() for number in numbers])

    def _view(self, split, number):
        return test_view(split.read(number)[0], self.size, "central", self.exact)


def from_files(
    paths: Sequence[Path],
    labels: Sequence[int],
    others: Collection[Path] = (),
    convert: Callable[[str], bytes] | None = None,
) -> EncodedSplit:
    """Files by index; their contents are kept in memory if a quarter of it is enough.

    Args:
        paths: The files.
        labels: One label per file.
        others: Those that are no plain JPEG or PNG.
        convert: Gives the content of a PNG file for the path of one of `others`.
    """
    names, numbers = tf.constant([os.fsencode(path) for path in paths]), tf.constant(labels, tf.int64)

    def split(contents: Callable[[tf.Tensor], tf.Tensor]) -> EncodedSplit:
        return EncodedSplit(  # AutoGraph warns of two lambdas in a statement that have the same arguments
            len(paths), lambda i: (contents(i), numbers[i]), lambda at: str(paths[at]), np.array(labels, np.int64)
        )

    if sum(path.stat().st_size for path in paths) <= MEMORY_SHARE * memory():
        read = [convert(str(path)) if convert and path in others else path.read_bytes() for path in paths]
        kept = tf.constant(read)
        return split(lambda i: kept[i])
    if not others or convert is None:
        return split(lambda i: tf.io.read_file(names[i]))
    is_other = tf.constant([path in others for path in paths])

    def converted(name):
        png = tf.numpy_function(lambda name: convert(os.fsdecode(name)), [name], tf.string, stateful=False)
        return tf.ensure_shape(png, [])

    return split(lambda i: tf.cond(is_other[i], lambda: converted(names[i]), lambda: tf.io.read_file(names[i])))


@contextmanager
def bad_images_named(data) -> Iterator[None]:
    """If the block fails at an image that cannot be decoded or has no class, name all such images.

    Headers are checked before training. Finding every bad image requires decoding all of them, which would be too much
    work for a million images. So this happens only once one bad image is met.

    Args:
        data: The data; only `EncodedData` is searched.

    Raises:
        BadInput: with the first bad images, and the reasons.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError:
        bad = _unfit(data) if isinstance(data, EncodedData) else []
        if not bad:
            raise
        first = f" (the first {SHOWN})" if len(bad) == SHOWN else ""
        way_out = "Fix or remove them, or (folders) pass --skip_bad_images."
        raise BadInput(f"images that cannot be used{first}: {'; '.join(bad)}. {way_out}") from None


def _unfit(data: EncodedData) -> list[str]:
    """Up to `SHOWN` bad images, with the reasons."""
    splits = filter(None, (data.train, data.validation, data.test))
    numbers = [(split, number) for split in splits for number in range(split.count)]
    with ThreadPoolExecutor() as pool:
        reasons = tqdm(
            pool.map(partial(_reason, data.classes), *zip(*numbers, strict=True)),
            "looking for bad images",
            len(numbers),
            disable=None,
        )
        found = list(islice(filter(None, reasons), SHOWN))
        pool.shutdown(cancel_futures=True)
    return found


def _reason(classes: int, split: EncodedSplit, number: int) -> str:
    """The image and why it cannot be used; empty if it can."""
    try:
        contents, label = split.read(tf.constant(number, tf.int64))
    except (ValueError, tf.errors.InvalidArgumentError):  # raised eagerly, and in a graph
        return f"{split.name(number)}: its data do not match their checksum"
    known = 0 <= int(label) < classes
    why = why_undecodable(contents) if known else f"label {int(label)}, expected 0..{classes - 1}"
    return f"{split.name(number)}: {why}" if why else ""


def why_undecodable(contents: tf.Tensor | bytes) -> str:
    """Why an image cannot be decoded; empty if it can."""
    try:
        tf.io.decode_image(contents, channels=3, expand_animations=False)
    except tf.errors.OpError as error:
        return error.message.split("}} ")[-1].split(" [Op:")[0].rstrip(".")
    return ""
