"""More units per stage, each initially the identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resunits.arguments import (
    checked,
    one_of,
    require_function,
    require_network,
    require_positive_int,
)
from keras_resunits.layers.arrays import array
from keras_resunits.layers.series import flattened
from keras_resunits.models.depths import IMAGENET_UNITS
from keras_resunits.surgery.chains import Part, Parts, put_together, take_apart
from keras_resunits.surgery.copies import copied, fresh
from keras_resunits.surgery.policies import in_its_policy
from keras_resunits.surgery.rearranging import unit_part
from keras_resunits.units.gates import ScalarGate
from keras_resunits.units.liveness import starts_at_zero
from keras_resunits.units.slots import Slot
from keras_resunits.units.unit import Unit

CLOSE = 1e-6
"""The largest change of a value, relative to the largest, that counts as none."""
SIDE = 8
"""Height and width of the probes of networks that take images of any size."""


@checked(
    model=require_network,
    depth=require_positive_int.or_none,
    where=one_of("end", "spread"),
    recipe=require_function.or_none,
)
@in_its_policy
def deepen(
    model: keras.Model,
    depth: int | None = None,
    units_per_stage=None,
    where: str = "end",
    recipe: Callable[[Slot], Unit] | None = None,
) -> keras.Model:
    """Return a deeper network with the same function, in which every new weight learns.

    A new unit is a copy of its neighbour with new weights, whose last weights are set to 0: the last convolution, the
    gamma and beta of the last norm, or the scalar of ReZero. Its branch then returns 0, so the unit is its shortcut.

    Args:
        model: A network of the package.
        depth: Number of weight layers of the new network: those of the stem, the branches and the classifier. WRNs are
            counted so too, without the projections that their papers count. Either this or `units_per_stage`.
        units_per_stage: Units of each stage of the new network. A stage is a run of units with outputs of one shape.
        where: "end" (default) puts new units after the last of their stage, "spread" between the old ones, evenly.
        recipe: Makes new units from a `Slot`, for stages where no unit can serve as the pattern: a `Recipe` or a
            function `Slot -> Unit`. Defaults to copies of the neighbour.

    Returns:
        A new model. Old units keep their weights, survival probabilities and slots; new ones have no `origin`.
        They are trainable, also where old ones are frozen.

    Raises:
        ValueError: if the depth is not reached by whole units, a stage would lose units, or new units would change the
            function or never learn. The message states the reason and what to do instead.

    Invariant: no output changes by more than 1e-6 of the largest, at inference and in training mode. Every new weight
    has a gradient by the second step.

    Example:

    >>> import keras_resunits as kr
    >>> deeper = kr.surgery.deepen(kr.PreActResNet(depth=20), depth=32)
    >>> [row.unit for row in kr.describe(deeper) if row.unit.startswith("unit")][-1]
    'unit014'
    """
    parts = take_apart(model)
    stages = [_Stage(list(units)) for _, units in groupby(parts.units.values(), lambda part: part.output_shape)]
    wanted = _wanted(parts, stages, depth, units_per_stage)
    grown: list[Part] = []
    for stage, count in zip(stages, wanted, strict=True):
        grown += _grown(parts, stage, count, where, recipe)
    first = next(i for i, part in enumerate(parts.chain) if part.is_unit)
    rest = [part for part in parts.chain[first:] if not part.is_unit]
    return put_together(parts.with_chain([*parts.chain[:first], *grown, *rest]))


@dataclass(frozen=True)
class _Stage:
    """Consecutive units with outputs of one shape."""

    units: list[Part]

    @property
    def shape(self) -> tuple[int | None, ...]:
        return self.units[0].output_shape

    def pattern(self, before: Part) -> Part | None:
        """Return the unit nearest to `before` that keeps the shape and has all of its layers.

        The stem has already activated the input of a unit whose slot is marked so, which lacks these layers.
        """
        place = self.units.index(before)
        fit = [each for each in self.units if each.keeps_shape and not (each.layer.slot and each.layer.slot.activated)]
        return min(fit, key=lambda each: abs(self.units.index(each) - place), default=None)


def _wanted(parts: Parts, stages: list[_Stage], depth: int | None, units_per_stage) -> list[int]:
    """Return the units of each stage of the deeper network."""
    have = [len(stage.units) for stage in stages]
    if (depth is None) == (units_per_stage is None):
        raise ValueError("`deepen` requires either `depth` or `units_per_stage`. Received: both or neither.")
    wanted = (
        _units_of(parts, have, depth)
        if depth is not None
        else list(require_positive_int.each(units_per_stage, "units_per_stage", "deepen"))
    )
    if len(wanted) != len(have) or any(new < old for new, old in zip(wanted, have, strict=True)):
        raise ValueError(
            f"`units_per_stage` must hold {len(have)} numbers of at least {have}, the units that '{parts.name}' has. "
            f"Received: {wanted} (deepen)."
        )
    return wanted


def _units_of(parts: Parts, have: list[int], depth: int) -> list[int]:
    """Return the units of each stage at a depth: the papers' with four stages, else equally many more in each."""
    each = {_weight_layers(part.layer.branch) for part in parts.units.values()}
    if len(each) != 1:
        raise ValueError(
            f"`depth` requires units with equally many weight layers; those of '{parts.name}' have "
            f"{sorted(each)}. Pass `units_per_stage`."
        )
    (layers,) = each
    others = sum(_weight_layers(part.layer) for part in parts.chain if not part.is_unit)
    body, published = IMAGENET_UNITS.get(depth, (None, ()))
    if body and (body.depth, len(published)) == (layers, len(have)):
        return list(published)
    step = layers * len(have)
    now = others + layers * sum(have)
    more, rest = divmod(depth - now, step)
    if rest or more < 0:
        after = now + step * (max(more, 0) + 1)
        raise ValueError(
            f"no depth {depth} from the {now} of '{parts.name}' with whole units in every stage: depths are "
            f"{now} + {step}n. Nearest: {after - step}, {after}. Received: depth={depth} (deepen)."
        )
    return [count + more for count in have]


