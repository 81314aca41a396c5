"""What a unit is before the first step: a branch that starts at zero must have something beside it that does not."""

from __future__ import annotations

import keras

from keras_resunits.units.unit import Unit


def starts_at_zero(layer: keras.layers.Layer) -> bool:
    """Whether all that a layer gives is 0 at first: by its gamma, its kernel, or its scalar.

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
    """Refuse a unit that no gradient passes at first, nor ever: nothing in it would learn.

    Raises:
        ValueError: for two zeros one behind the other, each of which keeps the other's gradient at 0; and for one where
            the merge carries nothing past the branch.
    """
    zeros = [layer.name for layer in unit.branch._flatten_layers() if starts_at_zero(layer)]
    if len(zeros) > 1:
        raise ValueError(
            "a branch may start at zero once; two zeros keep each other's gradient at 0 for ever. "
            f"Received: {' and '.join(map(repr, zeros))} (unit '{unit.name}')."
        )
    if zeros and not unit.merge.carries_at_first:
        raise ValueError(
            "a branch that starts at zero wants a merge that carries something past it, such as 'add': else the unit "
            f"gives 0, and no gradient passes. Received: merge {type(unit.merge).__name__}, {zeros[0]!r} in the branch "
            f"(unit '{unit.name}')."
        )
