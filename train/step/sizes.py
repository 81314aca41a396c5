"""Training on smaller images first, which takes less time (Howard 2018; Tan and Le 2021, sec. 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from ..process.backend import tf
from ..process.errors import BadInput

Size = tuple[int, int]


def planned_sizes(sides: Sequence[int] | None, image_shape: tuple[int, int, int]) -> tuple[Size | None, ...]:
    """The heights and widths of `--sizes`, of which each trains for an equal part of the run; `None` for the full size.

    Args:
        sides: The shorter sides of the images.
        image_shape: `(height, width, channels)` of the full size.

    Raises:
        BadInput: for a side that is larger than the images', or less than half of it, where bilinear resizing would
            pass pixels over.

    >>> planned_sizes([16, 24, 32], (32, 32, 3)), planned_sizes([12], (20, 24, 1)), planned_sizes(None, (8, 8, 1))
    (((16, 16), (24, 24), None), ((12, 14),), (None,))
    """
    height, width, _ = image_shape
    full = min(height, width)
    for side in sides or ():
        if not full / 2 <= side <= full:
            raise BadInput(
                f"--sizes must be from {-(-full // 2)} to {full} for images of {height}x{width}; got {side}."
            )
    found = [(round(height * side / full), round(width * side / full)) for side in sides or [full]]
    return tuple(None if size == (height, width) else size for size in found)


def require_sizes(model: keras.Model, sizes: Sequence[Size | None], channels: int) -> None:
    """Check that a network takes images of these sizes.

    Raises:
        BadInput: for a size that it does not take.
    """
    for size in filter(None, sizes):
        try:
            answered(model, tf.zeros((1, *size, channels)), training=False)
        except Exception as error:  # whatever a layer raises
            raise BadInput(f"--sizes: {model.name} does not take images of {size[0]}x{size[1]}.") from error


def resized(images: tf.Tensor, size: Size | None) -> tf.Tensor:
    """Images `[b, height, width, channels]` at a size, float32; as they are for `None`."""
    return tf.image.resize(images, size) if size else images


def answered(model: keras.Model, images: tf.Tensor, training: bool) -> tf.Tensor:
    """What a network answers to images of any size that its layers take.

    A Keras model refuses another size than that of its input. Its `call` does not.
    """
    same = tuple(images.shape[1:]) == tuple(model.input_shape[1:])
    return model(images, training=training) if same else model.call(images, training=training)
