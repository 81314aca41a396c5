"""Checks of a new unit: where the branch starts at zero, something else must pass a gradient."""

from __future__ import annotations

import keras

from keras_resunits.units.unit import Unit


def starts_at_zero(layer: keras.layers.Layer) -> bool:
    """Whether the output of a layer is initially 0, because of its gamma, its kernel or its scalar.

    Example:

    >>> import keras_resunits as kr
    >>> starts_at_zero(kr.rezero(kr.Slot(0, 1, 8, 8))[0]), starts_at_zero(kr.ScalarGate())
    (True, False)
    """
    own = getattr(layer, "starts_at_zero", None)
    if own is not None:
        return own
    initializers = (getattr(layer, f"{name}_initializer", None) for name in ("gamma", "kernel"))
    return any(isinstance(initializer, keras.initializers.Zeros) for initializer in initializers)


def require_alive(unit: Unit) -> None:
    """Refuse a unit that no gradient passes, initially or later: nothing in it would learn.

    Raises:
        ValueError: if two layers of the branch start at zero, since each keeps the other's gradient at 0. Also if one
            does and the merge carries nothing past the branch.
    """
    zeros = [layer.name for layer in unit.branch._flatten_layers() if starts_at_zero(layer)]
    if len(zeros) > 1:
        raise ValueError(
            "only one layer of a branch may start at zero; two of them keep each other's gradient at 0 forever. "
            f"Received: {' and '.join(map(repr, zeros))} (unit '{unit.name}')."
        )
    if zeros and not unit.merge.carries_at_first:
        raise ValueError(
            "a branch that starts at zero requires a merge that carries something past it, such as 'add'; otherwise "
            f"the unit outputs 0 and no gradient passes. Received: merge {type(unit.merge).__name__}, {zeros[0]!r} in "
            f"the branch (unit '{unit.name}')."
        )
