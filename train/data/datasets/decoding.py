"""Views of encoded images; of JPEGs, only the part that a view needs is decoded."""

from __future__ import annotations

from keras_resunits.serving.orientation import orientation, upright
from keras_resunits.serving.views import central_window, resized, shortened

from ...process.backend import tf
from ..augmentation import Augmentation
from ..augmentation.crops import ASPECT, mirrored
from ..augmentation.rectangles import rectangles

VIEWS = ("paper", "central", "ten_crop")
DCT = "INTEGER_ACCURATE"  # with it, TensorFlow's pixels are PIL's


def random_crop(contents, key, size: int, augmentation: Augmentation, exact: bool = True):
    """A training view: a random crop, decoded, resized, and mirrored with probability 1/2.

    Args:
        contents: The bytes of a JPEG or PNG file, a scalar string.
        key: uint64, a scalar.
        size: Height and width of the view.
        augmentation: Its `crop_area` and `flip` are used.
        exact: Whether JPEGs are decoded as PIL does, and upright; not so in runs of earlier versions.

    Returns:
        uint8 `[size, size, 3]`.
    """
    height, width = image_size(contents, exact)
    window = rectangles(key, "crop", height, width, (augmentation.crop_area, 1.0), ASPECT)
    view = resized(decoded(contents, window, exact), size, size)
    return tf.where(mirrored(key), view[:, ::-1], view) if augmentation.flip else view


def test_view(contents, size: int, protocol: str, exact: bool = True):
    """A view for testing.

    `"paper"` (He et al. 2015, sec. 3.4) resizes the shorter side to 256 and takes the central 224 x 224. `"ten_crop"`
    (Krizhevsky et al. 2012) takes the four corners, the centre, and their mirror images from the same resized image.
    `"central"`, now common, decodes only the central square of 7/8 of the shorter side, and resizes it once. Other
    sizes are in proportion.

    Args:
        contents: The bytes of a JPEG or PNG file, a scalar string.
        size: Height and width of the view.
        protocol: One of `VIEWS`.
        exact: As for `random_crop`.

    Returns:
        uint8 `[size, size, 3]`, or `[10, size, size, 3]` for `"ten_crop"`.
    """
    height, width = image_size(contents, exact)
    if protocol == "central":
        return resized(decoded(contents, central_window(height, width), exact), size, size)
    rows, columns = shortened(height, width, size)
    whole = resized(decoded(contents, (0, 0, height, width), exact), rows, columns)
    bottom, right = rows - size, columns - size
    if protocol == "paper":
        return _cut(whole, bottom // 2, right // 2, size)
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    crops = tf.stack([_cut(whole, top, left, size) for top, left in corners])
    return tf.concat([crops, crops[:, :, ::-1]], axis=0)


test_view.__test__ = False  # type: ignore[attr-defined]  # tells pytest that this is not a test


def image_size(contents, exact: bool = True):
    """`(height, width)`, int32, from a JPEG's header, upright if `exact`; other images are decoded for it."""
    shape = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.image.extract_jpeg_shape(contents)[:2],
        lambda: tf.shape(_whole(contents))[:2],
    )
    if exact:
        shape = tf.where(orientation(contents) > 4, shape[::-1], shape)
    return shape[0], shape[1]


def decoded(contents, window, exact: bool = True):
    """The window `(top, left, rows, columns)` of the decoded image, uint8 `[rows, columns, 3]`.

    One more column is decoded on each side, because libjpeg interpolates the chroma from neighbours. So the pixels
    equal those of the whole decoded image, bit for bit. An image that is to be turned is decoded as a whole.
    """
    top, left, rows, columns = window

    def cut(image):
        return image[top : top + rows, left : left + columns]

    def of_jpeg():
        straight = lambda: _jpeg_window(contents, top, left, rows, columns, exact)  # noqa: E731
        if not exact:
            return straight()
        tag = orientation(contents)
        return tf.cond(tf.equal(tag, 1), straight, lambda: cut(_whole_jpeg(contents, 3, tag)))

    def of_other():
        image = _whole(contents)
        return cut(upright(image, orientation(contents)) if exact else image)

    return tf.cond(tf.io.is_jpeg(contents), of_jpeg, of_other)


def whole(contents, channels: int):
    """The decoded image, uint8 `[height, width, channels]`, upright; JPEGs have PIL's pixels."""
    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _whole_jpeg(contents, channels, orientation(contents)),
        lambda: upright(_whole(contents, channels), orientation(contents)),
    )


def _whole_jpeg(contents, channels: int, tag):
    return upright(tf.image.decode_jpeg(contents, channels=channels, dct_method=DCT), tag)


def _jpeg_window(contents, top, left, rows, columns, exact: bool):
    width = tf.image.extract_jpeg_shape(contents)[1]
    first, last = tf.maximum(left - 1, 0), tf.minimum(left + columns + 1, width)
    pixels = tf.image.decode_and_crop_jpeg(
        contents, tf.stack([top, first, rows, last - first]), channels=3, dct_method=DCT if exact else ""
    )
    return pixels[:, left - first : left - first + columns]


def _whole(contents, channels: int = 3):
    return tf.io.decode_image(contents, channels=channels, expand_animations=False)


def _cut(image, top, left, size: int):
    return tf.ensure_shape(image[top : top + size, left : left + size], (size, size, 3))
