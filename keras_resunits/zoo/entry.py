"""A row of the zoo: how a named network is made, and its published figures."""

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
        factory: The function that makes the network.
        arguments: Arguments of the factory.
        source: The paper or library.
        parameters: Exact number of trainable parameters; `None` if no count is known.
        half_operations: Half of the floating-point operations in millions, as published by pytorchcv.
        derived: Whether `parameters` is not published but derived by hand from the layer shapes.
        stated_parameters: The figure in the source, if it is rounded or counted differently.
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
    """Return a row for each depth, with its figures looked up in tables by depth.

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
