"""The orientation that EXIF data of a JPEG or PNG note, and the image turned upright by it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_LENGTH = 2**16  # EXIF data fit into one segment of a JPEG, among the first; a PNG's chunk is small
_TAG = 0x0112
_ENTRIES = 64  # a camera's first directory has about a dozen


def orientation(content: tf.Tensor) -> tf.Tensor:
    """Return the orientation that a JPEG or PNG states, int32, 1..8; 1, upright, if it states none or is neither.

    A PNG states it before its pixels, in the chunk "eXIf".

    Args:
        content: The bytes of a file, a scalar string.

    Source: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6.4; PNG, third edition, sections 5.3 and 11.3.4.5. The numbers
    are those of TIFF 6.0.

    Example:

    >>> import tensorflow as tf
    >>> int(orientation(tf.constant(b"no image")))
    1
    """
    # strings shorter than that are filled up with zeros
    head = tf.cast(tf.io.decode_raw([content], tf.uint8, fixed_length=_LENGTH)[0], tf.int32)
    png = _says(head, 0, b"\x89PNG\r\n\x1a\n")
    tiff, found = tf.cond(png, lambda: _in_png(head), lambda: _in_jpeg(head))
    stated = _stated(head, tiff)
    valid = (png | _says(head, 0, b"\xff\xd8\xff")) & found & (stated > 0) & (stated < 9)
    return tf.where(valid, stated, 1)


def _at(head, places):
    return tf.gather(head, tf.clip_by_value(places, 0, _LENGTH - 1))


def _says(head, place, text: bytes):
    digits = np.frombuffer(text, np.uint8).astype(np.int32)
    return tf.reduce_all(tf.equal(_at(head, place + np.arange(len(text), dtype=np.int32)), digits))


def _in_jpeg(head):
    """Return where the EXIF data begin in a JPEG, and whether it has any."""

    def here(place):
        return _says(head, place, b"\xff\xe1") & _says(head, place + 4, b"Exif\0\0")

    def segment(place):
        marker = _at(head, place + 1)
        return tf.equal(_at(head, place), 255) & tf.not_equal(marker, 0xDA) & (marker > 0xBF)

    def following(place):
        return place + 2 + 256 * _at(head, place + 2) + _at(head, place + 3)

    return _search(2, here, segment, following, 10)


def _in_png(head):
    """Return where the EXIF data begin in a PNG, and whether it has any."""

    def here(place):
        return _says(head, place + 4, b"eXIf")

    def chunk(place):
        return (_at(head, place + 4) >= ord("A")) & ~_says(head, place + 4, b"IDAT")

    def following(place):  # behind the first 64 KB if the length, of four bytes, says so
        length = 2**16 * _at(head, place + 1) + 256 * _at(head, place + 2) + _at(head, place + 3)
        return place + 12 + tf.where(_at(head, place) > 0, _LENGTH, length)

    return _search(8, here, chunk, following, 8)


def _search(begin: int, here, part, following, header: int):
    """Go through the parts of a file; return where the data of the one looked for begin, and whether there is one."""
    goes_on = lambda place: ~here(place) & part(place) & (place < _LENGTH)  # noqa: E731
    (place,) = tf.while_loop(goes_on, lambda place: (following(place),), (tf.constant(begin),))
    return place + header, here(place) & (place < _LENGTH)


def _stated(head, tiff):
    """Return the number in the first directory of EXIF data, 0 if there is none."""
    little = _says(head, tiff, b"II")

    def number(places, length: int):
        digits = _at(head, tf.expand_dims(places, -1) + np.arange(length, dtype=np.int32))
        powers = np.int32(256) ** np.arange(length, dtype=np.int32)
        return tf.reduce_sum(digits * tf.where(little, powers, powers[::-1]), axis=-1)

    directory = tiff + tf.clip_by_value(number(tiff + 4, 4), 0, _LENGTH)
    entries = directory + 2 + 12 * np.arange(_ENTRIES, dtype=np.int32)
    known = tf.range(_ENTRIES) < number(directory, 2)
    return tf.reduce_max(tf.where(known & tf.equal(number(entries, 2), _TAG), number(entries + 8, 2), 0))


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
