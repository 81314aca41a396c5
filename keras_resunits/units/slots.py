"""Slots: the place of every unit in a network, planned before any layer exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from keras_resunits.arguments import (
    Kind,
    instance_of,
    one_of,
    require_bool,
    require_index,
    require_limit,
    require_positive_int,
)

OF_TYPE: dict[str, Kind] = {"int": require_positive_int, "bool": require_bool, "float": require_limit}


def check_fields(record, where: str) -> None:
    """Refuse fields that are not of their type; ints must be positive (`index` may be 0). NumPy's become Python's."""
    for field in fields(record):
        kind = require_index if field.name == "index" else OF_TYPE.get(str(field.type))
        if kind:
            object.__setattr__(record, field.name, kind(getattr(record, field.name), field.name, where))


@dataclass(frozen=True)
class Stage:
    """Consecutive units with the same number of filters, one of which has the stride.

    Args:
        units: Number of units.
        filters: Output channels of every unit.
        strides: Spatial stride of the stage. Defaults to 1.
        strided: Which unit has the stride: "first" (default), or "last" as in `keras.applications.ResNet50V2` and its
            deeper variants.

    Raises:
        ValueError: if a number is not a positive int, or `strided` is neither "first" nor "last".

    Example:

    >>> from keras_resunits import Stage
    >>> [Stage(units=3, filters=32, strides=2).strides_of(i) for i in range(3)]
    [2, 1, 1]
    """

    units: int
    filters: int
    strides: int = 1
    strided: str = "first"

    def __post_init__(self):
        check_fields(self, where="stage")
        one_of("first", "last")(self.strided, "strided", "stage")

    def strides_of(self, position: int) -> int:
        """Return the stride of the stage's unit number `position`, counted from 0."""
        return self.strides if position == (0 if self.strided == "first" else self.units - 1) else 1


@dataclass(frozen=True)
class Slot:
    """The place of a unit in a network: all that a recipe knows when it builds the unit.

    Args:
        index: Position among all units, from 0 as in `x_0 .. x_L` (He et al. 2016, Eq. 4).
        total: Number of units in the network, `L`.
        in_filters: Input channels.
        filters: Output channels.
        strides: Spatial stride. Defaults to 1.
        activated: Whether the stem has already applied norm and activation to the input. A pre-activation unit then
            does not repeat them (He et al. 2016, appendix: "the first activation right after conv1, before splitting
            into two paths"). Defaults to `False`.

    Raises:
        ValueError: if a number is not a positive int.

    Example:

    >>> from keras_resunits import Slot
    >>> slot = Slot(index=7, total=9, in_filters=16, filters=32, strides=2)
    >>> slot.name, slot.changes_shape
    ('unit007', True)
    """

    index: int
    total: int
    in_filters: int
    filters: int
    strides: int = 1
    activated: bool = False

    def __post_init__(self):
        check_fields(self, where=f"unit '{self.name}'")

    @property
    def name(self) -> str:
        """Name of the unit by its position: `unit000`, `unit001`, ..."""
        return f"unit{self.index:03d}" if isinstance(self.index, int) else f"unit{self.index}"

    @property
    def changes_shape(self) -> bool:
        """Whether output and input differ in shape."""
        return self.strides != 1 or self.in_filters != self.filters


require_slot = instance_of(Slot, "a `Slot`")
require_stage = instance_of(Stage, "a `Stage`")


def plan(stages: Iterable[Stage], in_filters: int, activated: bool = False) -> tuple[Slot, ...]:
    """Lay out stages as slots, one for each unit.

    Args:
        stages: The network's stages, in order.
        in_filters: Output channels of the stem.
        activated: Whether the stem ends in norm and activation, which only concerns the first slot. Defaults to
            `False`.

    Returns:
        The slots, in order.

    Raises:
        ValueError: if there are no stages, or a number is not a positive int.

    Example:

    >>> from keras_resunits import Stage, plan
    >>> for slot in plan([Stage(2, 16), Stage(1, 32, strides=2)], in_filters=16):
    ...     print(slot.name, slot.in_filters, "->", slot.filters, "stride", slot.strides)
    unit000 16 -> 16 stride 1
    unit001 16 -> 16 stride 1
    unit002 16 -> 32 stride 2
    """
    stages = require_stage.each(stages, "stages", "plan")
    activated = require_bool(activated, "activated", "plan")
    if not stages:
        raise ValueError("`stages` must hold at least one Stage. Received: an empty sequence.")
    total = sum(stage.units for stage in stages)
    slots: list[Slot] = []
    for stage in stages:
        for position in range(stage.units):
            slots.append(
                Slot(
                    index=len(slots),
                    total=total,
                    in_filters=slots[-1].filters if slots else in_filters,
                    filters=stage.filters,
                    strides=stage.strides_of(position),
                    activated=activated and not slots,
                )
            )
    return tuple(slots)
