"""Part of an encoded image as pixels: JPEGs are decoded there alone."""

from __future__ import annotations

from ...process.backend import tf
from ..augmentation import Augmentation
from ..augmentation.crops import ASPECT, mirrored
from ..augmentation.rectangles import rectangles

VIEWS = ("paper", "central", "ten_crop")
SHORTER_SIDE = 256  # He et al. 2015, sec. 3.4; for crops of 224, and in proportion for others
KEPT = 224 / 256


def random_crop(contents, key, size: int, augmentation: Augmentation):
    """A training view: `augmentation`'s resized crop, decoded alone, resized, mirrored half of the time.

    Args:
        contents: A string, JPEG or PNG.
        key: uint64, a scalar.
        size: Height and width of the view.
        augmentation: Its `crop_area` and `flip`.

    Returns:
        uint8 `[size, size, 3]`.
    """
    height, width = image_size(contents)
    window = rectangles(key, "crop", height, width, (augmentation.crop_area, 1.0), ASPECT)
    view = resized(decoded(contents, window), size, size)
    return tf.where(mirrored(key), view[:, ::-1], view) if augmentation.flip else view


def test_view(contents, size: int, protocol: str):
    """A view to test on.

    `"paper"` (He et al. 2015, sec. 3.4): the shorter side resized to 256, then the central 224 x 224. `"ten_crop"`
    (Krizhevsky et al. 2012): of the same, the four corners, the centre, and their mirrors. `"central"`, the modern
    one: the central square of 7/8 of the shorter side, decoded alone and resized once. Other sizes are in proportion.

    Args:
        contents: A string, JPEG or PNG.
        size: Height and width of the view.
        protocol: One of `VIEWS`.

    Returns:
        uint8 `[size, size, 3]`, or `[10, size, size, 3]` for `"ten_crop"`.
    """
    height, width = image_size(contents)
    if protocol == "central":
        side = tf.cast(tf.round(KEPT * tf.cast(tf.minimum(height, width), tf.float32)), tf.int32)
        return resized(decoded(contents, ((height - side) // 2, (width - side) // 2, side, side)), size, size)
    shorter = round(size / KEPT)
    scale = shorter / tf.minimum(height, width)
    rows, columns = (tf.cast(tf.round(tf.cast(side, tf.float64) * scale), tf.int32) for side in (height, width))
    whole = resized(decoded(contents, (0, 0, height, width)), rows, columns)
    bottom, right = rows - size, columns - size
    if protocol == "paper":
        return _cut(whole, bottom // 2, right // 2, size)
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    crops = tf.stack([_cut(whole, top, left, size) for top, left in corners])
    return tf.concat([crops, crops[:, :, ::-1]], axis=0)


test_view.__test__ = False  # type: ignore[attr-defined]  # pytest: it is no test


def image_size(contents):
    """`(height, width)`, int32, from a JPEG's header; another image is decoded."""
    shape = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.image.extract_jpeg_shape(contents),
        lambda: tf.shape(_whole(contents)),
    )
    return shape[0], shape[1]


def decoded(contents, window):
    """The window `(top, left, rows, columns)` of the decoded image, uint8 `[rows, columns, 3]`.

    A column more on each side is decoded: at the edge of what it decodes, libjpeg has no neighbour to interpolate the
    chroma from. So the pixels are those of the whole image, to the bit.
    """
    top, left, rows, columns = window
    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _jpeg_window(contents, top, left, rows, columns),
        lambda: _whole(contents)[top : top + rows, left : left + columns],
    )


def resized(image, rows, columns):
    """Bilinear, smoothed where it shrinks, as PIL and torchvision resize; uint8."""
    shrinks = (tf.shape(image)[0] > rows) | (tf.shape(image)[1] > columns)
    pixels = tf.cond(  # where it only grows both are the same, and the second takes half of the time
        shrinks,
        lambda: tf.image.resize(image, (rows, columns), antialias=True),
        lambda: tf.image.resize(image, (rows, columns)),
    )
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def _jpeg_window(contents, top, left, rows, columns):
    _, width = image_size(contents)
    first, last = tf.maximum(left - 1, 0), tf.minimum(left + columns + 1, width)
    pixels = tf.image.decode_and_crop_jpeg(contents, tf.stack([top, first, rows, last - first]), channels=3)
    return pixels[:, left - first : left - first + columns]


def _whole(contents):
    return tf.io.decode_image(contents, channels=3, expand_animations=False)


def _cut(image, top, left, size: int):
    return tf.ensure_shape(image[top : top + size, left : left + size], (size, size, 3))
