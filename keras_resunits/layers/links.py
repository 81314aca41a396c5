"""Calls of layers in a functional model that layers in order repeat exactly."""

from __future__ import annotations

import keras


def casts_for(operation, layer: keras.layers.Layer) -> bool:
    """Whether an operation is the cast to the precision of the layer behind it, which the layer repeats in every call.

    Keras 3.8 records it in a model of its own accord, later ones do not.
    """
    return type(operation).__name__ == "Cast" and layer.autocast and operation.dtype == layer.compute_dtype


def unlike_a_link(operation, node) -> str | None:
    """Return why a call in a model is not that of a layer with its input only; `None` if it is."""
    (_, *others), named = node.arguments.args or [None], node.arguments.kwargs
    for what, tensors in (("inputs", node.input_tensors), ("outputs", node.output_tensors)):
        if len(tensors) != 1:
            return f"with {len(tensors)} {what}"
    if not isinstance(operation, keras.layers.Layer):
        return "that is not a layer"
    given = [*((f"{value!r}", value) for value in others), *((f"{k}={value!r}", value) for k, value in named.items())]
    if told := [text for text, value in given if value is not None]:
        return f"called with {', '.join(told)}"
    modes = [getattr(each, "quantization_mode", None) for each in operation._flatten_layers()]
    return next((f"quantized to {mode}" for mode in modes if mode), None)
