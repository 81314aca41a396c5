"""Random rectangles in an image, for crops and erasing."""

from __future__ import annotations

import math

from ...process.backend import tf
from .draws import uniform, within


def rectangles(keys, purpose: str, height, width, areas: tuple[float, float], aspect: float):
    """A rectangle for each key: its area uniform in `areas`, its aspect log-uniform in `[1 / aspect, aspect]`.

    The published samplers draw again until a rectangle fits. Here the aspect is limited to values that fit. So one draw
    is enough, and the area is always the drawn one, up to the rounding of the sides.

    Args:
        keys: uint64 `[...]`.
        purpose: The name of the draws; see `uniform`.
        height, width: The image's height and width, integers or int32 `[...]`.
        areas: Smallest and largest fraction of the image, in `(0, 1]`.
        aspect: The largest ratio of one side to the other.

    Returns:
        `(top, left, rows, columns)`, int32 `[...]`, rows and columns at least 1.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> top, left, rows, columns = rectangles(keys(0, tf.range(3, dtype=tf.int64)), "", 10, 20, (1.0, 1.0), 2.0)
    >>> top.numpy().tolist(), left.numpy().tolist(), rows.numpy().tolist(), columns.numpy().tolist()
    ([0, 0, 0], [0, 0, 0], [10, 10, 10], [20, 20, 20])
    """
    area, shape, down, right = tf.unstack(uniform(keys, purpose, 4), axis=-1)
    h, w = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    pixels = within(area, *areas) * h * w
    ratio = tf.exp(within(shape, -math.log(aspect), math.log(aspect)))
    rows = tf.clip_by_value(tf.sqrt(pixels * ratio), pixels / w, h)
    columns = _whole(pixels / rows, width)
    rows = _whole(rows, height)
    return _start(down, height - rows), _start(right, width - columns), rows, columns


def _whole(side, largest):
    return tf.clip_by_value(tf.cast(tf.round(side), tf.int32), 1, largest)


def _start(draw, room):
    """An integer in `[0, room]`."""
    return tf.minimum(tf.cast(draw * tf.cast(room + 1, tf.float32), tf.int32), room)
