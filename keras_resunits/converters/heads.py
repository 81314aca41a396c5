"""A network whose head differs from that of the weights: it keeps its own, and all other weights are carried over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import keras

T = TypeVar("T")
Told = Callable[[str], None]
"""Called with one line about a head that is left as initialised."""

KERNEL, BIAS = "classifier/kernel", "classifier/bias"


def classes_of(model: keras.Model) -> int | None:
    """Return the number of classes of a network's classifier; `None` if it has none.

    >>> import keras_resunits as kr
    >>> classes_of(kr.ResNet(8, classes=3)), classes_of(kr.ResNet(8, include_top=False))
    (3, None)
    """
    return next((weight.shape[-1] for weight in model.weights if weight.path == BIAS), None)


def exchanged(classes: int, theirs: int | None) -> str:
    """Return in words that a head is a new one.

    >>> exchanged(3, 10), exchanged(3, None)
    ('a new head of 3 classes replaces that of 10', 'a new head of 3 classes, without trained weights')
    """
    return f"a new head of {classes} classes" + (
        ", without trained weights" if theirs is None else f" replaces that of {theirs}"
    )


def is_other(model: keras.Model, theirs: int | None, where: str, told: Told | None) -> bool:
    """Return whether the head of the source does not belong to the network, and tell what becomes of the network's.

    Args:
        model: The network.
        theirs: The number of classes of the source's head; `None` if it has none.
        where: Name of the source.
        told: Called with one line if the network has a head, which then stays as it is. `None` accepts no other head.
    """
    classes = classes_of(model)
    if told is None or classes == theirs:
        return False
    if classes is not None:
        told(f"{where}: {exchanged(classes, theirs)}.")
    return True


def without(weights: Mapping[str, T], *names: str | None) -> dict[str, T]:
    """Return the weights but for those with these names."""
    return {name: weight for name, weight in weights.items() if name not in names}
