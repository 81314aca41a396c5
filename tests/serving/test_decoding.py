"""Image files in TensorFlow, one by one: as PIL reads them, upright, within limits, and as a network sees them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_resunits.serving import decoding, gifs, headers, views
from keras_resunits.serving.decoding import CORRUPT, NO_IMAGE, OK, TOO_LARGE, images_of
from keras_resunits.serving.gifs import first_frame
from keras_resunits.serving.headers import BMP, GIF, JPEG, NONE, PNG
from keras_resunits.serving.orientation import orientation, upright
from tests.support import pictures

KINDS = {
    JPEG: pictures.written("JPEG", height=6, width=7),
    PNG: pictures.written("PNG", height=6, width=7),
    GIF: pictures.written("GIF", height=6, width=7),
    BMP: pictures.written("BMP", height=6, width=7),
    NONE: b"text",
}


def test_a_header_tells_the_format_and_claims_pixels():
    tall, wide = (pictures.written(kind, height=300, width=260) for kind in ("PNG", "BMP"))
    upside_down = pictures.patched(wide, 22, (2**32 - 300).to_bytes(4, "little"))
    compressed = pictures.patched(wide, 30, b"\1")
    short = pictures.patched(wide, 14, b"\x0c")
    found, pixels = headers.formats(tf.constant([*KINDS.values(), tall, wide, upside_down, compressed, short, b""]))
    assert found.numpy().tolist() == [*KINDS, PNG, BMP, BMP, NONE, NONE, NONE]
    assert pixels.numpy().tolist() == [0, 42, 42, 42, 0, 78_000, 78_000, 78_000, 0, 0, 0]


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_is_turned_as_pil_does(tag, order, kind):
    picture = Image.fromarray(pictures.scene(8, 16))
    exif = Image.Exif()
    exif.endian = "<" if order == "little" else ">"
    exif[0x0110], exif[0x0112] = "a camera", tag
    file = io.BytesIO()
    picture.save(file, kind, exif=exif, icc_profile=bytes(300))
    assert int(orientation(tf.constant(file.getvalue()))) == tag
    turned = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    np.testing.assert_array_equal(upright(tf.constant(np.asarray(Image.open(file))), tf.constant(tag)), turned)
    status, image = decoding._decoded(
        tf.constant(file.getvalue()), tf.constant({"JPEG": JPEG, "PNG": PNG}[kind]), channels=3
    )
    assert int(status) == OK
    np.testing.assert_array_equal(image, turned)


def test_what_states_no_orientation_is_upright():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(pictures.scene()).save(file, "JPEG", exif=exif)
    for content in (file.getvalue(), file.getvalue()[:40], KINDS[JPEG], KINDS[PNG], b""):
        assert int(orientation(tf.constant(content))) == 1


def test_the_first_frame_of_a_gif_is_a_gif(monkeypatch):
    one, three = pictures.animated("GIF", frames=1), pictures.animated("GIF")
    for content in (one, three, KINDS[GIF]):
        frame, pixels, long = first_frame(tf.constant(content))
        image = Image.open(io.BytesIO(frame.numpy()))
        assert getattr(image, "n_frames", 1) == 1 and int(pixels) == image.width * image.height and not long
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pictures.decoded(content))
    for end in (14, len(one) // 2, len(one) - 2):  # the last byte ends the file, the one before it the frame
        assert first_frame(tf.constant(one[:end]))[0].numpy() == b""
    assert first_frame(tf.constant(one[:-1]))[0].numpy() == one
    monkeypatch.setattr(gifs, "MOST_BLOCKS", 2)
    assert first_frame(tf.constant(three))[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_pil(channels):
    contents = [
        *KINDS.values(),
        KINDS[PNG][:60],
        pictures.written("PNG", "L", 6, 7),
        pictures.written("BMP", "L", 6, 7),
    ]
    images, status = images_of(tf.constant(contents), (6, 7, channels))
    assert status.numpy().tolist() == [OK, OK, OK, OK, NO_IMAGE, CORRUPT, OK, OK]
    assert images.shape == (8, 6, 7, channels) and not images[4:6].numpy().any()
    for image, content in zip(images.numpy(), contents, strict=True):
        if image.any():
            wanted = Image.open(io.BytesIO(content)).convert("RGB").convert("RGB" if channels == 3 else "L")
            np.testing.assert_allclose(image, np.reshape(wanted, image.shape), atol=2)


def test_a_picture_of_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 48)
    sides = [(kind, *size) for kind in ("JPEG", "PNG", "GIF", "BMP") for size in ((6, 8), (7, 7))]
    _, status = images_of(tf.constant([pictures.written(kind, "RGB", *size) for kind, *size in sides]), (6, 8, 3))
    assert status.numpy().tolist() == [OK, TOO_LARGE] * 4


def test_views_by_hand():
    assert [int(each) for each in views.central_window(64, 48)] == [11, 3, 42, 42]
    assert [int(each) for each in views.shortened(500, 375, 224)] == [341, 256]
    assert [int(each) for each in views.shortened(375, 500, 28)] == [32, 43]
    image = tf.constant(pictures.scene(32, 64))
    np.testing.assert_array_equal(views.paper(image, 28, 28), image[2:30, 18:46])
    np.testing.assert_array_equal(views.central(image, 28, 28), image[2:30, 18:46])
    np.testing.assert_array_equal(views.stretch(image, 32, 64), image)


@pytest.mark.parametrize(("rows", "columns"), [(10, 10), (80, 10), (10, 80), (40, 80), (16, 32)])
def test_resizing_is_that_of_pil_where_a_side_shrinks_and_where_it_grows(rows, columns):
    picture = pictures.scene(16, 32)
    wanted = np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(views.resized(tf.constant(picture), rows, columns), wanted, atol=1)
