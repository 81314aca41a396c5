"""A network as a chain of layers: what precedes the units, the units, and what follows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import keras
import numpy as np
from keras import ops

from keras_resunits.arguments import near_matches, require_text
from keras_resunits.layers.links import casts_for, unlike_a_link
from keras_resunits.layers.nesting import inside
from keras_resunits.units.unit import Unit

AT_ONCE = 100
"""Images of a batch where a whole set is evaluated."""


@dataclass(frozen=True)
class Chain:
    """The layers of a network, in order.

    Args:
        model: The network.
        stem: The layers before the first unit.
        units: The units.
        head: The layers between the last unit and the classifier.
        classifier: The last layer, of which only the weights are used: all analyses are of logits.
    """

    model: keras.Model
    stem: tuple[keras.layers.Layer, ...]
    units: tuple[Unit, ...]
    head: tuple[keras.layers.Layer, ...]
    classifier: keras.layers.Dense

    @property
    def names(self) -> list[str]:
        """The names of the units."""
        return [unit.name for unit in self.units]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.classifier.units

    @cached_property
    def keeps_shape(self) -> tuple[bool, ...]:
        """For each unit, whether its output has the shape of its input."""
        shapes = [tuple(self.model.inputs[0].shape)]
        for layer in (*self.stem, *self.units):
            shapes.append(tuple(layer.compute_output_shape(shapes[-1])))
        ends = shapes[len(self.stem) :]
        return tuple(before == after for before, after in pairwise(ends))

    def before(self, images):
        """Return the input of the first unit."""
        return _through(self.stem, images)

    def logits(self, x):
        """Return the logits for the output of the last unit."""
        return self.scores(_through(self.head, x))

    def scores(self, features):
        """Return the classifier's output before its activation."""
        features = ops.cast(features, self.classifier.compute_dtype)
        found = ops.matmul(features, ops.convert_to_tensor(self.classifier.kernel))
        return found + self.classifier.bias if self.classifier.use_bias else found

    def skipped(self, i: int, x):
        """Return the output of unit number `i` without its branch: `x` itself where the unit keeps the shape."""
        return x if self.keeps_shape[i] else self.units[i].without_branch(x)

    def skippable(self, i: int) -> bool:
        """Whether something is left of unit number `i` without its branch."""
        return self.keeps_shape[i] or not self.units[i].merge.drops_carry

    def position(self, name: str, where: str) -> int:
        """Return the number of a unit; refuse unknown names."""
        require_text(name, "unit", where)
        if name not in self.names:
            raise ValueError(
                f"`unit` must be a unit of '{self.model.name}', {self.names[0]} to {self.names[-1]}. "
                f"Received: unit={name!r} ({where}).{near_matches(name, self.names)}"
            )
        return self.names.index(name)


