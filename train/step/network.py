"""The network that the configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_resunits import arguments as choices
from keras_resunits.models.stems import STEMS
from keras_resunits.units.bodies import BODIES
from keras_resunits.units.merges import MERGES
from keras_resunits.units.orders.arrangements import ORDERS
from keras_resunits.units.shortcuts import SHORTCUTS
from keras_resunits.units.tails import TAILS
from keras_resunits.zoo import networks as registry

from ..process.errors import BadInput
from ..settings.config import Config

TABLES: dict[str, Mapping[str, Any]] = {
    "block": BODIES,
    "order": ORDERS,
    "shortcut": SHORTCUTS,
    "stem": STEMS,
    "merge": MERGES,
    "tail": TAILS,
}


def network(config: Config, image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The network for images of `image_shape`.

    Raises:
        BadInput: for a choice that does not exist, or that the family does not have.
    """
    try:
        return registry.create(config.model, input_shape=image_shape, classes=classes, **_given(config))
    except ValueError as error:
        raise BadInput(_of_images(str(error), config, image_shape)) from error


def _of_images(said: str, config: Config, image_shape: tuple[int, int, int]) -> str:
    """The error, in the words of who gave images, not an `input_shape`."""
    if not said.startswith("`input_shape` must be at least"):
        return said
    wanted, _, _ = said.replace("`input_shape`", "images").partition(" Received:")
    return (
        f"{wanted} Those of --dataset={config.dataset} are {image_shape[0]}x{image_shape[1]}; --image_size resizes "
        "images of a folder or a tensorflow-datasets set."
    )


def synchronize(model: keras.Model) -> None:
    """Let every batch normalisation see the batch of all replicas, so that the numbers do not depend on how many."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def check_network(config: Config) -> None:
    """Refuse names and depths that do not exist, before any image is read.

    Raises:
        BadInput: for one of them.
    """
    given = _given(config)
    try:
        for kind, table in TABLES.items():
            if kind in given:
                choices.resolve(kind, given[kind], table, object)
        registry.require_name(config.model)
        unheeded = sorted(given.keys() - registry.accepts(config.model))
        if unheeded:
            flag = unheeded[0]
            raise BadInput(f"--{flag}={given[flag]} means nothing for --model={config.model}.")
        if config.depth is not None:
            registry.check_depth(config.model, config.depth, config.block)
    except ValueError as error:
        raise BadInput(str(error)) from error


def _given(config: Config) -> dict:
    """The choices that were made; a family has its own for the others."""
    asked = {name: getattr(config, name) for name in ("depth", "width", *TABLES)}
    return {name: choice for name, choice in asked.items() if choice is not None}
