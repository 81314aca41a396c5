"""A row of the zoo: a network's name, how it is made, and what was published of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

CIFAR: dict[str, Any] = {"input_shape": (32, 32, 3), "classes": 10}
IMAGENET: dict[str, Any] = {"input_shape": (224, 224, 3), "classes": 1000}
HE15, HE16 = "He et al. 2015", "He et al. 2016"
BY_PYTORCHCV = "counts: pytorchcv"


@dataclass(frozen=True)
class Entry:
    """A named network.

    Args:
        factory: Makes it.
        arguments: The factory's arguments.
        source: The paper, or the library.
        parameters: Trainable ones, exact; `None` where no count is known.
        half_operations: Half of the floating-point operations as pytorchcv publishes them, in millions.
        derived: Whether `parameters` were counted by hand from the layers' shapes, not published.
        stated_parameters: What the source states instead, rounded or counted otherwise.
        stated_operations: The same for the operations of one image.
    """

    factory: Callable[..., keras.Model]
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    parameters: int | None = None
    half_operations: float | None = None
    derived: bool = False
    stated_parameters: str = ""
    stated_operations: str = ""


def by_depth(
    name: str,
    factory: Callable[..., keras.Model],
    depths: Iterable[int],
    source: str,
    parameters: Mapping[int, int] | int | None = None,
    half_operations: Mapping[int, float] | None = None,
    derived: bool = False,
    stated_operations: Mapping[int, str] | None = None,
    **arguments: Any,
) -> dict[str, Entry]:
    """A row for each depth, its figures looked up in tables by depth.

    Example:

    >>> import keras_resunits as kr
    >>> list(by_depth("resnet{}b", kr.ResNet, (18, 34), "a paper", {18: 5}, shortcut="B"))
    ['resnet18b', 'resnet34b']
    """
    counts = dict.fromkeys(depths, parameters) if isinstance(parameters, int) else parameters or {}
    return {
        name.format(depth): Entry(
            factory,
            {"depth": depth, **arguments},
            source,
            counts.get(depth),
            (half_operations or {}).get(depth),
            derived,
            stated_operations=(stated_operations or {}).get(depth, ""),
        )
        for depth in depths
    }
