"""Units in another order or with another shortcut: the function changes, and what is not carried is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_resunits.arguments import checked, require_network, resolve
from keras_resunits.layers.nesting import inside
from keras_resunits.layers.serialization import serialized
from keras_resunits.layers.series import Series, flattened, series
from keras_resunits.surgery.chains import Part, put_together, take_apart
from keras_resunits.surgery.copies import carry, fresh, weights_of
from keras_resunits.surgery.policies import in_its_policy
from keras_resunits.units.orders import ORDERS, Order
from keras_resunits.units.orders.starts import remade
from keras_resunits.units.shortcuts import SHORTCUTS, Shortcut
from keras_resunits.units.slots import Slot

OF_ORDERS = re.compile(r"(norm|act|bias)\d*b?|scale")
"""The names that orders give to norms, activations and Fixup's scalars."""


@dataclass(frozen=True)
class Swapped:
    """The result of `set_order` and `swap_shortcut`.

    Args:
        model: The new model.
        not_carried: Paths of the old network's weights that it lacks, or has anew.
        new: Paths of its weights that have initial values.
    """

    model: keras.Model
    not_carried: tuple[str, ...]
    new: tuple[str, ...]


@checked(model=require_network)
@in_its_policy
def swap_shortcut(model: keras.Model, shortcut: str | Shortcut, order: str | Order) -> Swapped:
    """Return a network whose units have another shortcut. **The function changes**: train on.

    Args:
        model: A network of the package.
        shortcut: As for `ResNet`: a name, or a function `(Slot, Order) -> Layer`.
        order: The order of the network's units, which decides what accompanies a projection.

    Returns:
        `Swapped`: the new model, and the weights that were not carried: those of the old shortcuts.

    Raises:
        ValueError: if a name is unknown, a unit was made by hand and has no slot, or the shortcut does not fit.

    Invariant: branches, merges, entries and exits keep their weights.

    Example:

    >>> import keras_resunits as kr
    >>> swapped = kr.surgery.swap_shortcut(kr.ResNet(depth=8), "projection", order="post_act")
    >>> len(swapped.not_carried), swapped.new[0]
    (0, 'unit001/shortcut/conv/kernel')
    """
    shortcut = resolve("shortcut", shortcut, SHORTCUTS, Callable)
    order = resolve("order", order, ORDERS, Order)
    return _swapped(model, lambda part, slot: {"shortcut": shortcut(slot, order)}, dropped=("shortcut/",))


@checked(model=require_network)
@in_its_policy
def set_order(model: keras.Model, order: str | Order) -> Swapped:
    """Return a network whose units have norm and activation in another order. **The function changes**: train on.

    Args:
        model: A network of the package.
        order: As for `ResNet`: a name, or an `Order`.

    Returns:
        `Swapped`: the new model, and the weights that were not carried. Kernels, gates and merges are carried. Norms
        are new, since they would normalise other values. A stem that ends in norm and activation keeps them.

    Raises:
        ValueError: if the name is unknown, a unit was made by hand and has no slot, or it holds more than one branch.

    Invariant: every kernel of a branch, a shortcut or a merge keeps its value.

    Example:

    >>> import keras_resunits as kr
    >>> swapped = kr.surgery.set_order(kr.ResNet(depth=8), "full_pre_act")
    >>> kr.describe(swapped.model)[2].F, swapped.not_carried[0]
    ('conv3/2 norm act conv3', 'unit000/branch/norm1/gamma')
    """
    order = resolve("order", order, ORDERS, Order)

    def slots(part: Part, slot: Slot) -> dict[str, keras.layers.Layer]:
        weights, tail = _body(part.layer.branch, part.name)
        kernels = [leaf for leaf in flattened(part.layer.shortcut) if hasattr(leaf, "kernel")]
        projected = {"shortcut": series(order.projection(remade(kernels[0])), "shortcut")} if len(kernels) == 1 else {}
        return {
            "entry": series(order.entry(slot), "entry"),
            "branch": series([*order.branch(weights, slot), *tail], "branch"),
            "exit": series(order.exit(slot), "exit"),
            **projected,
        }

    return _swapped(model, slots, dropped=(), order=order)


def _swapped(model: keras.Model, slots: Callable, dropped: tuple[str, ...], order: Order | None = None) -> Swapped:
    """Return a network with other slots in its units; norms are carried only where the order stays."""
    parts = take_apart(model)
    chain: list[Part] = []
    new: list[str] = []
    for part in parts.chain:
        if part.is_unit:
            part, lost = _changed(part, slots, dropped, norms=order is None)
            new += [f"{part.name}/{path}" for path in lost]
        chain.append(part)
    if order is not None:
        chain, closing = _closed(chain, order)
        new += closing
    found = put_together(parts.with_chain(chain))
    kept = {weight.path for weight in found.weights} - set(new)
    return Swapped(found, tuple(w.path for w in model.weights if w.path not in kept), tuple(new))


def _changed(part: Part, slots: Callable, dropped: tuple[str, ...], norms: bool) -> tuple[Part, list[str]]:
    """Return a unit with other slots, and the paths of its weights that are new."""
    if part.layer.slot is None:
        raise ValueError(
            f"this requires units that know their slot. Received: unit '{part.name}', made by hand or by an earlier "
            "version. Give it its `slot`, or use `replace`."
        )
    changes = {name: serialized(layer) for name, layer in slots(part, part.layer.slot).items()}
    made = fresh(part.layer, part.input_shape, **changes)
    source = {
        path: weight
        for path, weight in weights_of(part.layer).items()
        if not path.startswith(dropped or "//") and (norms or _is_kept(path))
    }
    return Part(made, part.input_shape), carry(source, made)


def _is_kept(path: str) -> bool:
    """Whether a weight keeps its meaning in another order: all but those of norms and Fixup's scalars."""
    return not OF_ORDERS.fullmatch(path.rsplit("/", 2)[-2])


def _closed(chain: list[Part], order: Order) -> tuple[list[Part], list[str]]:
    """Return a chain with the order's layers before the head, and the paths of their weights."""
    kept = [part for part in chain if part.name != "post"]
    last = max(i for i, part in enumerate(kept) if part.is_unit)
    layers = order.head()
    if not layers:
        return kept, []
    shape = kept[last].output_shape
    post = fresh(Series(layers, name="post"), shape)
    return [*kept[: last + 1], Part(post, shape), *kept[last + 1 :]], [f"post/{path}" for path in weights_of(post)]


def _body(branch: keras.layers.Layer, name: str) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
    """Return copies of the weight layers of a branch, and of the tail behind the last of them."""
    layers = list(getattr(branch, "layers", [branch]))
    weights = [i for i, layer in enumerate(layers) if _has_kernel(layer)]
    if not weights:
        raise ValueError(f"`set_order` requires a branch that is a series of weight layers (unit '{name}').")
    tail = [layer for layer in layers[weights[-1] + 1 :] if not _is_of_order(layer)]
    return [remade(layers[i]) for i in weights], [remade(layer) for layer in tail]


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return hasattr(layer, "kernel") or (isinstance(layer, Series) and any(_has_kernel(each) for each in inside(layer)))


def _is_of_order(layer: keras.layers.Layer) -> bool:
    """Whether an order placed a layer: a norm or an activation, or one of Fixup's scalars."""
    return bool(OF_ORDERS.fullmatch(layer.name)) and not isinstance(layer, keras.layers.Rescaling)
