"""The network that the configuration specifies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_resunits import describe
from keras_resunits.arguments import resolve
from keras_resunits.models.rematerialized import remat_of, require_remat
from keras_resunits.models.stems import STEMS
from keras_resunits.surgery import put_together, take_apart
from keras_resunits.units.bodies import BODIES
from keras_resunits.units.merges import MERGES
from keras_resunits.units.orders import ORDERS
from keras_resunits.units.shortcuts import SHORTCUTS
from keras_resunits.units.tails import TAILS
from keras_resunits.units.unit import units_of
from keras_resunits.zoo import registry

from ..process.errors import BadInput
from ..settings.sections import Network
from .initial import initial_network

TABLES: dict[str, Mapping[str, Any]] = {
    "block": BODIES,
    "order": ORDERS,
    "shortcut": SHORTCUTS,
    "stem": STEMS,
    "merge": MERGES,
    "tail": TAILS,
}


def network(
    chosen: Network,
    image_shape: tuple[int, int, int],
    classes: int,
    initial: Path | None = None,
    told: Callable[[str], None] = lambda text: None,
    remat: str | None = None,
    class_names: Sequence[str] = (),
) -> keras.Model:
    """Build the network, or read it from a file.

    Args:
        chosen: The choices: names, or objects (`Config.realized`).
        image_shape: `(height, width, channels)`.
        classes: The number of classes.
        initial: The `.keras` file to take the network from; none by default.
        told: Called with what is done to the file's network.
        remat: What training computes again in the backward pass, as in `--remat`; nothing by default.
        class_names: The names of the classes, by which a file's head is kept or not; see `initial_network`.

    Raises:
        BadInput: for a choice that does not exist, or that the family does not accept.
    """
    if initial:
        model = initial_network(initial, image_shape, classes, told, class_names)
        return model if remat is None else _with_remat(model, remat)
    assert chosen.model is not None  # only a file's network has no name
    again: dict[str, Any] = {} if remat is None else {"remat": _recomputed(remat)}
    if callable(chosen.model):
        return _of_function(chosen.model, image_shape, classes, {**chosen.choices, **again})
    try:
        return registry.create(chosen.model, input_shape=image_shape, classes=classes, **chosen.choices, **again)
    except ValueError as error:
        raise BadInput(of_images(str(error), image_shape)) from error


def _of_function(
    function: Callable, image_shape: tuple[int, int, int], classes: int, choices: Mapping[str, Any]
) -> keras.Model:
    """The network that a function of the user's makes.

    Raises:
        BadInput: if it does not take the choices, or returns no network for such images and classes.
    """
    name = getattr(function, "__name__", "function")
    try:
        inspect.signature(function).bind(input_shape=image_shape, classes=classes, **choices)
    except TypeError as error:
        raise BadInput(
            f"--model: {name}(): {error}; it gets input_shape, classes, and the flags that are set."
        ) from None
    model = function(input_shape=image_shape, classes=classes, **choices)
    if not isinstance(model, keras.Model):
        raise BadInput(f"--model: {name}() must return a Keras model; got {type(model).__name__}.")
    wanted = (None, *image_shape), (None, classes)
    if (got := (model.input_shape, model.output_shape)) != wanted:
        raise BadInput(f"--model: {name}() must return a network from {wanted[0]} to {wanted[1]}; got {got}.")
    try:
        describe(model)  # as the run does
    except ValueError as error:
        raise BadInput(f"--model: {name}(): {error}") from error
    return model


def of_images(text: str, image_shape: tuple[int, int, int]) -> str:
    """Rephrase the error for a user who passed images, not an `input_shape`."""
    if not text.startswith("`input_shape` must be at least"):
        return text
    wanted, _, _ = text.replace("`input_shape`", "images").partition(" Received:")
    return (
        f"{wanted} Those of --dataset are {image_shape[0]}x{image_shape[1]}; --image_size resizes images of a folder "
        "or a tensorflow-datasets set."
    )


def synchronize(model: keras.Model) -> None:
    """Let every batch normalisation use the batch of all replicas, so that results do not depend on their number."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _recomputed(remat: str) -> int | str:
    """The value of `--remat` as the library takes it."""
    return int(remat) if re.fullmatch(r"-?\d{1,9}", remat) else remat


def _with_remat(model: keras.Model, remat: str) -> keras.Model:
    """A copy of a file's network that computes activations again.

    Raises:
        BadInput: if it is no chain of units, or cannot compute so many or these again.
    """
    try:
        made = put_together(replace(take_apart(model), remat=_recomputed(remat)))
    except ValueError as error:
        raise BadInput(f"--remat={remat}: {error}") from error
    if remat_of(made) != _recomputed(remat):
        most = f"{len(units_of(made))} units" if remat != "norms" else "no normalisation that precedes weights"
        raise BadInput(f"--remat={remat}: the network of --initial_model has {most}.")
    return made


def check_network(chosen: Network, remat: str | None = None) -> None:
    """Check the names and the depth before any image is read.

    Raises:
        BadInput: for a name or depth that does not exist, or a flag without effect on the family.
    """
    given = chosen.choices
    try:
        if remat is not None:
            require_remat(_recomputed(remat), "remat", "--remat")
        if chosen.model is None:  # it is a file's
            return
        for kind, table in TABLES.items():
            if kind in given:
                resolve(kind, given[kind], table, object)
        if callable(chosen.model):
            return
        registry.require_name(chosen.model)
        unheeded = sorted(given.keys() - registry.accepts(chosen.model))
        if unheeded:
            flag = unheeded[0]
            raise BadInput(f"--{flag}={given[flag]} has no effect on --model={chosen.model}.")
        if chosen.depth is not None:
            registry.check_depth(chosen.model, chosen.depth, chosen.block)
    except ValueError as error:
        raise BadInput(str(error)) from error
