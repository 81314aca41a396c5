"""The first bytes of image files: their format, and the number of pixels that they claim. Nothing is decoded."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

JPEG, PNG, GIF, BMP, NONE = range(5)
"""Formats, as the numbers that `formats` returns; `NONE` stands for all others."""

_LENGTH = 34
_PNG = b"\x89PNG\r\n\x1a\n"


def formats(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the format of each file, int32 `[batch]`, and the pixels that its header claims, int64 `[batch]`.

    JPEG states its size somewhere inside the file: 0 is returned for it. BMP is `NONE` if compressed, because
    TensorFlow would read it as if it were not.

    Args:
        contents: The bytes of files, strings `[batch]`.

    Example:

    >>> import tensorflow as tf
    >>> found, pixels = formats(tf.constant([b"GIF89a" + bytes([2, 1, 3, 0]), b"text"]))
    >>> found.numpy().tolist(), pixels.numpy().tolist()
    ([2, 4], [774, 0])
    """
    start = tf.cast(tf.io.decode_raw(contents, tf.uint8, fixed_length=_LENGTH), tf.int64)

    def number(at: int, length: int, big: bool = False):
        digits = 256 ** np.arange(length, dtype=np.int64)
        return tf.reduce_sum(start[:, at : at + length] * (digits[::-1] if big else digits), axis=1)

    def side(at: int):  # of BMP, where a negative height stands for rows from the top
        return tf.minimum(number(at, 4), 2**32 - number(at, 4))

    def says(at: int, text: bytes):
        return tf.reduce_all(tf.equal(start[:, at : at + len(text)], np.frombuffer(text, np.uint8)), axis=1)

    plain = (number(14, 4) >= 40) & tf.equal(number(30, 4), 0)
    claims = [
        (JPEG, says(0, b"\xff\xd8\xff"), tf.zeros_like(start[:, 0])),
        (PNG, says(0, _PNG) & says(12, b"IHDR"), number(16, 4, big=True) * number(20, 4, big=True)),
        (GIF, says(0, b"GIF8"), number(6, 2) * number(8, 2)),
        (BMP, says(0, b"BM") & plain, side(18) * side(22)),
    ]
    found, pixels = tf.fill(tf.shape(contents), NONE), tf.zeros_like(start[:, 0])
    for each, holds, claimed in claims:
        found, pixels = tf.where(holds, each, found), tf.where(holds, claimed, pixels)
    return found, pixels
