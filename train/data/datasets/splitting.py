"""A validation split taken from the training images: a function of the seed and each image's name alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from ...process.errors import BadInput
from ...settings.sections import Source

Interval = tuple[float, float]


def interval(source: Source) -> Interval | None:
    """The part of [0, 1) whose images are held out for validation; `None` if none are asked for.

    >>> interval(Source(validation=0.2)), interval(Source(fold="2/4")), interval(Source(validation=0.0))
    ((0.0, 0.2), (0.25, 0.5), None)

    Raises:
        BadInput: if both options are given, or the fold is not one.
    """
    if not source.fold:
        return (0.0, source.validation) if source.validation else None
    if source.validation is not None:
        raise BadInput(f"--validation={source.validation} and --fold={source.fold} exclude each other.")
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", source.fold)
    number, folds = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= folds or folds < 2:
        raise BadInput(f"--fold must be like 2/5, the second of five; got {source.fold}.")
    return (number - 1) / folds, number / folds


def asked(source: Source) -> str:
    """The option that asks for a validation split, as on the command line."""
    return f"--fold={source.fold}" if source.fold else f"--validation={source.validation}"


def position(name: str, seed: int) -> float:
    """An image's place in [0, 1), evenly spread over names.

    >>> position("cat/1.png", 0) == position("cat/1.png", 0) != position("cat/1.png", 1)
    True
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def held_out(names: Sequence[str], labels: np.ndarray | None, classes: Sequence[str], source: Source, seed: int):
    """Which images are held out for validation, bool `[n]`.

    An image is held out if the hash of seed and name lies in the interval asked for. So adding images moves no other
    one. Of a class whose share rounds to one image or more, one at least is held out, and one at least is kept.

    Args:
        names: One for each image, which hold when the data move to another folder.
        labels: Their classes; `None` if unknown, and then classes are not looked at.
        classes: The names of the classes, for messages.
        source: The options.
        seed: The run's seed.

    Raises:
        BadInput: if a class would have no image on one side.
    """
    part = interval(source)
    assert part is not None  # by the callers
    low, high = part
    places = np.array([position(name, seed) for name in names])
    chosen = (low <= places) & (places < high)
    groups = [np.arange(len(names))] if labels is None else [np.flatnonzero(labels == c) for c in range(len(classes))]
    for number, members in enumerate(groups):
        if not source.fold and len(members) > 1 and (high - low) * len(members) >= 0.5:
            chosen[members[places[members].argmin()]] = True
            chosen[members[places[members].argmax()]] = False
        for none, what in ((~chosen[members], "validation"), (chosen[members], "training")):
            if len(members) and none.all():
                whose = f"class {classes[number]!r}" if labels is not None else "the set"
                raise BadInput(
                    f"{asked(source)} leaves {whose} without a {what} image: it has {len(members)} in all. Choose "
                    "another share, add images, or (folds) pass another --seed."
                )
    return chosen
