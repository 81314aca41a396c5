"""The versions of a model: folders whose names are numbers, which appear whole and disappear whole."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

UNFINISHED = ".unfinished-"
"""What names of folders begin with that a server must not see; a killed process may leave them."""


def versions(root: Path) -> list[Path]:
    """Return the folders of the SavedModels in a model's folder, the oldest first."""
    numbered = (path for path in root.iterdir() if path.name.isdecimal())
    return sorted((path for path in numbered if (path / "saved_model.pb").is_file()), key=lambda path: int(path.name))


def publish(unfinished: Path, root: Path) -> Path:
    """Rename to the next free version; skip a number that another process has taken meanwhile."""
    version = 1 + max((int(path.name) for path in root.iterdir() if path.name.isdecimal()), default=0)
    while True:
        try:
            return unfinished.rename(root / str(version))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            version += 1


def forget(root: Path, keep: int) -> None:
    """Remove all versions but the newest `keep`; each is renamed first, so that a killed removal leaves no part of one.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for version in ("1", "2", "10"):
    ...     (root / version).mkdir()
    ...     (root / version / "saved_model.pb").touch()
    >>> forget(root, keep=1)
    >>> [path.name for path in root.iterdir()]
    ['10']
    """
    for version in versions(root)[:-keep]:
        doomed = root / f"{UNFINISHED}{os.getpid()}-{version.name}"
        version.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
