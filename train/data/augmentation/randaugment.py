"""RandAugment (Cubuk et al. 2019, arXiv:1909.13719): a few operations per image, drawn uniformly from fourteen.

The operations and their ranges are torchvision's, whose strongest magnitude is 30. Images are grouped by operation:
each operation is written for a batch, and runs only on the images that drew it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...process.backend import tf
from .draws import uniform

STRONGEST = 30
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601

Operation = Callable[[tf.Tensor, tf.Tensor, np.ndarray], tf.Tensor]


def randaugmented(images: tf.Tensor, keys: tf.Tensor, magnitude: float, layers: int, mean: np.ndarray) -> tf.Tensor:
    """Apply `layers` random operations to each image.

    Args:
        images: uint8 `[b, height, width, 1 or 3]`.
        keys: uint64 `[b]`.
        magnitude: Strength of every operation, 0 to 30; the paper's 9 of 10 for ResNet-50 is 27.
        layers: Operations per image; 2 in the paper for ResNet-50.
        mean: The mean of each channel; it fills the area that a warp uncovers.

    Returns:
        uint8 of the same shape.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> images = tf.ones([4, 8, 8, 3], tf.uint8)
    >>> randaugmented(images, keys(0, tf.range(4, dtype=tf.int64)), 9.0, 2, np.zeros(3)).shape.as_list()
    [4, 8, 8, 3]
    """
    for layer in range(layers):
        draws = uniform(keys, f"randaugment {layer}", 2)
        operation = tf.cast(draws[:, 0] * len(OPERATIONS), tf.int32)
        signs = tf.where(draws[:, 1] < 0.5, -1.0, 1.0)
        images = _each(images, operation, magnitude / STRONGEST * signs, mean)
    return images


def _each(images, operation, strengths, mean):
    """Apply to every image the operation that it drew."""
    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), operation, len(OPERATIONS))
    done = [
        apply(tf.gather(images, place), tf.gather(strengths, place), mean)
        for apply, place in zip(OPERATIONS, places, strict=True)
    ]
    return tf.ensure_shape(tf.dynamic_stitch(places, done), images.shape)


# Each operation takes uint8 images [b, height, width, channels], signed strengths [b] in [-1, 1], and the mean colour.
def identity(images, strengths, mean):
    """Return the images unchanged."""
    return images


def shear_x(images, strengths, mean):
    """Shear horizontally by up to 0.3, about the centre."""
    return _warped(images, mean, xy=0.3 * strengths)


def shear_y(images, strengths, mean):
    """Shear vertically by up to 0.3, about the centre."""
    return _warped(images, mean, yx=0.3 * strengths)


def translate_x(images, strengths, mean):
    """Translate by up to 150/331 of the width."""
    return _warped(images, mean, x=150 / 331 * images.shape[2] * strengths)


def translate_y(images, strengths, mean):
    """Translate by up to 150/331 of the height."""
    return _warped(images, mean, y=150 / 331 * images.shape[1] * strengths)


def rotate(images, strengths, mean):
    """Rotate by up to 30 degrees, about the centre."""
    angle = math.radians(30) * strengths
    return _warped(images, mean, xx=tf.cos(angle), xy=-tf.sin(angle), yx=tf.sin(angle), yy=tf.cos(angle))


def brightness(images, strengths, mean):
    """Move towards black, or away from it, by up to 0.9."""
    return _away_from(tf.zeros_like(images, tf.float32), images, strengths)


def color(images, strengths, mean):
    """Move towards grey, or away from it, by up to 0.9."""
    return _away_from(_grey(images), images, strengths)


def contrast(images, strengths, mean):
    """Move towards the mean grey of the image, or away from it, by up to 0.9."""
    return _away_from(tf.round(tf.reduce_mean(_grey(images), axis=[1, 2, 3], keepdims=True)), images, strengths)


def sharpness(images, strengths, mean):
    """Move towards the smoothed image, or away from it, by up to 0.9; the outermost pixels stay."""
    floats = tf.cast(images, tf.float32)
    rows = floats[:, :-2] + floats[:, 1:-1] + floats[:, 2:]
    box = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inner = floats[:, 1:-1, 1:-1]
    change = tf.round((box + 4 * inner) / 13) - inner  # PIL's SMOOTH: a 3x3 kernel of ones around a five
    return _away_from(floats + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]]), images, strengths)


def posterize(images, strengths, mean):
    """Keep only the highest bits, at least four."""
    dropped = tf.cast(tf.round(4 * tf.abs(strengths)), tf.uint8)[:, None, None, None]
    return tf.bitwise.left_shift(tf.bitwise.right_shift(images, dropped), dropped)


def solarize(images, strengths, mean):
    """Invert values at or above a threshold, which falls from 255 to 0."""
    threshold = (255 * (1 - tf.abs(strengths)))[:, None, None, None]
    return tf.where(tf.cast(images, tf.float32) >= threshold, 255 - images, images)


def auto_contrast(images, strengths, mean):
    """Stretch the values of each channel to 0..255."""
    floats = tf.cast(images, tf.float32)
    low, high = (reduce(floats, axis=[1, 2], keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, tf.cast((floats - low) * tf.math.divide_no_nan(255.0, high - low), tf.uint8), images)


def equalize(images, strengths, mean):
    """Equalise the histogram of each channel, as `PIL.ImageOps.equalize` does."""
    count, _, _, channels = tf.unstack(tf.shape(images))
    tables = tf.reshape(256 * tf.range(count * channels), [count, 1, 1, channels])
    places = tables + tf.cast(images, tf.int32)
    counts = tf.math.bincount(tf.reshape(places, [-1]), minlength=count * channels * 256)
    counts = tf.reshape(counts, [-1, 256])
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (tf.reduce_sum(counts, axis=1) - tf.gather(counts, last, batch_dims=1)) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    spread = (below + step[:, tf.newaxis] // 2) // tf.maximum(step, 1)[:, tf.newaxis]
    spread = tf.where(step[:, tf.newaxis] > 0, tf.minimum(spread, 255), tf.range(256))
    return tf.cast(tf.gather(tf.reshape(spread, [-1]), places), tf.uint8)


OPERATIONS: tuple[Operation, ...] = (
    identity,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
    rotate,
    brightness,
    color,
    contrast,
    sharpness,
    posterize,
    solarize,
    auto_contrast,
    equalize,
)


def _grey(images):
    """Grey values, float32 `[b, height, width, 1]`, rounded to integers."""
    floats = tf.cast(images, tf.float32)
    return floats if images.shape[-1] == 1 else tf.round(tf.reduce_sum(floats * LUMA, axis=-1, keepdims=True))


def _away_from(base, images, strengths):
    """`base + (1 + 0.9 strength) (images - base)`, clipped to 0..255."""
    factors = (1 + 0.9 * strengths)[:, None, None, None]
    return tf.cast(tf.clip_by_value(base + factors * (tf.cast(images, tf.float32) - base), 0, 255), tf.uint8)


def _warped(images, mean, xx=1.0, xy=0.0, x=0.0, yx=0.0, yy=1.0, y=0.0):
    """The value at `p` is the image's at `A (p - centre) + centre + (x, y)`, bilinear; outside it, the mean colour."""
    _, height, width, _ = images.shape
    zeros = tf.zeros([tf.shape(images)[0]])
    xx, xy, x, yx, yy, y = (zeros + value for value in (xx, xy, x, yx, yy, y))
    middle, centre = (width - 1) / 2, (height - 1) / 2
    rows = [xx, xy, x + middle - xx * middle - xy * centre, yx, yy, y + centre - yx * middle - yy * centre]
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32) - tf.cast(mean, tf.float32),
        transforms=tf.stack([*rows, zeros, zeros], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.cast(tf.clip_by_value(tf.round(warped + tf.cast(mean, tf.float32)), 0, 255), tf.uint8)
