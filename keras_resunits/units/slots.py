"""Where a unit stands: the plan of a network, before any layer exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from keras_resunits.arguments import is_int, require_positive_int


def require_positive_ints(record, where: str) -> None:
    """Refuse a record whose `int` fields are not positive ints (`index`: not negative); NumPy's become Python's."""
    for field in fields(record):
        if field.type != "int":
            continue
        value = getattr(record, field.name)
        if field.name != "index":
            value = require_positive_int(value, field.name, where)
        elif not is_int(value) or value < 0:
            raise ValueError(f"`index` must be an int >= 0. Received: index={value!r} ({where}).")
        object.__setattr__(record, field.name, int(value))


@dataclass(frozen=True)
class Stage:
    """Units in a row that share their number of filters; one of them carries the stride.

    Args:
        units: How many units.
        filters: Channels that every unit of the stage gives.
        strides: Spatial stride of the stage; 1 by default.
        strided: Which unit of the stage has the stride: "first", the default, or "last" (as in
            `keras.applications.ResNet50V2` and its sisters).

    Raises:
        ValueError: if a number is not a positive int, or `strided` another word.

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
        require_positive_ints(self, where="stage")
        if self.strided not in ("first", "last"):
            raise ValueError(f"`strided` must be 'first' or 'last'. Received: strided={self.strided!r} (stage).")

    def strides_of(self, position: int) -> int:
        """The stride of the stage's unit number `position`, from 0."""
        return self.strides if position == (0 if self.strided == "first" else self.units - 1) else 1


@dataclass(frozen=True)
class Slot:
    """One unit's place in a network: all that a recipe may know when it builds the unit.

    Args:
        index: Position among all units, from 0 as in `x_0 .. x_L` (He et al. 2016, Eq. 4).
        total: Number of units in the network, `L`.
        in_filters: Channels that arrive.
        filters: Channels that leave.
        strides: Spatial stride; 1 by default.
        activated: What arrives went through norm and activation already, in the stem. A
            pre-activation unit then does not repeat it (He et al. 2016, appendix: "the first
            activation right after conv1, before splitting into two paths").

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
        require_positive_ints(self, where=f"unit '{self.name}'")

    @property
    def name(self) -> str:
        """The unit's name, by position: `unit000`, `unit001`, ..."""
        return f"unit{self.index:03d}" if isinstance(self.index, int) else f"unit{self.index}"

    @property
    def changes_shape(self) -> bool:
        """Whether what leaves has another shape than what arrives."""
        return self.strides != 1 or self.in_filters != self.filters


def plan(stages: Sequence[Stage], in_filters: int, activated: bool = False) -> tuple[Slot, ...]:
    """Lay stages out as one slot for each unit.

    Args:
        stages: The network's stages, in order.
        in_filters: Channels of the stem's output.
        activated: Whether the stem ends in norm and activation; only the first slot is told.

    Returns:
        The slots, in order.

    Raises:
        ValueError: if there is no stage, or a number is not a positive int.

    Example:

    >>> from keras_resunits import Stage, plan
    >>> for slot in plan([Stage(2, 16), Stage(1, 32, strides=2)], in_filters=16):
    ...     print(slot.name, slot.in_filters, "->", slot.filters, "stride", slot.strides)
    unit000 16 -> 16 stride 1
    unit001 16 -> 16 stride 1
    unit002 16 -> 32 stride 2
    """
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
