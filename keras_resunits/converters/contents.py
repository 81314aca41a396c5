"""What a file of weights is, by its first bytes: endings such as `.bin` and `.ckpt` are used for several formats."""

from __future__ import annotations

from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
TORCH = (b"PK", b"\x80")  # a zip archive, and a pickle


def is_hdf5(path: Path) -> bool:
    """Return whether a file is one of HDF5, as Keras writes."""
    return _first(path).startswith(HDF5)


def is_safetensors(path: Path) -> bool:
    """Return whether a file is one of safetensors, by its ending or its content.

    Such a file begins with the length of its header, in eight bytes, and the header with a brace.
    """
    first = _first(path)
    return path.suffix == ".safetensors" or (first[8:] == b"{" and not first.startswith(TORCH))


def _first(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(9)
