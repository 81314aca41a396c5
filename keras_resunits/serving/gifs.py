"""The first frame of a GIF, without the others: TensorFlow would unpack all of them, whatever their number."""

from __future__ import annotations

import tensorflow as tf

MOST_BLOCKS = 2**14
"""The most blocks before the end of the first frame, some 4 MB; one of more is refused as too large."""

_START, _EXTENSION, _FRAME, _DONE, _BROKEN = range(5)
_LONGEST = 10  # bytes of the longest header


def first_frame(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Walk over the blocks of a GIF up to the end of the first frame.

    Args:
        contents: The bytes of a GIF, a scalar string.

    Returns:
        The bytes of a GIF of this frame alone, a scalar string; the number of pixels of the frame, int64; and whether
        there are too many blocks to look at. Without a whole frame, the bytes are those of no GIF.
    """
    data, length = tf.io.decode_raw(contents, tf.uint8), tf.strings.length(contents)

    def table(flags):  # bytes of a colour table
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def goes_on(place, state, frame, count):
        return (state < _DONE) & (place < length) & (count < MOST_BLOCKS)

    def step(place, state, frame, count):
        # A block has a header, then pieces, each behind its length; a length of 0 ends it.
        block = tf.cast(data[place : place + _LONGEST], tf.int32)
        block = tf.pad(block, [[0, _LONGEST - tf.size(block)]])
        starts, first = tf.equal(state, _START), block[0]
        kind = tf.where(tf.equal(first, 0x2C), _FRAME, tf.where(tf.equal(first, 0x21), _EXTENSION, _BROKEN))
        header = tf.where(tf.equal(kind, _FRAME), 11 + table(block[9]), 2)
        ended = tf.where(tf.equal(state, _FRAME), _DONE, _START)
        return (
            place + tf.where(starts, header, 1 + first),
            tf.where(starts, kind, tf.where(tf.equal(first, 0), ended, state)),
            tf.where(starts & tf.equal(kind, _FRAME), place, frame),
            count + 1,
        )

    begin = (13 + table(tf.cast(data[10], tf.int32)), _START, 0, 0)
    place, state, frame, count = tf.while_loop(goes_on, step, begin, parallel_iterations=1)
    sides = tf.cast(data[frame + 5 : frame + 9], tf.int64)
    pixels = (sides[0] + 256 * sides[1]) * (sides[2] + 256 * sides[3])
    whole = tf.equal(state, _DONE) & (place <= length)
    return tf.where(whole, tf.strings.substr(contents, 0, place) + ";", ""), pixels, count >= MOST_BLOCKS
