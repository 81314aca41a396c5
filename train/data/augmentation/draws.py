"""Random numbers that depend on an example, not on its batch or shard.

TensorFlow's stateless operations take one seed for a whole tensor. Here a hash of (seed, position) gives every example
its own key, in one pass over a batch of any shape. So a shard draws the same numbers for its examples as the whole
batch would.
"""

from __future__ import annotations

import zlib

import numpy as np

from ...process.backend import tf

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, odd


def keys(seed: int, positions: tf.Tensor) -> tf.Tensor:
    """A key for each position of the endless sequence of examples; different positions have different keys.

    Args:
        seed: The run's seed.
        positions: int64 of any shape.

    Returns:
        uint64 of the same shape.

    Example:

    >>> first, both = keys(0, tf.constant([7], tf.int64)), keys(0, tf.constant([6, 7], tf.int64))
    >>> bool(first[0] == both[1])
    True
    """
    start = _mixed(tf.constant((seed * GAMMA + 1) % WORD, tf.uint64))
    return _mixed(start + tf.cast(positions, tf.uint64) * tf.constant(GAMMA, tf.uint64))


def uniform(keys: tf.Tensor, purpose: str, count: int) -> tf.Tensor:
    """`count` numbers in `[0, 1)` per key: SplitMix64 (Steele et al. 2014, Fig. 17), 24 bits of each word.

    Args:
        keys: uint64 of any shape, from `keys`.
        purpose: A name for the draws; different names draw different numbers, so augmentations are independent.
        count: How many numbers to draw per key.

    Returns:
        float32 `[*keys.shape, count]`.

    Example:

    >>> draws = uniform(keys(0, tf.range(1000, dtype=tf.int64)), "crop", 2)
    >>> draws.shape.as_list(), round(float(tf.reduce_mean(draws)), 1)
    ([1000, 2], 0.5)
    """
    offset = zlib.crc32(purpose.encode()) << 32
    counters = np.array([(offset + i * GAMMA) % WORD for i in range(1, count + 1)], np.uint64)
    words = _mixed(keys[..., tf.newaxis] + tf.constant(counters))
    return tf.cast(_shifted(words, 40), tf.float32) * 2.0**-24


def within(draws: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Scale numbers from `[0, 1)` to `[low, high)`."""
    return low + (high - low) * draws


def _mixed(words: tf.Tensor) -> tf.Tensor:
    """SplitMix64's finaliser, a permutation of the 64-bit words."""
    words = tf.bitwise.bitwise_xor(words, _shifted(words, 30)) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    words = tf.bitwise.bitwise_xor(words, _shifted(words, 27)) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return tf.bitwise.bitwise_xor(words, _shifted(words, 31))


def _shifted(words: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(words, tf.constant(bits, tf.uint64))
