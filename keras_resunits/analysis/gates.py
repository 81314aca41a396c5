"""The scalar gates of a network and their values."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras

from keras_resunits.arguments import checked, require_model
from keras_resunits.layers.arrays import array
from keras_resunits.units.gates import ScalarGate


@checked(model=require_model)
def scalar_gates(model: keras.Model) -> dict[str, list[ScalarGate]]:
    """Return the scalar gates of a network by the names of their units; units without gates are left out.

    Networks inside the model are searched too. If two of them have a unit of the same name, the second one's gates are
    listed under the network's name and the unit's, such as `backbone/unit000`.

    Example:

    >>> import keras_resunits as kr
    >>> [gate.g.__name__ for gate in kr.scalar_gates(kr.GatedResNet(depth=8))["unit000"]]
    ['relu']
    """
    found: dict[str, list[ScalarGate]] = {}
    for owner, unit in _inside(model):
        gates = [layer for layer in unit._flatten_layers() if isinstance(layer, ScalarGate)]
        if gates:
            found[f"{owner}/{unit.name}" if unit.name in found else unit.name] = gates
    return found


def _inside(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yield the layers of a model and of the models inside it, each with the name of its model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _inside(layer)
        else:
            yield model.name, layer


@checked(model=require_model)
def gates(model: keras.Model) -> dict[str, float]:
    """Return `{unit: g(k)}` for every unit of `model` with a scalar gate, in order.

    Args:
        model: A network of the package, or a model that contains one.

    Returns:
        Floats by the names of the units, for several gates in a unit their product. Empty for a network without such
        gates.

    Example:

    >>> import keras_resunits as kr
    >>> kr.gates(kr.GatedResNet(depth=8))
    {'unit000': 1.0, 'unit001': 1.0, 'unit002': 1.0}
    """
    found = scalar_gates(model)
    return {name: math.prod(float(array(gate.value())) for gate in found[name]) for name in found}
