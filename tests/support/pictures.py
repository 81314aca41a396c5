"""Image files of every kind, good and bad, as a client may send them."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image, PngImagePlugin

OK, TOO_LARGE, NO_IMAGE, CORRUPT = range(4)
SIDE = 8


def scene(height: int = SIDE, width: int = SIDE, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture, uint8 `[height, width, channels]`."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, channels)).astype("uint8")
    planes = [Image.fromarray(small[..., i]).resize((width, height), Image.Resampling.BICUBIC) for i in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def written(kind: str, mode: str = "RGB", height: int = SIDE, width: int = SIDE, **options) -> bytes:
    """A file as PIL writes it."""
    file = io.BytesIO()
    Image.fromarray(scene(height, width)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """The pixels as PIL reads them, uint8 `[height, width, 3]`."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def animated(kind: str, frames: int = 3, side: int = SIDE) -> bytes:
    """An animation."""
    file, images = io.BytesIO(), [Image.fromarray(scene(side, side, seed=seed)) for seed in range(frames)]
    images[0].save(file, kind, save_all=True, append_images=images[1:])
    return file.getvalue()


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG by hand: `rows` is what is compressed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def patched(content: bytes, place: int, data: bytes) -> bytes:
    """A file with some bytes replaced."""
    return content[:place] + data + content[place + len(data) :]


def flipped(content: bytes, place: int) -> bytes:
    """A file with one bit flipped."""
    return patched(content, place, bytes([content[place] ^ 16]))


def gif_bomb(frames: int = 400, side: int = 2000) -> bytes:
    """A small GIF whose frames take 1.6 GB when unpacked."""
    start = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(start, "GIF")
    content = start.getvalue()
    frame = content.index(b"\x2c", 13 + 3 * 2 ** (1 + content[10] % 8) if content[10] & 128 else 13)
    return content[:frame] + content[frame:-1] * frames + b";"


def texts() -> PngImagePlugin.PngInfo:
    """Five megabytes of text for a PNG, compressed to nothing."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 5_000_000, zip=True)
    return info


@cache
def pictures() -> dict[str, tuple[bytes, int]]:
    """Files by name, each with the status that it must get."""
    good_png, good_jpeg, good_gif, good_bmp = (written(kind) for kind in ("PNG", "JPEG", "GIF", "BMP"))
    deep = scene(channels=1)[..., 0].astype(">u2") * 257
    rows16 = b"".join(b"\0" + row.tobytes() for row in deep)
    palette = written("BMP", "P")
    frame = good_jpeg.index(b"\xff\xc0") + 5
    huge16, huge32 = struct.pack("<HH", 30_000, 30_000), struct.pack("<ii", 30_000, 30_000)
    good = {
        "png": good_png,
        "png, grey": written("PNG", "L"),
        "png, grey with alpha": written("PNG", "LA"),
        "png, alpha": written("PNG", "RGBA"),
        "png, palette": written("PNG", "P"),
        "png, palette with transparency": written("PNG", "P", transparency=0),
        "png, 1 bit": written("PNG", "1"),
        "png, 16 bit": png(SIDE, SIDE, rows16, depth=16, colour=0),
        "png, animated": animated("PNG"),
        "png, larger": written("PNG", height=40, width=31),
        "png, 1x1": written("PNG", height=1, width=1),
        "png, long text": written("PNG", pnginfo=texts()),
        "jpeg": good_jpeg,
        "jpeg, grey": written("JPEG", "L"),
        "jpeg, CMYK": written("JPEG", "CMYK"),
        "jpeg, progressive": written("JPEG", progressive=True),
        "jpeg, full chroma": written("JPEG", subsampling=0),
        "jpeg, larger": written("JPEG", height=375, width=500),
        "jpeg, trailing bytes": good_jpeg + b"more",
        "gif": good_gif,
        "gif, animated": animated("GIF"),
        "gif, 400 frames of 2000x2000": gif_bomb(),
        "gif, 25 MB of trailing bytes": good_gif + bytes(25_000_000),
        "bmp": good_bmp,
        "bmp, grey": written("BMP", "L"),
        "bmp, 32 bit": written("BMP", "RGBA"),
    }
    bad = {
        "webp": (written("WEBP"), NO_IMAGE),
        "tiff": (written("TIFF"), NO_IMAGE),
        "text": (b"this is no image", NO_IMAGE),
        "long text": (b"text " * 5_000_000, NO_IMAGE),
        "empty": (b"", NO_IMAGE),
        "zeros": (bytes(1000), NO_IMAGE),
        "bmp, palette": (palette, NO_IMAGE),
        "bmp, compressed": (patched(palette, 30, b"\1"), NO_IMAGE),
        "png, magic only": (good_png[:8], NO_IMAGE),
        "jpeg, magic only": (good_jpeg[:3], CORRUPT),
        "gif, magic only": (good_gif[:6], CORRUPT),
        "bmp, magic only": (good_bmp[:2], NO_IMAGE),
        "png, truncated": (good_png[:-40], CORRUPT),
        "jpeg, truncated": (good_jpeg[:-100], CORRUPT),
        "gif, truncated": (good_gif[:-10], CORRUPT),
        "bmp, truncated": (good_bmp[:-10], CORRUPT),
        "png, flipped": (flipped(good_png, len(good_png) // 2), CORRUPT),
        "gif, broken block": (patched(good_gif, 13 + 3 * 2 ** (1 + good_gif[10] % 8), b"?"), CORRUPT),
        "png, no width": (png(0, SIDE, b""), CORRUPT),
        "png, no rows": (png(SIDE, SIDE, b""), CORRUPT),
        "bmp, no width": (patched(good_bmp, 18, bytes(4)), CORRUPT),
        "png, header of 30,000x30,000": (png(30_000, 30_000, b""), TOO_LARGE),
        "png, header of 2^31": (png(2**31 - 1, 2**31 - 1, b""), TOO_LARGE),
        "jpeg, header of 30,000x30,000": (patched(good_jpeg, frame, struct.pack(">HH", 30_000, 30_000)), TOO_LARGE),
        "gif, header of 30,000x30,000": (patched(good_gif, 6, huge16), TOO_LARGE),
        "gif, frame of 30,000x30,000": (patched(good_gif, good_gif.rindex(b"\x2c\0\0\0\0") + 5, huge16), TOO_LARGE),
        "bmp, header of 30,000x30,000": (patched(good_bmp, 18, huge32), TOO_LARGE),
        "png, bomb of 12,000x12,000": (png(12_000, 12_000, bytes(12_000 * 36_001)), TOO_LARGE),
    }
    return {name: (content, OK) for name, content in good.items()} | bad
