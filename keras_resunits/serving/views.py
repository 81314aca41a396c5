"""What a network sees of a picture that has another size than its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

SHORTER_SIDE = 256
"""The shorter side of a picture from which a view of 224 is cut (He et al. 2015, sec. 3.4); others in proportion."""

KEPT = 224 / SHORTER_SIDE


def resized(image: Any, rows: Any, columns: Any) -> Any:
    """Resize bilinearly, with antialiasing where the image shrinks, like PIL and torchvision; uint8."""
    shrinks = (tf.shape(image)[0] > rows) | (tf.shape(image)[1] > columns)
    pixels = tf.cond(  # where the image only grows, both are equal, and the second takes half of the time
        shrinks,
        lambda: tf.image.resize(image, (rows, columns), antialias=True),
        lambda: tf.image.resize(image, (rows, columns)),
    )
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def central_window(height: Any, width: Any) -> tuple[Any, Any, Any, Any]:
    """Return `(top, left, rows, columns)` of the central square of 7/8 of the shorter side."""
    side = tf.cast(tf.round(KEPT * tf.cast(tf.minimum(height, width), tf.float32)), tf.int32)
    return (height - side) // 2, (width - side) // 2, side, side


def shortened(height: Any, width: Any, size: int) -> tuple[Any, Any]:
    """Return rows and columns of a picture whose shorter side is such that a view of `size` is cut from it."""
    scale = round(size / KEPT) / tf.minimum(height, width)
    rows, columns = (tf.cast(tf.round(tf.cast(side, tf.float64) * scale), tf.int32) for side in (height, width))
    return rows, columns


def stretch(image: Any, height: int, width: int) -> Any:
    """Resize the whole picture, whatever its proportions."""
    return resized(image, height, width)


def central(image: Any, height: int, width: int) -> Any:
    """Resize the central square of 7/8 of the shorter side."""
    shape = tf.shape(image)
    top, left, high, wide = central_window(shape[0], shape[1])
    return resized(image[top : top + high, left : left + wide], height, width)


def paper(image: Any, height: int, width: int) -> Any:
    """Resize the shorter side to 8/7 of the view, and cut the centre (He et al. 2015, sec. 3.4)."""
    shape = tf.shape(image)
    rows, columns = shortened(shape[0], shape[1], height)
    top, left = (rows - height) // 2, (columns - width) // 2
    return resized(image, rows, columns)[top : top + height, left : left + width]


VIEWS: Mapping[str, Callable[[Any, int, int], Any]] = {"stretch": stretch, "central": central, "paper": paper}
"""The views by name: functions of a picture, uint8 `[rows, columns, channels]`, and the height and width of images."""
