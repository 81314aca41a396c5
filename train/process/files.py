"""Files that are whole or absent, and write errors that are reported in one line."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BadInput, StorageError, first_line

FULL = (errno.ENOSPC, errno.EDQUOT)  # no space left on the disk, or in the user's quota
LOST = (*FULL, errno.EPIPE)  # or nobody reads any more
WILDCARDS = "*?[]\\"
UNFINISHED = ".unfinished-"  # prefix of what a killed process may leave; exports use it too


def local(text: str, what: str, plain: bool = False) -> Path:
    """A path as the user means it: `~` is the user's folder.

    Args:
        text: What the user wrote.
        what: The argument's name, for messages.
        plain: Whether TensorFlow gets the path, which treats `*?[]\\` as wildcards.

    Raises:
        BadInput: for an empty path, an address of another machine, bytes that are not UTF-8, or a wildcard.

    >>> local("runs/a[1]", "--output").as_posix()
    'runs/a[1]'
    >>> local("gs://bucket/x", "--output")
    Traceback (most recent call last):
    train.process.errors.BadInput: --output=gs://bucket/x must be a local path; copy or mount the bucket.
    """
    if not text:
        raise BadInput(f"{what} is empty (an unset variable?); expected a path.")
    if text != text.encode(errors="replace").decode():
        raise BadInput(f"{what}={text!a} is not UTF-8.")
    if re.match(r"\w+://", text):
        raise BadInput(f"{what}={text} must be a local path; copy or mount the bucket.")
    if plain and (special := sorted(set(text) & set(WILDCARDS))):
        raise BadInput(f"{what}={text} contains {' '.join(special)}, which TensorFlow treats as wildcards; rename it.")
    return Path(text).expanduser()


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


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    """A file that drops bytes silently while its disk is full, or once nobody reads the pipe any more.

    >>> Unheard("/dev/full", "w").write(b"nobody hears this")
    17
    """

    def write(self, data, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in LOST:
                raise
            return len(data)


def outlive_full_disks() -> None:
    """Let standard output and error drop what a full disk or a closed pipe cannot take, by way of `Unheard`."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process: the next file would get its number, and what is printed
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            setattr(sys, name, open(descriptor, "w", closefd=False))  # noqa: SIM115 -- as long as the process
            continue
        raw = Unheard(stream.fileno(), "w", closefd=False)
        settings = {key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")}
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), **settings))
