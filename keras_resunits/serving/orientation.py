"""The orientation that a camera notes in a JPEG's EXIF data, and the image turned upright by it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_LENGTH = 2**16  # EXIF data fit into one segment, among the first
_TAG = 0x0112
_ENTRIES = 64  # a camera's first directory has about a dozen


def orientation(content: tf.Tensor) -> tf.Tensor:
    """Return the orientation that a JPEG states, int32, 1..8; 1, upright, if it states none or is no JPEG.

    Args:
        content: The bytes of a file, a scalar string.

    Source: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6.4; the numbers are those of TIFF 6.0.

    Example:

    >>> import tensorflow as tf
    >>> int(orientation(tf.constant(b"no JPEG")))
    1
    """
    # strings shorter than that are filled up with zeros
    head = tf.cast(tf.io.decode_raw([content], tf.uint8, fixed_length=_LENGTH)[0], tf.int32)

    def at(places):
        return tf.gather(head, tf.clip_by_value(places, 0, _LENGTH - 1))

    def says(place, text: bytes):
        return tf.reduce_all(
            tf.equal(at(place + np.arange(len(text), dtype=np.int32)), np.frombuffer(text, np.uint8).astype(np.int32))
        )

    def goes_on(place):
        other = ~(says(place, b"\xff\xe1") & says(place + 4, b"Exif\0\0"))
        segment = tf.equal(at(place), 255) & tf.not_equal(at(place + 1), 0xDA) & (at(place + 1) > 0xBF)
        return other & segment & (place < _LENGTH)

    def following(place):
        return (place + 2 + 256 * at(place + 2) + at(place + 3),)

    (place,) = tf.while_loop(goes_on, following, (tf.constant(2),))
    tiff = place + 10
    little = says(tiff, b"II")

    def number(places, length: int):
        digits = at(tf.expand_dims(places, -1) + np.arange(length, dtype=np.int32))
        powers = np.int32(256) ** np.arange(length, dtype=np.int32)
        return tf.reduce_sum(digits * tf.where(little, powers, powers[::-1]), axis=-1)

    directory = tiff + tf.clip_by_value(number(tiff + 4, 4), 0, _LENGTH)
    entries = directory + 2 + 12 * np.arange(_ENTRIES, dtype=np.int32)
    known = tf.range(_ENTRIES) < number(directory, 2)
    stated = tf.reduce_max(tf.where(known & tf.equal(number(entries, 2), _TAG), number(entries + 8, 2), 0))
    valid = says(0, b"\xff\xd8\xff") & says(place + 4, b"Exif\0\0") & (stated > 0) & (stated < 9)
    return tf.where(valid, stated, 1)


def upright(image: tf.Tensor, tag: tf.Tensor) -> tf.Tensor:
    """Turn and mirror an image `[height, width, channels]` by its orientation, as PIL's `exif_transpose` does.

    Args:
        image: The decoded image.
        tag: Its orientation, 1..8.
    """

    def where(condition, change):
        return tf.cond(condition, lambda: change(image), lambda: image)

    image = where(tag > 4, lambda image: tf.transpose(image, (1, 0, 2)))
    image = where((tag > 2) & (tag != 5) & (tag != 6), lambda image: image[::-1])
    return where((tag > 1) & (tag < 8) & (tag != 4) & (tag != 5), lambda image: image[:, ::-1])
