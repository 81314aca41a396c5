"""The places of units in their stages, after which other libraries name their layers."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_resunits.units.unit import Unit, units_of


@dataclass(frozen=True)
class Place:
    """The place of a unit.

    Args:
        kind: "unit", or "transition" between two dense blocks.
        stage: Index of the stage, from 0; a transition belongs to the block before it.
        position: Index within the stage, from 0.
    """

    kind: str
    stage: int
    position: int


def places_of(model: keras.Model) -> dict[str, Place]:
    """Return the place of each unit by its name, derived from its input and output channels.

    A stage of residual units begins where the number of channels changes. If units concatenate, each of them adds
    channels; a unit that adds none is the transition to the next stage (Huang et al. 2017, Fig. 2).

    Example:

    >>> import keras_resunits as kr
    >>> places_of(kr.ResNet(depth=[1, 2, 1]))["unit002"]
    Place(kind='unit', stage=1, position=1)
    """
    units = units_of(model)
    concatenates = any(unit.merge.widens for unit in units)
    return (_dense if concatenates else _residual)(units)


def _residual(units: list[Unit]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    stage, position = 0, 0
    for unit in units:
        if places and _gives(unit) != _takes(unit):
            stage, position = stage + 1, 0
        places[unit.name] = Place("unit", stage, position)
        position += 1
    return places


def _dense(units: list[Unit]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    stage, position = 0, 0
    for unit in units:
        if _gives(unit) > _takes(unit):
            places[unit.name] = Place("unit", stage, position)
            position += 1
        else:
            places[unit.name] = Place("transition", stage, position)
            stage, position = stage + 1, 0
    return places


def _takes(unit: Unit) -> int:
    return unit.input.shape[-1]


def _gives(unit: Unit) -> int:
    return unit.output.shape[-1]
