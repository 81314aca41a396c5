"""Standard output and error, often a log on the disk that the run fills: once it is full, the run goes on unheard."""

from __future__ import annotations

import io
import sys

from train.files import FULL


class Unheard(io.FileIO):
    """A file whose bytes are lost while its disk is full, and are no error.

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
    """Put standard output and error of this process behind `Unheard`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started this process: Python drops what is printed
            continue
        raw = Unheard(stream.fileno(), "w", closefd=False)
        settings = {key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")}
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), **settings))
