"""Random erasing (Zhong et al. 2017, arXiv:1708.04896, Algorithm 1)."""

from __future__ import annotations

import numpy as np

from ...process.backend import tf
from .draws import uniform
from .rectangles import rectangles

AREAS = (0.02, 0.4)  # sec. 4.2: s_l, s_h
ASPECT = 1 / 0.3  # r_1 = 0.3, r_2 = 1 / r_1


def erased(images: tf.Tensor, keys: tf.Tensor, probability: float, mean: np.ndarray) -> tf.Tensor:
    """Fill a rectangle of some images with the mean colour (the paper's RE-M).

    Args:
        images: uint8 `[b, height, width, channels]`.
        keys: uint64 `[b]`.
        probability: The probability that an image has an erased rectangle; 0.5 in the paper for CIFAR.
        mean: The mean of each channel.

    Returns:
        uint8 of the same shape.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> image = erased(tf.fill([1, 32, 32, 1], tf.constant(9, tf.uint8)), keys(0, tf.constant([0])), 1.0, np.zeros(1))
    >>> 0.01 < float(tf.reduce_mean(tf.cast(image == 0, tf.float32))) < 0.41
    True
    """
    _, height, width, _ = images.shape
    top, left, rows, columns = rectangles(keys, "erasing", height, width, AREAS, ASPECT)
    chosen = uniform(keys, "erase", 1) < probability
    inside = chosen & _between(tf.range(height), top, rows)  # [b, height]
    hole = inside[:, :, tf.newaxis] & _between(tf.range(width), left, columns)[:, tf.newaxis]
    return tf.where(hole[..., tf.newaxis], tf.constant(np.round(mean), images.dtype), images)


def _between(places, start, length):
    """Which places lie in `[start, start + length)`: bool `[b, places]`."""
    return (places >= start[:, tf.newaxis]) & (places < (start + length)[:, tf.newaxis])
