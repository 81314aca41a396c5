"""The SHA-256 of every file of a folder, as `sha256sum -c` reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

FILE = "manifest.sha256"


def write_manifest(folder: Path) -> None:
    """Write the manifest of all files below a folder, whose paths are relative to it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("a")
    >>> write_manifest(folder)
    >>> write_manifest(folder)  # it does not list itself
    >>> print((folder / FILE).read_text()[:8], (folder / FILE).read_text()[-7:], end="")
    ca978112   a.txt
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILE)
    lines = (f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    (folder / FILE).write_text("".join(lines))


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
