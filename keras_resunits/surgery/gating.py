"""Scalar gates added to a trained network, and removed from one."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from keras_resunits.arguments import checked, require_activation, require_network, require_number
from keras_resunits.layers.arrays import array
from keras_resunits.layers.serialization import serialized
from keras_resunits.layers.series import flattened, series
from keras_resunits.surgery.chains import Part, put_together, take_apart
from keras_resunits.surgery.copies import carry, carry_states, fresh, weights_of
from keras_resunits.surgery.policies import in_its_policy
from keras_resunits.units.gates import ScalarGate
from keras_resunits.units.merges import Add, BranchOnly, ScalarHighway
from keras_resunits.units.unit import Unit


@checked(model=require_network, initial=require_number)
@in_its_policy
def to_gated(model: keras.Model, g: str | Callable = "relu", initial: float = 1.0) -> keras.Model:
    """Return a network with one open scalar gate in every unit, as in Savarese et al. 2016.

    A unit that adds gets `g(k)` at the end of its branch, a unit of a plain network `g(k) F + (1 - g(k)) h`. Units that
    already have a scalar gate keep it. The gate of a frozen unit is frozen, too.

    Args:
        model: A network of the package.
        g: Activation of the gate. Defaults to "relu".
        initial: Initial value of `k`, with `g(initial) = 1`. Defaults to 1.

    Returns:
        A new model, to train on until gates close; `prune(model, "gate", ...)` then drops their units.

    Raises:
        ValueError: if `g(initial)` is not 1, which would change the function, or a unit has another merge, or edges of
            different shapes.

    Invariant: no output changes by any bit, at inference and in training mode.

    Example:

    >>> import keras_resunits as kr
    >>> kr.gates(kr.surgery.to_gated(kr.PreActResNet(depth=8)))
    {'unit000': 1.0, 'unit001': 1.0, 'unit002': 1.0}
    """
    function = require_activation(g, "g", "to_gated")
    opened = float(array(function(ops.convert_to_tensor(initial))))
    if opened != 1.0:
        raise ValueError(f"`to_gated` requires open gates, g(initial) = 1. Received: g({initial}) = {opened}.")
    parts = take_apart(model)
    return put_together(
        parts.with_chain(_gated(part, function, initial) if part.is_unit else part for part in parts.chain)
    )


def _gated(part: Part, g, initial: float) -> Part:
    unit = part.layer
    if any(isinstance(layer, ScalarGate) for layer in unit._flatten_layers()):
        return part
    gate = ScalarGate(g, initial, name="gate", dtype=unit.dtype_policy.name)
    if isinstance(unit.merge, Add):
        return with_slots(part, branch=_followed(unit.branch, gate))
    z = unit.entry.compute_output_shape(part.input_shape)
    edges = [tuple(edge.compute_output_shape(z)) for edge in (unit.shortcut, unit.branch)]
    if isinstance(unit.merge, BranchOnly) and edges[0] == edges[1]:
        return with_slots(part, merge=ScalarHighway(gate, name="merge", dtype=unit.dtype_policy.name))
    raise ValueError(
        "`to_gated` requires units that add, or plain units with edges of one shape. Received: merge "
        f"{type(unit.merge).__name__}, edges {edges[0]} and {edges[1]} (unit '{unit.name}')."
    )


def _followed(layer: keras.layers.Layer, last: keras.layers.Layer) -> keras.layers.Layer:
    """Return a series that ends in one more layer."""
    return series([*getattr(layer, "layers", [layer]), last], name=layer.name)


def with_slots(part: Part, **slots: keras.layers.Layer) -> Part:
    """Return a unit with other layers in some of its five slots; it keeps the weights whose paths remain.

    The states of random generators are kept if the new layers add or remove none.
    """
    made = fresh(part.layer, part.input_shape, **{name: serialized(layer) for name, layer in slots.items()})
    carry(weights_of(part.layer), made)
    carry_states(part.layer, made)
    return Part(made, part.input_shape)


@checked(model=require_network)
@in_its_policy
def from_gated(model: keras.Model) -> keras.Model:
    """Return a network whose scalar gates are constants: open ones are removed, others scale by their value.

    Args:
        model: A network with scalar gates, such as a trained `GatedResNet`.

    Returns:
        A new model without the gates' weights. `fold` takes the constants into weights; `prune` or `drop` removes units
        that are closed.

    Raises:
        ValueError: if no unit has a scalar gate at the end of its branch or in its merge.

    Invariant: no output changes by more than 1e-6 of the largest, at inference and in training mode.

    Example:

    >>> import keras_resunits as kr
    >>> plain = kr.surgery.from_gated(kr.GatedResNet(depth=8))
    >>> plain.count_params() == kr.PreActResNet(depth=8).count_params()
    True
    """
    parts = take_apart(model)
    chain = [_ungated(part) if part.is_unit else part for part in parts.chain]
    if all(new is old for new, old in zip(chain, parts.chain, strict=True)):
        raise ValueError(f"`from_gated` requires a network with scalar gates. Received: '{model.name}' without one.")
    return put_together(parts.with_chain(chain))


def _ungated(part: Part) -> Part:
    unit = part.layer
    slots: dict[str, keras.layers.Layer] = {}
    leaves = flattened(unit.branch)
    if leaves and any(isinstance(leaf, ScalarGate) for leaf in leaves):
        slots["branch"] = series([each for layer in unit.branch.layers for each in _constant(layer)], name="branch")
    if isinstance(unit.merge, ScalarHighway):
        slots |= _opened(unit, float(array(unit.merge.gate.value())), slots.get("branch", unit.branch))
    return with_slots(part, **slots) if slots else part


def _constant(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return what stands for a gate: nothing where it is open, else its value as a factor."""
    if not isinstance(layer, ScalarGate):
        return [layer]
    value = float(array(layer.value()))
    return [] if value == 1.0 else [keras.layers.Rescaling(value, name=layer.name, dtype=layer.dtype_policy.name)]


def _opened(unit: Unit, value: float, branch: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """Return the slots that stand for `g(k) F + (1 - g(k)) h` at a value of the gate."""
    if value == 1.0:
        return {"merge": BranchOnly(name="merge", dtype=unit.dtype_policy.name)}
    shares = {"scale": 1.0 - value, "gate": value}
    carried, kept = (
        keras.layers.Rescaling(share, name=name, dtype=unit.dtype_policy.name) for name, share in shares.items()
    )
    return {
        "shortcut": series([*flattened(unit.shortcut), carried], name="shortcut"),
        "branch": _followed(branch, kept),
        "merge": Add(name="merge", dtype=unit.dtype_policy.name),
    }
