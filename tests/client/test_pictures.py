"""Picture files: which are found, and what their pixels are."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resunits_client.errors import ClientError
from keras_resunits_client.pictures import Unreadable, content, found, pixels

RGB = (5, 7, 3)
RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, RGB).astype("uint8")


def test_folders_are_searched_and_sorted_without_hidden_files(tmp_path):
    for name in ("b.png", "a.JPG", "deep/c.gif", "notes.txt", ".d.png", ".thumbs/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    wanted = ["a.JPG", "b.png", "deep/c.gif"]
    assert found([tmp_path, tmp_path / "notes.txt"]) == [tmp_path / name for name in (*wanted, "notes.txt")]


@pytest.mark.parametrize("name", ["", "missing", "missing.png"])
def test_paths_without_pictures_are_refused(name, tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"")
    with pytest.raises(ClientError, match="no picture" if not name else "no such file or folder"):
        found([tmp_path / name])


def of_tensorflow(path: Path, channels: int) -> np.ndarray:
    """The decoder of the bytes signature and of the training program."""
    return tf.io.decode_image(path.read_bytes(), channels=channels, expand_animations=False).numpy()


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("rgb.png", Image.fromarray(COLOURS)),
        ("rgba.png", Image.fromarray(RANDOM.integers(0, 256, (5, 7, 4)).astype("uint8"))),
        ("grey.png", Image.fromarray(COLOURS[..., 0])),
        ("bits16.png", Image.fromarray(RANDOM.integers(0, 65536, (5, 7)).astype("uint16"))),
        ("bits1.png", Image.fromarray(COLOURS[..., 0] > 99)),
        ("palette.png", Image.fromarray(COLOURS).quantize(16)),
        ("colours.bmp", Image.fromarray(COLOURS)),
        ("still.gif", Image.fromarray(COLOURS).quantize(16)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pixels_are_those_that_tensorflow_decodes(name, picture, tmp_path):
    picture.save(tmp_path / name)
    np.testing.assert_array_equal(pixels(tmp_path / name, RGB), of_tensorflow(tmp_path / name, 3))


def test_grey_networks_get_one_channel(tmp_path):
    Image.fromarray(RANDOM.integers(0, 65536, (5, 7)).astype("uint16")).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png", (5, 7, 1)), of_tensorflow(tmp_path / "a.png", 1))


def test_jpegs_of_every_kind_are_near_tensorflows(tmp_path):
    smooth = np.linspace(0, 255, 16 * 16 * 3).reshape(16, 16, 3).astype("uint8")
    for mode in ("RGB", "L", "CMYK"):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(smooth).convert(mode).save(path, quality=95)
        difference = pixels(path, (16, 16, 3)).astype(int) - of_tensorflow(path, 3)
        assert np.abs(difference).max() <= 12, mode


def test_a_photograph_is_turned_upright(tmp_path):
    upright = Image.fromarray(np.arange(5 * 7 * 3, dtype="uint8").reshape(5, 7, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right makes it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    assert np.abs(pixels(tmp_path / "a.jpg", RGB).astype(int) - np.asarray(upright)).max() <= 4


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (7, 5), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif", RGB)[0, 0].tolist() == [255, 0, 0]


def test_other_sizes_are_resized_as_by_tensorflow(tmp_path):
    large = RANDOM.integers(0, 256, (40, 60, 3)).astype("uint8")
    Image.fromarray(large).save(tmp_path / "a.png")
    wanted = tf.image.resize(large, RGB[:2], antialias=True).numpy()
    assert np.abs(pixels(tmp_path / "a.png", RGB) - wanted).max() <= 1.5
    assert pixels(tmp_path / "a.png", (-1, -1, 3)).shape == (40, 60, 3)


def png(width: int, height: int) -> bytes:
    """A PNG file that claims a size, and holds ten bytes of pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10)))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "cannot identify"),
        (b"just text", "cannot identify"),
        (png(30000, 30000), "decompression bomb"),
        (png(12000, 12000), "claims 12000 x 12000 pixels"),
        (png(7, 5), "truncated"),
    ],
    ids=["empty", "text", "bomb", "large", "truncated"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_is_one_line(data, text, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(Unreadable, match=text) as error:
        pixels(tmp_path / "a.png", RGB)
    assert "\n" not in str(error.value)


def test_pixels_of_more_than_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((5, 7), 70000, "int32")).save(tmp_path / "a.tiff")
    Image.fromarray(np.full((5, 7), 0.5, "float32")).save(tmp_path / "b.tiff")
    for name, text in (("a.tiff", "got 32"), ("b.tiff", "got floats")):
        with pytest.raises(Unreadable, match=text):
            pixels(tmp_path / name, RGB)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        content(tmp_path / "gone.png")
