"""Files that are whole or absent, and write errors that are reported in one line."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageError, first_line

FULL = (errno.ENOSPC, errno.EDQUOT)  # no space left on the disk, or in the user's quota
UNFINISHED = ".unfinished-"  # prefix of what a killed process may leave; exports use it too


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`with whole(path) as unfinished`: write a file that appears at `path` only once it is complete and on the disk.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole(path) as unfinished:
    ...     _ = unfinished.write_text("all of it")
    ...     path.exists()
    False
    >>> path.read_text()
    'all of it'
    """
    unfinished = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        yield unfinished
        flush(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flush a file or folder to the disk, so that it survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def stored(what: str) -> Iterator[None]:
    """Report a disk error together with `what` could not be written.

    Raises:
        StorageError: in place of any `OSError`, or error of TensorFlow's.
    """
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise StorageError(f"{why(error)} writing {what}.") from error


def why(error: Exception) -> str:
    """The cause of a disk error.

    >>> why(OSError(errno.EDQUOT, "Disk quota exceeded"))
    'disk full'
    >>> why(OSError(errno.ENOSPC, "No space left on device")), why(OSError(errno.EROFS, "Read-only file system"))
    ('disk full', '[Errno 30] Read-only file system')
    """
    if isinstance(error, OSError) and error.errno in FULL:
        return "disk full"
    # TensorFlow's RESOURCE_EXHAUSTED, recognised without importing TensorFlow
    return "disk full" if getattr(error, "error_code", None) == 8 else first_line(error)


class Unheard(io.FileIO):
    """A file that drops bytes silently while its disk is full.

    >>> Unheard("/dev/full", "w").write(b"nobody hears this")
    17
    """

    def write(self, data, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return len(data)


def outlive_full_disks() -> None:
    """Let standard output and standard error drop what a full disk cannot hold, by way of `Unheard`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process: Python drops what is printed
            continue
        raw = Unheard(stream.fileno(), "w", closefd=False)
        settings = {key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")}
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), **settings))