def _weight_layers(layer: keras.layers.Layer) -> int:
    """Count the convolutions and dense layers along the path through a layer."""
    return sum(hasattr(leaf, "kernel") for leaf in flattened(layer))


def _grown(parts: Parts, stage: _Stage, count: int, where: str, recipe) -> Iterator[Part]:
    """Yield the units of a stage, old and new."""
    new, old = count - len(stage.units), len(stage.units)
    for i, part in enumerate(stage.units, 1):
        yield part
        due = new * i // old if where == "spread" else new * (i == old)
        before = new * (i - 1) // old if where == "spread" else 0
        for _ in range(due - before):
            yield _identity(parts, stage, part, recipe)


def _identity(parts: Parts, stage: _Stage, before: Part, recipe) -> Part:
    """Return a new unit that passes on what the unit before it returns."""
    place = f"behind '{before.name}' of '{parts.name}'"
    pattern = stage.pattern(before)
    if recipe is not None:
        channels: Any = stage.shape[-1]  # always known
        old = before.layer.slot or Slot(0, len(parts.units), channels, channels)
        slot = replace(old, in_filters=channels, filters=channels, strides=1, activated=False)
        part = unit_part(recipe(slot), stage.shape, origin=None)
    elif pattern is None:
        raise ValueError(
            f"a new unit {place} requires a pattern: no unit of its stage keeps the shape and has all layers. "
            "Pass `recipe=`, the `Recipe` of the network's units."
        )
    else:
        part = Part(fresh(pattern.layer, stage.shape, origin=None), stage.shape)
        part.layer.trainable = True  # the pattern may be frozen
    unit = part.layer
    values = _values(before)
    _require_open(unit, values, place)
    if isinstance(getattr(unit.merge, "gate", None), ScalarGate):
        _close(unit, unit.merge.gate, place)
    else:
        _empty(unit, values, place)
    merged = _difference(unit.merge(values, _like(values, 0.0), values), values)
    if not merged <= CLOSE:
        raise _refusal(
            unit, place, f"its merge {type(unit.merge).__name__} does not return the carry where the branch is 0"
        )
    return part


