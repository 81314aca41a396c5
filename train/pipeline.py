"""Batches from images in memory: a function of (seed, step) alone, so that any step can be the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from train.datasets import ImageData

SALT = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB)  # a key near zero hardly shuffles small sets


@dataclass(frozen=True)
class Augmentation:
    """He et al.: a random crop of the image padded by `pad` pixels of the mean colour, mirrored half of the time.

    Args:
        pad: Pixels on every side; 0 for no crop.
        flip: Whether to mirror.
    """

    pad: int
    flip: bool


def training_batches(
    data: ImageData, batch_size: int, augmentation: Augmentation, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """An endless stream of augmented batches, from `first_step` on.

    Step `s` takes the examples at positions `s * batch_size ...` of an endless sequence in which every epoch is a
    permutation of its own; crops and mirrors are drawn from `(seed, s)`.

    Args:
        data: The images.
        batch_size: Images a step.
        augmentation: What is done to them.
        seed: Of order and augmentation.
        first_step: The first step to give; 0 by default.

    Returns:
        `(uint8 [batch, height, width, channels], int64 [batch])`.
    """
    images, labels = data.train
    count, height, width, _ = images.shape
    padded = tf.constant(_padded(images, augmentation.pad, data.statistics()[0]))
    labels = tf.constant(labels)

    def batch(step):
        index = _order(step, batch_size, count, seed)
        rows, columns = _windows(step, batch_size, height, width, augmentation, seed)
        crops = tf.gather(tf.gather(padded, index), rows, axis=1, batch_dims=1)
        return tf.gather(crops, columns, axis=2, batch_dims=1), tf.gather(labels, index)

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def test_batches(data: ImageData, batch_size: int) -> tf.data.Dataset:
    """Every test image once, in order: `(uint8 [<= batch, height, width, channels], int64 [<= batch])`."""
    return tf.data.Dataset.from_tensor_slices(data.test).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _padded(images: np.ndarray, pad: int, mean: np.ndarray) -> np.ndarray:
    """The images with `pad` pixels of the mean colour around: what zeros are after normalisation."""
    count, height, width, channels = images.shape
    padded = np.empty((count, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    padded[...] = np.round(mean)
    padded[:, pad : pad + height, pad : pad + width] = images
    return padded


def _order(step, batch_size: int, count: int, seed: int):
    """Indices of the step's examples."""
    positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch = positions // count
    seeds = tf.stack([tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)], axis=1)
    seeds = tf.bitwise.bitwise_xor(seeds, tf.constant(SALT, tf.int64))
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64), rounds=4
    )


def _windows(step, batch_size: int, height: int, width: int, augmentation: Augmentation, seed: int):
    """Row and column indices `[batch, height]`, `[batch, width]` into the padded images: crop and mirror in one."""
    draws = tf.random.stateless_uniform([3, batch_size, 1], [tf.constant(seed, tf.int64), step])
    offsets = tf.cast(draws[:2] * (2 * augmentation.pad + 1), tf.int32)
    columns = tf.range(width)
    if augmentation.flip:
        columns = tf.where(draws[2] < 0.5, columns[::-1], columns)
    return offsets[0] + tf.range(height), offsets[1] + columns
