"""Units dropped, inserted, put in another order, and replaced."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from keras_resunits.arguments import checked, instance_of, require_mapping, require_network, require_text
from keras_resunits.surgery.chains import Part, Parts, put_together, take_apart
from keras_resunits.surgery.copies import copied, fresh
from keras_resunits.units.unit import Unit

require_unit = instance_of(Unit, "a `Unit`")


@checked(model=require_network)
def drop(model: keras.Model, *units: str) -> keras.Model:
    """Return a network without some of its units.

    Args:
        model: A network of the package.
        *units: Names of units that do not change the shape.

    Returns:
        A new model. The other units keep their weights, and are named by their new positions.

    Raises:
        ValueError: if a unit is unknown (the message names similar ones) or changes the shape, or none would be left.

    Invariant: dropping units that are the identity, such as those of a gate closed to 0, changes no output by any bit.
    `insert` of a dropped unit at its place restores the network.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.surgery.drop(kr.PreActResNet(depth=20), "unit001", "unit008")
    >>> [layer.origin for layer in model.layers if isinstance(layer, kr.Unit)]
    ['unit000', 'unit002', 'unit003', 'unit004', 'unit005', 'unit006', 'unit007']
    """
    parts = take_apart(model)
    for name in units:
        require_removable(parts, name)
    return put_together(parts.with_chain(part for part in parts.chain if part.name not in units))


def require_removable(parts: Parts, name: str) -> None:
    """Refuse a unit without which the shapes no longer fit."""
    part = parts.unit(name)
    if not part.keeps_shape:
        raise ValueError(
            f"surgery must not change shapes: unit '{name}' of '{parts.name}' turns {part.input_shape} into "
            f"{part.output_shape} and cannot be dropped. Drop units that keep their shape: {_kept(parts)}."
        )


def removable(parts: Parts) -> list[str]:
    """Return the names of the units that keep their shape."""
    return [name for name, part in parts.units.items() if part.keeps_shape]


def _kept(parts: Parts) -> str:
    return ", ".join(removable(parts)) or "it has none"


@checked(model=require_network, unit=require_unit, before=require_text.or_none)
def insert(model: keras.Model, unit: Unit, before: str | None = None) -> keras.Model:
    """Return a network with one more unit.

    Args:
        model: A network of the package.
        unit: A unit, of this or another network, or a new one that is not built. It is copied with its weights.
        before: Name of the unit that it precedes. Defaults to `None`, for a place after the last unit.

    Returns:
        A new model.

    Raises:
        ValueError: if `before` is unknown, or the unit does not keep the shape at its place.

    Invariant: the inverse of `drop`, bit for bit.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=20)
    >>> longer = kr.surgery.insert(model, model.get_layer("unit004"), before="unit005")
    >>> [layer.origin for layer in longer.layers if isinstance(layer, kr.Unit)][4:7]
    ['unit004', 'unit004', 'unit005']
    """
    parts = take_apart(model)
    names = [part.name for part in parts.chain]
    last = parts.units[list(parts.units)[-1]]
    at = names.index(last.name) + 1 if before is None else names.index(parts.unit(before).name)
    shape = parts.chain[at].input_shape if before else last.output_shape
    part = unit_part(unit, shape, origin=_origin(unit))
    if not part.keeps_shape:
        raise ValueError(
            f"surgery must not change shapes: an inserted unit must keep {shape}. Received: unit '{unit.name}', which "
            f"returns {part.output_shape} (surgery on '{parts.name}')."
        )
    return put_together(parts.with_chain([*parts.chain[:at], part, *parts.chain[at:]]))


def _origin(unit: Unit) -> str | None:
    """Return what a unit remembers of where it came from; a unit that is not built comes from nowhere."""
    return unit.origin or (unit.name if unit.built else None)


def unit_part(unit: Unit, shape, **changes) -> Part:
    """Return a unit as a part for inputs of a shape: a copy, or built anew if it is not built."""
    try:
        return Part((copied if unit.built else fresh)(unit, shape, **changes), shape)
    except ValueError as error:
        raise ValueError(f"unit '{unit.name}' does not fit inputs of shape {shape}: {error}") from error


@checked(model=require_network)
def reorder(model: keras.Model, units) -> keras.Model:
    """Return a network with its units in another order.

    Args:
        model: A network of the package.
        units: Names of all its units, in their new order.

    Returns:
        A new model.

    Raises:
        ValueError: if a unit is unknown, missing or named twice, or the shapes would not fit: units move within a
            stage.

    Invariant: every unit keeps its weights; the inverse permutation restores the network bit for bit.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=20)
    >>> order = [f"unit00{i}" for i in (0, 2, 1, 3, 5, 4, 6, 8, 7)]
    >>> kr.surgery.reorder(model, order).get_layer("unit001").origin
    'unit002'
    """
    parts = take_apart(model)
    units = require_text.each(units, "units", "reorder")
    moved = iter([parts.unit(name) for name in units])
    if sorted(units) != sorted(parts.units):
        wrong = next(iter(parts.units.keys() - set(units)), None)
        problem = f"'{wrong}' is missing" if wrong else "a unit is named twice"
        raise ValueError(f"`units` must name each of the {len(parts.units)} units once. Received: {problem} (reorder).")
    return put_together(parts.with_chain(next(moved) if part.is_unit else part for part in parts.chain))


@checked(model=require_network, units=require_mapping)
def replace(model: keras.Model, units: Mapping[str, Unit]) -> keras.Model:
    """Return a network with other units in some places.

    Args:
        model: A network of the package.
        units: The new units by the names of those that they replace. They are copied with their weights; those that are
            not built get new ones.

    Returns:
        A new model. Nothing is carried from a unit that is replaced. The `origin` of a built unit is the name that it
        had in its network.

    Raises:
        ValueError: if a name is unknown, or a new unit would change the shape at its place.

    Invariant: a unit replaced by itself changes no output by any bit.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=20)
    >>> slot = model.get_layer("unit004").slot
    >>> squeezed = kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity, tail=kr.squeeze_excite)(slot)
    >>> kr.describe(kr.surgery.replace(model, {"unit004": squeezed}))[5].F
    'norm act conv3 norm act conv3 squeeze_excite'
    """
    parts = take_apart(model)
    new = {
        name: unit_part(
            require_unit(unit, f"units[{name!r}]", "replace"), parts.unit(name).input_shape, origin=_origin(unit)
        )
        for name, unit in units.items()
    }
    for name, part in new.items():
        if part.output_shape != parts.unit(name).output_shape:
            raise ValueError(
                f"surgery must not change shapes: a unit in place of '{name}' must return "
                f"{parts.unit(name).output_shape}. Received: {part.output_shape} (surgery on '{parts.name}')."
            )
    return put_together(parts.with_chain(new.get(part.name, part) if part.is_unit else part for part in parts.chain))
