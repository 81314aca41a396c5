"""Answers as a table: csv, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from keras_resunits_client.answers import Answer
from keras_resunits_client.errors import ClientError, one_line


def write(answers: Sequence[Answer], stream: TextIO, top: int) -> None:
    """Write a row for each file: `file,status,error,class_1,score_1,...`, up to `top` classes.

    >>> import sys
    >>> write([Answer(Path("a.png"), classes=("cat", "dog"), scores=(0.75, 0.25))], sys.stdout, top=1)
    file,status,error,class_1,score_1
    a.png,ok,,cat,0.75
    """
    shown = min(top, max((len(answer.classes) for answer in answers), default=0))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["file", "status", "error", *(f"{what}_{n}" for n in range(1, shown + 1) for what in ("class", "score"))]
    )
    for answer in answers:
        pairs = zip(answer.classes[:shown], answer.scores, strict=False)
        cells = [cell for name, score in pairs for cell in (name, f"{score:.6g}")]
        cells += [""] * (2 * shown - len(cells))
        writer.writerow([answer.path, answer.status, answer.error, *cells])


@contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name once it is complete; it is opened at once, so a wrong path fails early.

    Raises:
        ClientError: if it cannot be written.
    """
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with open(unfinished, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror or one_line(error)}") from error
    finally:
        with suppress(OSError):  # renamed, or never there
            unfinished.unlink()
