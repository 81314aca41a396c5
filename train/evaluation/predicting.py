"""Images to a file of predictions: read while others are computed, and written row by row."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..data.datasets.folder import UNREADABLE
from ..process.errors import BadInput, NumericError, first_line
from ..process.files import whole
from .classifiers import Classifier
from .inputs import Inputs
from .submission import Form

SHOWN = 5


@dataclass
class Predicted:
    """What was predicted.

    Args:
        seconds: The time that it took.
        classes: How many images each class was the answer to, by its number.
        bad: The images that were left out, and why.
    """

    seconds: float = 0.0
    classes: Counter[int] = field(default_factory=Counter)
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of images that have a row."""
        return self.classes.total()


def predict(
    classifier: Classifier, inputs: Inputs, form: Form, output: Path, batch_size: int = 128, skip: bool = False
) -> Predicted:
    """Classify images, and write a row for each; the file appears when it is complete.

    Args:
        classifier: The classifier.
        inputs: The images.
        form: What the rows look like.
        output: The file.
        batch_size: Images that are computed together.
        skip: Whether images that cannot be read are left out instead of refused.

    Raises:
        BadInput: if images cannot be read, or none can.
        NumericError: if a probability is NaN or infinite.
    """
    done, began = Predicted(), time.monotonic()
    _tell_bad({inputs.names[number]: why for number, why in inputs.bad.items()}, skip)
    progress = tqdm(total=len(inputs.names), desc="predicting", unit="img", disable=None)
    with whole(output) as unfinished, progress:
        with open(unfinished, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file, delimiter=form.separator, lineterminator="\n")
            rows.writerow(form.header)
            for numbers, images, bad in read_batches(inputs, batch_size):
                _tell_bad(bad, skip)
                done.bad |= bad
                if numbers:
                    probabilities = _finite(classifier, classifier.probabilities(np.stack(images)))
                    rows.writerows(form.row(*each) for each in zip(numbers, probabilities, strict=True))
                    done.classes.update(probabilities.argmax(1).tolist())
                progress.update(len(numbers) + len(bad))
        if not done.count:
            raise BadInput(f"none of {len(inputs.names)} images can be read.")
    done.seconds = time.monotonic() - began
    return done


Batch = tuple[list[int], list[np.ndarray], dict[str, str]]


def read_batches(inputs: Inputs, size: int) -> Iterator[Batch]:
    """The images in batches: their numbers, the images, and the names of bad ones with the reasons.

    The next batch is read while one is used, so that two are in memory.
    """

    def attempt(number: int) -> np.ndarray | str:
        if number in inputs.bad:
            return inputs.bad[number]
        try:
            return inputs.read(number)
        except UNREADABLE as error:
            return first_line(error)

    def batch(numbers: Sequence[int], results: Sequence[Future]) -> Batch:
        pairs = [(number, result.result()) for number, result in zip(numbers, results, strict=True)]
        good = [(number, image) for number, image in pairs if not isinstance(image, str)]
        bad = {inputs.names[number]: why for number, why in pairs if isinstance(why, str)}
        return [number for number, _ in good], [image for _, image in good], bad

    with ThreadPoolExecutor() as pool:
        begun: tuple[Sequence[int], list[Future]] | None = None
        for start in range(0, len(inputs.names), size):
            numbers = range(start, min(start + size, len(inputs.names)))
            begun, before = (numbers, [pool.submit(attempt, number) for number in numbers]), begun
            if before:
                yield batch(*before)
        if begun:
            yield batch(*begun)


def in_words(bad: dict[str, str]) -> str:
    """Bad images, with the reasons, for a message.

    >>> in_words({"a.png": "truncated"})
    '1 unreadable image (a.png: truncated)'
    """
    shown = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:SHOWN])
    return f"{len(bad)} unreadable image{'s' * (len(bad) > 1)} ({shown}{'; ...' * (len(bad) > SHOWN)})"


def _tell_bad(bad: dict[str, str], skip: bool) -> None:
    """Refuse images that cannot be read, unless they are skipped."""
    if bad and not skip:
        raise BadInput(f"{in_words(bad)}. Fix or remove them, or pass --skip_bad_images.")


def _finite(classifier: Classifier, probabilities: np.ndarray) -> np.ndarray:
    if spoilt := int((~np.isfinite(probabilities)).any(1).sum()):
        raise NumericError(f"{classifier.title} answers {spoilt} of {len(probabilities)} images with NaN or infinity.")
    return probabilities
