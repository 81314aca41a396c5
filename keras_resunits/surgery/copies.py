"""Copies of layers: by their configuration, with their weights by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resunits.layers.nesting import inside


def weights_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """Return the weights of a built layer by their paths inside it, such as `branch/conv1/kernel`.

    Raises:
        ValueError: if two weights have one path.
    """
    found: dict[str, Any] = {}
    for weight in layer.weights:
        path = weight.path.removeprefix(f"{layer.path}/")
        if path in found:
            raise ValueError(
                f"surgery requires weights with a path of their own. Received: two weights '{path}' in layer "
                f"'{layer.name}'. Give the layers inside it different names."
            )
        found[path] = weight
    return found


def carry(source: Mapping[str, Any], target: keras.layers.Layer) -> list[str]:
    """Assign values by path to the weights of a layer; return the paths of its weights that have none in `source`.

    Raises:
        ValueError: if a value and its weight differ in shape.
    """
    missing = []
    for path, weight in weights_of(target).items():
        if path not in source:
            missing.append(path)
            continue
        value = source[path]
        if tuple(value.shape) != tuple(weight.shape):
            raise ValueError(
                f"surgery would change the shape of weight '{path}' of layer '{target.name}': expected "
                f"{tuple(value.shape)}. Received: {tuple(weight.shape)}."
            )
        weight.assign(_copy(value))
    for layer in target._flatten_layers():
        if hasattr(layer, "finalize_state"):  # `Normalization`, which derives its constants from its weights
            layer.finalize_state()
    return missing


def fresh(layer: keras.layers.Layer, shape, **changes) -> keras.layers.Layer:
    """Return a layer built from the configuration of another, with new weights, for inputs of `shape`."""
    made = type(layer).from_config({**layer.get_config(), **changes})
    if not made.built:
        made.build(shape)
    return made


def copied(layer: keras.layers.Layer, shape, **changes) -> keras.layers.Layer:
    """Return a copy of a built layer with its weights and the states of its random generators.

    Args:
        layer: The layer, which must be built.
        shape: Shape of its input, including the batch dimension.
        **changes: Values of its configuration that change, such as its name.
    """
    made = fresh(layer, shape, **changes)
    source = weights_of(layer)
    if lost := carry(source, made):
        raise ValueError(f"the configuration of layer '{layer.name}' does not restore it: weight '{lost[0]}' is new.")
    if lost := [path for path in source if path not in weights_of(made)]:
        raise ValueError(f"the configuration of layer '{layer.name}' does not restore it: weight '{lost[0]}' is lost.")
    carry_states(layer, made)
    return made


def carry_states(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    """Assign the states of a layer's random generators to another layer, if it has equally many."""
    old, new = _states(source), _states(target)
    for variable, value in zip(new, old, strict=True) if len(new) == len(old) else ():
        variable.assign(_copy(value))


def _copy(value) -> np.ndarray:
    """Return a value in memory of its own: two variables of one JAX array would lose it to each other's steps."""
    return np.array(ops.convert_to_numpy(value))


def _states(layer: keras.layers.Layer) -> list:
    """Return the variables of a layer that are no weights: the states of random generators."""
    weights = {id(weight) for weight in layer.weights}
    return [variable for variable in layer.variables if id(variable) not in weights]


def inner_layers(layer: keras.layers.Layer, path: str = "") -> dict[str, keras.layers.Layer]:
    """Return the layers inside a layer at any depth by their paths, such as `branch/conv1`."""
    found = {}
    for each in inside(layer):
        found[f"{path}{each.name}"] = each
        found |= inner_layers(each, f"{path}{each.name}/")
    return found