def _values(before: Part):
    """Return what a unit may pass on: its output for random numbers."""
    shape = (2, *(side or SIDE for side in before.input_shape[1:]))
    numbers = np.random.default_rng(0).normal(size=shape).astype("float32")
    return ops.convert_to_tensor(copied(before.layer, before.input_shape)(numbers))


def _like(values, number: float):
    return ops.full_like(values, number)


def _difference(found, expected) -> float:
    """Return the largest difference of two tensors, relative to the largest value; infinite if their shapes differ."""
    if tuple(found.shape) != tuple(expected.shape):
        return float("inf")
    largest = ops.maximum(ops.max(ops.abs(expected)), 1e-30)
    return float(array(ops.max(ops.abs(found - expected)) / largest))


def _require_open(unit: Unit, values, place: str) -> None:
    """Refuse an entry, a shortcut or an exit that changes what passes, at inference or in training."""
    probe = copied(unit, values.shape)  # norms move their statistics in training
    for words, layer in (("entry e", probe.entry), ("shortcut h", probe.shortcut), ("exit f", probe.exit)):
        for mode, training in (("at inference", False), ("in training", True)):
            if not _difference(layer(values, training=training), values) <= CLOSE:
                raise _refusal(unit, place, f"its {words} changes what the unit before it returns ({mode})")


def _close(unit: Unit, gate: ScalarGate, place: str) -> None:
    """Close the scalar gate of a merge, if it can reopen."""
    gate.k.assign(0.0)
    if not _passes_zero([gate], _like(ops.ones((1,)), 1.0)):
        raise _refusal(unit, place, f"its gate g(k) has no gradient where it is closed (g is '{_name(gate.g)}')")


def _name(function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _empty(unit: Unit, values, place: str) -> None:
    """Let the branch return 0 through its last weights, where these get a gradient."""
    leaves = flattened(unit.branch)
    for i in reversed(range(len(leaves))):
        weights = _zeroable(leaves[i])
        if weights is None:
            continue
        for weight in weights:
            weight.assign(ops.zeros(weight.shape, dtype=weight.dtype))
        if not _passes_zero(leaves[i + 1 :], values):
            names = " ".join(f"'{leaf.name}'" for leaf in leaves[i + 1 :])
            raise _refusal(unit, place, f"behind its last weights, {names} would pass no gradient at 0")
        return
    raise _refusal(unit, place, "its branch has no weights that could be 0")


def _zeroable(layer: keras.layers.Layer) -> list | None:
    """Return the weights with which the output of a layer is 0, or `None` if it has no such weights."""
    if isinstance(layer, ScalarGate):
        return [layer.k] if starts_at_zero(layer) else None
    for factor, shift in (("kernel", "bias"), ("gamma", "beta")):
        if getattr(layer, factor, None) is not None:
            found = (getattr(layer, name, None) for name in (factor, shift))
            return [weight for weight in found if weight is not None]
    return None


def _passes_zero(layers: list[keras.layers.Layer], values) -> bool:
    """Whether layers return 0 for 0, and something else for small numbers of either sign: a gradient passes at 0."""

    def through(number: float):
        x = _like(values, number)
        for layer in layers:
            x = layer(x)
        return ops.convert_to_numpy(x)

    return not through(0.0).any() and bool(through(1e-3).all() and through(-1e-3).all())


def _refusal(unit: Unit, place: str, reason: str) -> ValueError:
    return ValueError(
        f"a new unit {place} would change the function or never learn: {reason}. "
        "Pass `recipe=` with units that can start as the identity, such as pre-activation units with identity "
        "shortcuts."
    )
