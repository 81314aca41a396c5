"""What is odd about data that can be trained on: said, not refused."""

from __future__ import annotations

import numpy as np

from .datasets import EncodedData, ImageData

SHOWN = 5  # classes, in a message


def doubts(data: ImageData | EncodedData) -> list[str]:
    """A line for each oddity: classes without training images, and held-out images that are trained on.

    >>> images, labels = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1), np.array([1, 2, 1, 2])
    >>> for line in doubts(ImageData((images, labels), (images[3:], labels[3:]), ["a", "b", "c"])):
    ...     print(line)
    classes without a training image: 1 of 3 (a). Labels count from 0.
    test images that are training images too: 1 of 1. The accuracy on them is not that on new images.
    """
    labels = data.train_labels
    found = [] if labels is None else [_unused(labels, list(data.class_names or ()))]
    if isinstance(data, ImageData):
        known = set(_hashes(data.train[0]))
        found += [_shared(name, _hashes(data.of(name)[0]), known) for name in data.names[1:]]
    return [line for line in found if line]


def _unused(labels: np.ndarray, names: list[str]) -> str:
    counts = np.bincount(labels, minlength=len(names))
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return ""
    names = names or [str(number) for number in range(len(counts))]
    shown = ", ".join(names[number] for number in absent[:SHOWN]) + ", ..." * (len(absent) > SHOWN)
    return f"classes without a training image: {len(absent)} of {len(counts)} ({shown}). Labels count from 0."


def _hashes(images: np.ndarray) -> list[int]:
    return [hash(image.tobytes()) for image in images]


def _shared(split: str, held_out: list[int], known: set[int]) -> str:
    count = sum(each in known for each in held_out)
    if not count:
        return ""
    counted = f"{count:,} of {len(held_out):,}"
    return f"{split} images that are training images too: {counted}. The accuracy on them is not that on new images."
