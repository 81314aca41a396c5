"""Units as pictures: what `describe` tells in a table, to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_resunits.arguments import Kind, checked
from keras_resunits.units.unit import Unit


def _can_be_drawn(value) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(unit, Unit) for unit in value.values())
    return isinstance(value, Unit) or (isinstance(value, keras.Model) and bool(_units(value)))


def _units(model: keras.Model) -> list[Unit]:
    return [layer for layer in model.layers if isinstance(layer, Unit)]


require_units: Kind = Kind("a network with units, a unit, or a dict of units by their titles", _can_be_drawn)


@checked(units=require_units)
def draw(units: keras.Model | Unit | Mapping[str, Unit]) -> Any:
    """Draw residual units: entry, fork, shortcut on the left, branch on the right, merge and exit.

    Args:
        units: A network, whose first unit of each kind is drawn, with the number of units that are alike; a unit; or
            units by their titles.

    Returns:
        A figure of matplotlib, 9 inches wide, which a notebook shows. Its `savefig` writes it.

    Raises:
        ValueError: for anything else, or a network without units.

    Example: five units, of which two are alike

    >>> import keras_resunits as kr
    >>> figure = kr.draw(kr.PreActResNet(depth=[3, 1, 1]))
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    ['unit000', 'unit001', '2 of these', 'unit003', 'unit004']
    """
    from keras_resunits.analysis.unit_pictures import kinds, picture, pictures  # late: matplotlib

    if isinstance(units, keras.Model):
        units = kinds(_units(units))
    elif isinstance(units, Unit):
        units = {units.name: units}
    return picture({"": pictures(units)})
