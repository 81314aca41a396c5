"""Image files to images of the model's size: a bad file costs its own row only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_resunits.serving.gifs import first_frame
from keras_resunits.serving.headers import BMP, GIF, JPEG, NONE, PNG, formats
from keras_resunits.serving.orientation import orientation, upright
from keras_resunits.serving.views import stretch

MOST_PIXELS = 2**25
"""The most pixels of an image, 100 MB when decoded. A header that claims more is refused before it is decoded."""

LARGEST = 1e9
"""The largest value of a tensor. Sums of larger ones can overflow, and a merged ReLU makes 0 of NaN."""

OK, TOO_LARGE, NO_IMAGE, CORRUPT, NO_VALUE = range(5)
"""What `status` may be."""

ERRORS = (
    "",
    f"the image is too large: it has more than {MOST_PIXELS} pixels",
    "not an image: expected JPEG, PNG, GIF, or BMP without compression and palette",
    "the image is corrupt or truncated",
    "a value is NaN, infinite, or beyond 1e9",
)
"""What `error` says of each status."""

Columns = Sequence[tuple[tf.Tensor, object]]
"""A value for each row, and the one of the additional row."""

_AT_ONCE = 4  # images that are decoded in parallel, and so in memory
_GREYS = bytes(np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(-1, 4) * np.array([1, 1, 1, 0], np.uint8))


def images_of(
    contents: tf.Tensor, shape: tuple[int, int, int], view: Callable[[Any, int, int], Any] = stretch
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode and resize image files, as training and evaluation read them.

    Of an animation, the first frame is decoded; transparency is dropped; 16 bits become 8. Resizing is bilinear, with
    antialiasing where the image shrinks. JPEGs and PNGs are turned upright by their orientation tag.

    Args:
        contents: The bytes of JPEG, PNG, GIF or BMP files, strings `[batch]`.
        shape: Height, width and channels (1 or 3) of the images.
        view: What the images show of the pictures, one of `keras_resunits.serving.views.VIEWS`. Defaults to the whole.

    Returns:
        uint8 `[batch, *shape]`, 0 where there is no image; and the status, int32 `[batch]`.
    """
    found, pixels = formats(contents)
    known = tf.where(tf.equal(found, NONE), NO_IMAGE, tf.where(pixels > MOST_PIXELS, TOO_LARGE, OK))

    def image(content, status, kind):
        decode, refuse = (lambda: _decoded(content, kind, shape[-1])), (lambda: _refused(status, shape[-1]))
        status, picture = tf.cond(tf.equal(status, OK), decode, refuse)
        return status, tf.ensure_shape(view(picture, *shape[:2]), shape)

    return _rows(image, [(contents, ""), (known, NO_IMAGE), (found, NONE)], shape)


def contents_of(examples: tf.Tensor) -> tf.Tensor:
    """Return feature "image/encoded" of serialised `tf.Example`s, strings `[batch]`; empty where there is none."""

    def content(example):
        feature = tf.io.FixedLenFeature([], tf.string, default_value="")
        return tf.constant(OK), tf.io.parse_single_example(example, {"image/encoded": feature})["image/encoded"]

    return _rows(content, [(tf.ensure_shape(examples, [None]), "")], ())[0]


def _rows(function: Callable, columns: Columns, shape: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply `function(*row) -> (status, value)` to each row; one that raises an error gets 0 and `CORRUPT`.

    One data set a call does it: its rows that raise an error are left out, and the others are scattered. An additional
    row of cells that raise none keeps it from being empty.
    """
    count = tf.shape(columns[0][0])[0]
    tensors, cells = zip(*columns, strict=True)
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), *tensors))
    rows = rows.concatenate(tf.data.Dataset.from_tensors((count, *cells)))
    row = tf.autograph.experimental.do_not_convert(lambda number, *cells: (number, *function(*cells)))
    rows = rows.map(row, num_parallel_calls=_AT_ONCE, deterministic=False).ignore_errors()
    numbers, status, values = rows.batch(tf.cast(count, tf.int64) + 1).get_single_element()
    places = numbers[:, tf.newaxis]
    status = tf.tensor_scatter_nd_update(tf.fill([count + 1], CORRUPT), places, status)
    empty = tf.zeros([count + 1, *shape], values.dtype)
    values = tf.tensor_scatter_nd_update(empty, places, values)
    return tf.ensure_shape(values[:-1], (None, *shape)), status[:-1]


def _decoded(content, kind, channels: int):
    """Return status and pixels `[height, width, channels]`, of any size, for bytes of a known format."""
    decoders = {JPEG: _jpeg, PNG: _png, GIF: _gif, BMP: _bmp}
    return tf.switch_case(kind, {each: partial(decode, content, channels) for each, decode in decoders.items()})


def _refused(status, channels: int):
    return tf.cast(status, tf.int32), tf.zeros([1, 1, channels], tf.uint8)


def _unless(refuse, status: int, decode: Callable, channels: int):
    """Return the decoded image, or the status that refuses it."""
    return tf.cond(refuse, lambda: _refused(status, channels), lambda: (tf.constant(OK), decode()))


def _jpeg(content, channels: int):
    height, width, planes = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(content), tf.int64))

    def decode():
        tag = orientation(content)

        def direct(channels: int):
            return upright(tf.image.decode_jpeg(content, channels=channels, dct_method="INTEGER_ACCURATE"), tag)

        if channels == 3:
            return direct(channels=3)
        through_rgb = lambda: tf.image.rgb_to_grayscale(direct(channels=3))  # noqa: E731
        return tf.cond(tf.equal(planes, 4), through_rgb, lambda: direct(channels=1))  # CMYK has no direct way

    return _unless(height * width > MOST_PIXELS, TOO_LARGE, decode, channels)


def _png(content, channels: int):
    return tf.constant(OK), upright(tf.image.decode_png(content, channels), orientation(content))


def _gif(content, channels: int):
    frame, pixels, long = first_frame(content)
    decode = lambda: _of_channels(tf.image.decode_gif(frame)[0], channels)  # noqa: E731
    return _unless(long | (pixels > MOST_PIXELS), TOO_LARGE, decode, channels)


def _bmp(content, channels: int):
    bits = tf.io.decode_raw(tf.strings.substr(content, 28, 2), tf.uint16)[0]
    grey = tf.equal(tf.strings.substr(content, 54, 1024), _GREYS)
    decode = lambda: _of_channels(tf.image.decode_bmp(content), channels)  # noqa: E731
    return _unless(tf.not_equal(bits, 24) & tf.not_equal(bits, 32) & ~grey, NO_IMAGE, decode, channels)


def _of_channels(image, channels: int):
    """Return an image of 1, 3 or 4 channels with 1 or 3."""
    rgb = tf.cond(tf.equal(tf.shape(image)[-1], 1), lambda: tf.repeat(image, 3, axis=-1), lambda: image[..., :3])
    rgb = tf.ensure_shape(rgb, (None, None, 3))
    return rgb if channels == 3 else tf.image.rgb_to_grayscale(rgb)