def _through(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def chain_of(model: keras.Model, where: str) -> Chain:
    """Return the chain of a network; refuse what is none, with the reason.

    Raises:
        ValueError: if the model has no units, its layers are not a chain, or it does not end in a classifier.
    """
    layers = layers_of(model, where)
    found = [i for i, layer in enumerate(layers) if isinstance(layer, Unit)]
    if not found:
        inner = next((layer.name for layer in layers if any(isinstance(each, Unit) for each in inside(layer))), None)
        hint = f" Its layer '{inner}' has units: analyse `model.get_layer('{inner}')`." if inner else ""
        raise ValueError(
            f"`{where}` requires a network of residual units, as this package builds. Received: '{model.name}', which "
            f"has no `Unit`.{hint}"
        )
    first, last = found[0], found[-1]
    others = [layer.name for layer in layers[first:last] if not isinstance(layer, Unit)]
    if others:
        raise ValueError(
            f"`{where}` requires units that follow each other. Received: layer '{others[0]}' between the units of "
            f"'{model.name}'."
        )
    classifier = layers[-1]
    if last == len(layers) - 1 or not is_dense(classifier) or len(classifier.output.shape) != 2:
        raise ValueError(
            f"`{where}` requires a network that ends in a classifier, a dense layer with an output for each class. "
            f"Received: '{model.name}', whose last layer is '{classifier.name}', a {type(classifier).__name__}. "
            "`new_head` adds a classifier."
        )
    if classifier.activation not in (keras.activations.linear, keras.activations.softmax):
        raise ValueError(
            f"`{where}` requires a classifier whose activation is none or 'softmax'. Received: "
            f"'{getattr(classifier.activation, '__name__', classifier.activation)}' (layer '{classifier.name}')."
        )
    return Chain(
        model, tuple(layers[:first]), tuple(layers[first : last + 1]), tuple(layers[last + 1 : -1]), classifier
    )


def is_dense(layer: keras.layers.Layer) -> bool:
    """Whether a layer is Keras' dense layer, or one of another class that computes the same."""
    return getattr(type(layer), "call", None) is keras.layers.Dense.call


def layers_of(model: keras.Model, where: str) -> list[keras.layers.Layer]:
    """Return the layers of a model from its input to its output; refuse what layers in order do not compute."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"`{where}` requires a model with one input and one output. Received: '{model.name}' with "
            f"{len(model.inputs)} and {len(model.outputs)}."
        )
    layers: list[keras.layers.Layer] = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        operation, at, _ = tensor._keras_history
        node = operation._inbound_nodes[at]
        if layers and casts_for(operation, layers[-1]):
            tensor = node.input_tensors[0]
            continue
        if problem := unlike_a_link(operation, node) or (operation in layers and "which is called twice"):
            raise ValueError(
                f"`{where}` requires a chain of layers, as this package builds. Received: '{operation.name}' {problem} "
                f"in '{model.name}'."
            )
        layers.append(operation)
        tensor = node.input_tensors[0]
    return layers[::-1]


def _array(values, name: str, where: str) -> np.ndarray:
    """Return values as an array; refuse those that have no shape."""
    try:
        return np.asarray(ops.convert_to_numpy(values) if hasattr(values, "shape") else values)
    except ValueError as error:
        raise ValueError(f"`{name}` must be an array, or lists of equal length. Received: {error} ({where}).") from None


def require_images(images, model: keras.Model, where: str) -> np.ndarray:
    """Return images as float32; refuse what the model does not take."""
    array = _array(images, "images", where)
    wanted = tuple(model.inputs[0].shape[1:])
    known = array.ndim == len(wanted) + 1 and all(
        side in (None, given) for side, given in zip(wanted, array.shape[1:], strict=True)
    )
    if not known or array.dtype.kind not in "buif":
        raise ValueError(
            f"`images` must be numbers of shape (images, {', '.join(map(str, wanted))}), as '{model.name}' takes "
            f"them. Received: shape {array.shape}, {array.dtype} ({where})."
        )
    if not len(array):
        raise ValueError(f"`images` must hold at least one image. Received: none ({where}).")
    array = array.astype("float32")
    if not np.isfinite(array).all():
        raise ValueError(f"`images` must be finite. Received: NaN or infinite values ({where}).")
    return array


def require_labels(labels, count: int, classes: int, where: str) -> np.ndarray:
    """Return labels as int32; refuse those that do not fit the images or the classes."""
    if classes < 2:
        raise ValueError(
            f"`labels` require a network with an output for each class, two or more. Received: {classes} ({where})."
        )
    array = _array(labels, "labels", where)
    array = array[:, 0] if array.shape == (count, 1) else array
    if array.shape != (count,) or array.dtype.kind not in "iu":
        hint = " One-hot labels become ints by `labels.argmax(-1)`." if array.shape == (count, classes) else ""
        raise ValueError(
            f"`labels` must be ints, one for each of the {count} images. Received: shape {array.shape}, {array.dtype} "
            f"({where}).{hint}"
        )
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(
            f"`labels` must be classes of the network, 0 to {classes - 1}. Received: {array.min()} to {array.max()} "
            f"({where})."
        )
    return array.astype("int32")


def batches(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a set in batches."""
    for i in range(0, len(images), AT_ONCE):
        yield images[i : i + AT_ONCE], labels[i : i + AT_ONCE]
