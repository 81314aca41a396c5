"""The layers inside units by their paths, and their outputs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras

from keras_resunits.arguments import checked, near_matches, require_model, require_network, require_text
from keras_resunits.layers.nesting import inside


@checked(model=require_model, path=require_text)
def layer(model: keras.Model, path: str) -> keras.layers.Layer:
    """Return a layer of a model by its path, at any depth: inside a unit, a branch, a gate or a nested model.

    Args:
        model: A network of the package, or a model that contains one.
        path: Names from the outermost layer to the innermost, joined by slashes, as the paths of weights begin.
            `model.summary(expand_nested=True)` lists the names.

    Raises:
        ValueError: if no layer or more than one has the path; the message names similar paths.

    Example:

    >>> import keras_resunits as kr
    >>> kr.layer(kr.ResNet(depth=8), "unit001/branch/conv1").strides
    (2, 2)
    """
    named: dict[str, list[keras.layers.Layer]] = {}
    for known, each in _paths(model):
        named.setdefault(known, []).append(each)
    found = named.get(path, [])
    if len(found) != 1:
        problem = f"{len(found)} layers of '{model.name}' have the path" if found else f"'{model.name}' has no layer"
        raise ValueError(f"`path`: {problem} {path!r}.{near_matches(path, named)}")
    return found[0]


def _paths(owner: keras.layers.Layer, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yield the layers inside a layer at any depth, each with its path."""
    for each in inside(owner):
        yield f"{prefix}{each.name}", each
        yield from _paths(each, f"{prefix}{each.name}/")


@checked(model=require_network)
def activations(model: keras.Model, *paths: str) -> keras.Model:
    """Return a model of the outputs of some layers, at any depth, computed in one pass.

    The outputs depend on each other as in `model`. So the gradient of the classifier's output with respect to that of a
    layer inside a unit is that of the network, as Grad-CAM requires (see the guide).

    Args:
        model: A network of the package, or another functional model that contains one.
        *paths: Paths of layers, as for `layer`; at least one.

    Returns:
        A functional model from images to `{path: output}`. It shares its layers with `model`, and is not to be saved.

    Raises:
        ValueError: if no layer or more than one has a path, or a layer is not called exactly once.

    Example:

    >>> import keras_resunits as kr
    >>> found = kr.activations(kr.ResNet(depth=8), "unit001/branch/conv1", "classifier")
    >>> {path: output.shape for path, output in found.output.items()}
    {'unit001/branch/conv1': (None, 16, 16, 32), 'classifier': (None, 10)}
    """
    if not paths:
        raise ValueError("`paths` must hold at least one path of a layer. Received: none (activations).")
    read = {path: layer(model, require_text(path, "paths", "activations")) for path in paths}
    return keras.Model(model.input, _Recorder(model, read)(model.input), name="activations")


class _Recorder(keras.layers.Layer):
    """Calls a model and returns the outputs of some of its inner layers."""

    def __init__(self, model: keras.Model, read: dict[str, keras.layers.Layer]):
        super().__init__(name="recorder")
        self.model, self.read = model, tuple(read.items())

    def call(self, images, training=None):
        with _LOCK, ExitStack() as recording:
            found = {path: recording.enter_context(outputs_of(each)) for path, each in self.read}
            self.model(images, training=training)
        if wrong := [path for path, outputs in found.items() if len(outputs) != 1]:
            raise ValueError(
                f"`activations` requires layers that are called once. Received: '{wrong[0]}', which is called "
                f"{len(found[wrong[0]])} times."
            )
        return {path: outputs[0] for path, outputs in found.items()}


_LOCK = threading.RLock()
"""Held while outputs are recorded: another thread must not call the same layers then."""


@contextmanager
def outputs_of(observed: keras.layers.Layer) -> Iterator[list]:
    """Record what a layer's `call` returns."""
    outputs, call = [], observed.call

    def recorded(*args, **kwargs):
        outputs.append(call(*args, **kwargs))
        return outputs[-1]

    object.__setattr__(observed, "call", recorded)
    try:
        yield outputs
    finally:
        object.__delattr__(observed, "call")
