"""TODO: keras_resunits.analysis.gates"""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
from keras import ops

from keras_resunits.units.gates import ScalarGate


def scalar_gates(model: keras.Model) -> dict[str, list[ScalarGate]]:
    """The scalar gates of a network by the names of their units; units without any are left out.

    Networks inside the model are looked into; a unit's name that two of them have is `body/unit000` in the second.

    Example:

    >>> import keras_resunits as kr
    >>> [gate.g.__name__ for gate in kr.scalar_gates(kr.GatedResNet(depth=8))["unit000"]]
    ['relu']
    """
    found: dict[str, list[ScalarGate]] = {}
    for owner, unit in _inside(model):
        gates = [layer for layer in unit._flatten_layers(include_self=False) if isinstance(layer, ScalarGate)]
        if gates:
            found[f"{owner}/{unit.name}" if unit.name in found else unit.name] = gates
    return found


def _inside(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers of a model and of the models in it, each with its model's name."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _inside(layer)
        else:
            yield model.name, layer


def gates(model: keras.Model) -> dict[str, float]:
    """`{unit: g(k)}` of every unit of `model` that has a scalar gate, in order.

    Args:
        model: A network of the package, or a model that holds one.

    Returns:
        Floats by the units' names (the product where a unit has several); empty for a network without such gates.

    Example:

    >>> import keras_resunits as kr
    >>> kr.gates(kr.GatedResNet(depth=8))
    {'unit000': 1.0, 'unit001': 1.0, 'unit002': 1.0}
    """
    found = scalar_gates(model)
    return {name: math.prod(float(ops.convert_to_numpy(gate.value())) for gate in found[name]) for name in found}
