"""Layers that hold other layers, and that show them in `model.summary(expand_nested=True)`."""

from __future__ import annotations

import keras


def inside(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers directly inside a layer or model, in the order in which it holds them."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


class Nest(keras.layers.Layer):
    """Base class of layers that hold other layers as attributes."""

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers inside, which Keras' summaries expand."""
        return inside(self)

    def __dir__(self):
        # Keras saves the layers in every attribute that `dir` lists: a second list would change the names in files
        return [name for name in super().__dir__() if name != "layers"]
