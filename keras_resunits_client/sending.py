"""Picture files to a request, and its outputs to an answer for each file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_resunits_client.answers import BAD_IMAGE, DEADLINE, REFUSED, UNAVAILABLE, Answer
from keras_resunits_client.errors import ClientError, DeadlineExceeded, Refused, Unavailable
from keras_resunits_client.pictures import MODES, Unreadable, content, pixels
from keras_resunits_client.protocol import STRING, Arrays, Signature
from keras_resunits_client.tensors import of_strings

RETURNED = ("classes", "scores")


class Sender:
    """Asks a signature about files: with their bytes if it takes strings, else with their pixels.

    Args:
        predict: Outputs for inputs, as `Client.predict`.
        name: The signature's name, for messages.
        signature: The signature.

    Raises:
        ClientError: if it takes neither strings nor uint8 pixels, or returns no classes and scores.
    """

    def __init__(self, predict: Callable[[Mapping[str, Any]], Arrays], name: str, signature: Signature):
        self._predict = predict
        self._down = threading.Event()
        (self._input, tensor), *others = signature.inputs.items()
        shape = tensor.shape or ()
        self._bytes = tensor.dtype == STRING and shape in ((-1,), (-1, 1))
        takes_pixels = tensor.dtype == "uint8" and len(shape) == 4 and shape[0] == -1 and shape[3] in MODES
        if others or not (self._bytes or takes_pixels):
            taken = ", ".join(f"'{one}' {each}" for one, each in signature.inputs.items())
            raise ClientError(
                f"signature {name} takes {taken}; "
                "pictures require one input of strings [any], or of uint8 [any, height, width, 1, 3 or 4]"
            )
        if missing := [one for one in RETURNED if one not in signature.outputs]:
            raise ClientError(f"signature {name} returns no {' and no '.join(missing)}; pictures require both")
        self._shape = shape[1:]
        self.equal_sizes = self._bytes or -1 not in shape[1:]
        """Whether files may share a request."""
        if not self._bytes:
            _require_pillow()

    def answers(self, files: Sequence[Path]) -> list[Answer]:
        """An answer for each file, from one request."""
        read = [self._read(file) for file in files]
        values = [value for value in read if not isinstance(value, Answer)]
        answered = iter(
            self._asked(
                [file for file, value in zip(files, read, strict=True) if not isinstance(value, Answer)], values
            )
        )
        return [value if isinstance(value, Answer) else next(answered) for value in read]

    def _read(self, file: Path) -> bytes | np.ndarray | Answer:
        try:
            return content(file) if self._bytes else pixels(file, self._shape)
        except Unreadable as error:
            return Answer(file, BAD_IMAGE, str(error))

    def _asked(self, files: list[Path], values: list) -> list[Answer]:
        if not files:
            return []
        if self._down.is_set():
            return [Answer(file, UNAVAILABLE, "not sent: the server was unavailable before") for file in files]
        batch = values if self._bytes else np.stack(values)
        try:
            return _rows(files, self._predict({self._input: batch}))
        except Unavailable as error:
            self._down.set()
            return [Answer(file, UNAVAILABLE, str(error)) for file in files]
        except DeadlineExceeded as error:
            return [Answer(file, DEADLINE, str(error)) for file in files]
        except Refused as error:
            return [Answer(file, REFUSED, str(error)) for file in files]


def _rows(files: list[Path], outputs: Arrays) -> list[Answer]:
    """An answer for each row.

    Raises:
        Refused: if the outputs have not a row for each file, or another shape.
    """
    classes, scores = outputs["classes"], outputs["scores"]
    if classes.shape != scores.shape or classes.ndim != 2 or len(classes) != len(files):
        shapes = f"classes {list(classes.shape)} and scores {list(scores.shape)}"
        raise Refused(f"expected classes and scores [{len(files)}, k]; the server sent {shapes}")
    status = outputs.get("status", np.zeros(len(files), "int32"))
    errors = outputs.get("error", of_strings([b""] * len(files), (len(files),)))
    if status.size != len(files) or errors.size != len(files):
        raise Refused(f"expected a status and an error for {len(files)} pictures; got {status.size} and {errors.size}")
    return [
        _answer(file, int(code), error.decode(errors="replace"), names, values)
        for file, code, error, names, values in zip(
            files, status.reshape(-1), errors.reshape(-1), classes, scores, strict=True
        )
    ]


def _answer(file: Path, status: int, error: str, classes: np.ndarray, scores: np.ndarray) -> Answer:
    if status != 0:
        return Answer(file, BAD_IMAGE, error or f"the server's status is {status}")
    names = tuple(name.decode(errors="replace") for name in classes)
    return Answer(file, classes=names, scores=tuple(map(float, scores)))


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ModuleNotFoundError as error:
        raise ClientError(
            "the signature takes pixels, and decoding pictures requires Pillow: pip install pillow"
        ) from error
