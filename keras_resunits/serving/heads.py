"""Heads: what the outputs of a classifier are, and how they become probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

HEADS = ("softmax", "logits", "sigmoid", "sigmoid_logits")
"""Probabilities of one class, their logits, independent probabilities, their logits."""

LOGITS = ("logits", "sigmoid_logits")
PROBABILITIES = {keras.activations.softmax: "softmax", keras.activations.sigmoid: "sigmoid"}
LINEAR = (keras.activations.linear, keras.activations.log_softmax)  # a softmax of log-probabilities returns them

Images = Callable[[], Any]


def head_of(model: keras.Model, images: Images, declared: str | None = None) -> str:
    """Return what the outputs `[batch, classes]` of a model are, one of `HEADS`.

    The last operation of a functional model decides: a softmax or a sigmoid, also behind dropout, in a nested model or
    in an average of networks. A linear layer returns logits: of sigmoids if the model is compiled with a binary loss,
    else of a softmax. Where the last operation is unknown, such as a `Lambda`, a few images decide.

    Args:
        model: A functional model with one output.
        images: Returns images for the model, should they be needed.
        declared: What the caller says that they are. Defaults to nothing.

    Raises:
        ValueError: if `declared` is none of `HEADS`, or the model contradicts it; or if neither the last operation nor
            the images decide.

    Example:

    >>> import keras_resunits as kr
    >>> from keras_resunits.serving.heads import head_of
    >>> head_of(kr.PreActResNet(depth=8, classifier_activation="softmax"), images=None)
    'softmax'
    """
    if declared is not None and declared not in HEADS:
        raise ValueError(f"`head` must be one of {', '.join(HEADS)}. Received: head={declared!r}.")
    possible = _by_structure(model.outputs[0], declared) or _by_trial(model, images)
    if model.output_shape[1] == 1 and "softmax" in possible:
        raise ValueError(
            f"`model` must not end in a softmax of one class, which is always 1; use a sigmoid or one logit. "
            f"Received: model '{model.name}'."
        )
    if declared is not None:
        if declared not in possible:
            raise ValueError(
                f"`head` contradicts model '{model.name}', whose outputs are {' or '.join(possible)}. "
                f"Received: head={declared!r}."
            )
        return declared
    if len(possible) == 1:
        return possible[0]
    if possible == LOGITS:
        return "sigmoid_logits" if _trained_by_binary_loss(model) else "logits"
    raise ValueError(
        f"`head` is required, one of {', '.join(possible)}: the outputs of model '{model.name}' on random images could "
        f"be any of these."
    )


def class_count(units: int) -> int:
    """Return the number of classes: one output stands for two.

    >>> class_count(1), class_count(10)
    (2, 10)
    """
    return max(units, 2)


def probabilities(outputs, head: str):
    """Return float32 probabilities `[batch, classes]` from a model's outputs.

    One output is the second of two classes: the answer has both. Independent probabilities need not sum to 1.

    >>> probabilities(keras.ops.array([[0.25]]), "sigmoid").numpy().tolist()
    [[0.75, 0.25]]
    >>> probabilities(keras.ops.zeros((1, 4)), "logits").numpy().tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    if outputs.shape[-1] == 1:
        if head in LOGITS:  # the small one of both keeps its digits
            return keras.ops.sigmoid(keras.ops.concatenate([-outputs, outputs], axis=-1))
        return keras.ops.concatenate([1 - outputs, outputs], axis=-1)
    if head in LOGITS:
        return keras.ops.softmax(outputs) if head == "logits" else keras.ops.sigmoid(outputs)
    return outputs


def _by_structure(tensor, declared: str | None) -> tuple[str, ...]:
    """Return what a tensor of a functional model can be; nothing if its operation is unknown."""
    operation, node, index = tensor._keras_history
    activation = _activation(operation, len(tensor.shape))
    if activation in PROBABILITIES:
        return (PROBABILITIES[activation],)
    if activation in LINEAR and hasattr(operation, "kernel"):
        return LOGITS
    if activation not in LINEAR and declared is None and getattr(activation, "__module__", "").startswith("keras."):
        raise ValueError(
            f"`model` must end in logits, a softmax or sigmoids; else pass `head`. Received: activation "
            f"{getattr(activation, '__name__', activation)!r} (layer '{operation.name}')."
        )
    if isinstance(operation, keras.Model):
        inner = getattr(operation, "outputs", None)  # a subclassed model has none
        return _by_structure(inner[index], declared) if inner else ()
    inputs = operation._inbound_nodes[node].input_tensors
    if isinstance(operation, keras.layers.Average):
        found = {_by_structure(each, declared) for each in inputs}
        return found.pop() if len(found) == 1 else ()
    return _by_structure(inputs[0], declared) if _passes(operation, tensor, inputs) else ()


def _activation(operation, rank: int) -> Callable | None:
    """Return the activation that an operation ends in, if it is known."""
    kind = type(operation)
    of_keras = kind.__module__.startswith("keras.src.ops.")
    if kind is keras.layers.Softmax or (of_keras and kind.__name__ == "Softmax"):
        return keras.activations.softmax if operation.axis in (-1, rank - 1) else None
    if of_keras and kind.__name__ == "Sigmoid":
        return keras.activations.sigmoid
    function = getattr(operation, "activation", None)
    return function if callable(function) else None


def _passes(operation, tensor, inputs) -> bool:
    """Whether an operation returns its input in inference, maybe of another shape, or the mean over an image."""
    names = {each.__name__ for each in type(operation).__mro__}
    kept = "Dropout", "BaseDropout", "GaussianNoise", "Identity", "Activation", "ActivityRegularization", "Cast"
    shaped = "Flatten", "Reshape", "Squeeze", "GlobalAveragePooling2D"
    same_classes = len(inputs) == 1 and inputs[0].shape[-1] == tensor.shape[-1]
    return same_classes and not names.isdisjoint((*kept, *shaped))


def _by_trial(model: keras.Model, images: Images) -> tuple[str, ...]:
    """Return what outputs for a few images can be."""
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(model(images(), training=False), "float32"))
    if not np.isfinite(outputs).all():
        raise ValueError(f"`model` returns NaN or infinite values for random images. Received: model '{model.name}'.")
    tolerance = 1e-3 if model.compute_dtype == "float32" else 2e-2
    if outputs.min() >= 0 and np.allclose(outputs.sum(1), 1, atol=tolerance):
        halves = outputs.shape[1] == 2 and np.allclose(outputs, 0.5, atol=tolerance)  # sigmoids of 0 are too
        return ("softmax", "sigmoid") if halves else ("softmax",)
    return LOGITS if outputs.min() < 0 else HEADS[1:]


def _trained_by_binary_loss(model: keras.Model) -> bool:
    loss = getattr(model, "loss", None)
    return "binary" in str(getattr(loss, "name", getattr(loss, "__name__", loss)))
