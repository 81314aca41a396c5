"""Crops and mirrors of images in memory, all of one size; `datasets.decoding` crops encoded images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...process.backend import tf
from .draws import uniform
from .rectangles import rectangles

ASPECT = 4 / 3  # Szegedy et al. 2015, sec. 6
EDGE = 1e-6  # fraction of the image: a rounding error past its last pixel would be read as black

Crops = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def padded_crops(images: np.ndarray, pad: int, flip: bool, mean: np.ndarray, padding: str | None = None) -> Crops:
    """Random crops of the padded image, mirrored with probability 1/2 (He et al. 2015, sec. 4.2).

    Args:
        images: uint8 `[n, height, width, channels]`.
        pad: Pixels to pad on every side; 0 for no crop.
        flip: Whether to mirror.
        mean: The mean of each channel.
        padding: "reflect" pads with the reflection of the image, without its edge, as in the code of Zagoruyko and
            Komodakis 2016; "mean" or `None` (default) with the mean colour.

    Returns:
        `(index [b], keys [b]) -> uint8 [b, height, width, channels]`.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> crops = padded_crops(np.ones((5, 8, 8, 3), np.uint8), pad=2, flip=True, mean=np.zeros(3))
    >>> crops(tf.constant([3, 1]), keys(0, tf.constant([0, 1]))).shape.as_list()
    [2, 8, 8, 3]
    """
    _, height, width, _ = images.shape
    padded = tf.constant(_padded(images, pad, mean, padding))

    def crops(index, keys):
        draws = uniform(keys, "crop", 3)
        offsets = tf.cast(draws * (2 * pad + 1), tf.int32)
        rows = offsets[:, :1] + tf.range(height)
        columns = tf.range(width)
        if flip:
            columns = tf.where(draws[:, 2:] < 0.5, columns[::-1], columns)
        windows = tf.gather(tf.gather(padded, index), rows, axis=1, batch_dims=1)
        return tf.gather(windows, offsets[:, 1:2] + columns, axis=2, batch_dims=1)

    return crops


def resized_crops(images: np.ndarray, least_area: float, flip: bool) -> Crops:
    """Random crops of aspect 3/4 to 4/3, resized to the image's size and mirrored with probability 1/2.

    Szegedy et al. 2015, sec. 6, where the area is 8 % to 100 %; resizing is bilinear.

    Args:
        images: uint8 `[n, height, width, channels]`.
        least_area: The smallest area of a crop, as a fraction of the image's.
        flip: Whether to mirror.

    Returns:
        `(index [b], keys [b]) -> uint8 [b, height, width, channels]`.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> crops = resized_crops(np.full((5, 8, 8, 3), 7, np.uint8), least_area=0.08, flip=True)
    >>> np.unique(crops(tf.constant([3, 1]), keys(0, tf.constant([0, 1])))).tolist()
    [7]
    """
    _, height, width, _ = images.shape
    held = tf.constant(images)

    def crops(index, keys):
        top, left, rows, columns = rectangles(keys, "crop", height, width, (least_area, 1.0), ASPECT)
        first, last = left, left + columns - 1
        if flip:  # a box from right to left yields the mirror image
            turned = mirrored(keys)
            first, last = tf.where(turned, last, first), tf.where(turned, first, last)
        box = tf.cast(tf.stack([top, first, top + rows - 1, last], axis=-1), tf.float32)
        boxes = box / np.array([max(height - 1, 1), max(width - 1, 1)] * 2, np.float32)
        boxes = tf.clip_by_value(boxes, EDGE, 1 - EDGE)
        chosen = tf.gather(held, index)
        windows = tf.image.crop_and_resize(chosen, boxes, tf.range(tf.size(index)), (height, width))
        return tf.cast(tf.round(windows), tf.uint8)

    return crops


def mirrored(keys: tf.Tensor) -> tf.Tensor:
    """Whether each example is mirrored: bool of the keys' shape, true with probability 1/2."""
    return uniform(keys, "flip", 1)[..., 0] < 0.5


def _padded(images: np.ndarray, pad: int, mean: np.ndarray, padding: str | None) -> np.ndarray:
    """The images padded by `pad` pixels: reflected, or of the mean colour, which is zero after normalisation."""
    if padding == "reflect":
        return np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), "reflect")
    count, height, width, channels = images.shape
    padded = np.empty((count, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    padded[...] = np.round(mean)
    padded[:, pad : pad + height, pad : pad + width] = images
    return padded
