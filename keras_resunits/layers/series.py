"""A sequence of layers as one layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_resunits.arguments import require_layer
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.serialization import register, revived, serialized
from keras_resunits.layers.words import word


def output_shape(layer: keras.layers.Layer, *input_shapes):
    """Return the shape of `layer`'s output, found by tracing if the layer does not implement it."""
    try:
        return layer.compute_output_shape(*input_shapes)
    except NotImplementedError:
        inputs = (keras.KerasTensor(shape, dtype=layer.compute_dtype) for shape in input_shapes)
        return layer.compute_output_spec(*inputs).shape


def built(layer: keras.layers.Layer, *input_shapes):
    """Build `layer` unless it is built (layers revived from a config are), and return the shape of its output."""
    if not layer.built:
        layer.build(*input_shapes)
    return output_shape(layer, *input_shapes)


@register
class Series(keras.layers.Layer):
    """Composition of layers, `x -> layers[-1](... layers[0](x))`.

    It is lighter than `keras.Sequential`: it is built from shapes only, without tracing a model of its own. That makes
    networks of hundreds of units quick to build.

    Args:
        layers: One-input layers, in order of application; may be empty (the identity).
        name: Name of the layer.

    Example:

    >>> import keras, numpy as np
    >>> from keras_resunits import Series
    >>> double = Series([keras.layers.Rescaling(4.0), keras.layers.Rescaling(0.5)])
    >>> float(double(np.ones((1, 1)))[0, 0])
    2.0
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs):
        super().__init__(**kwargs)
        # a tuple: tf.train.Checkpoint does not search a list that Keras tracks
        self.layers = require_layer.each(layers, "layers", f"layer '{self.name}'")

    def build(self, input_shape):
        for layer in self.layers:
            input_shape = built(layer, input_shape)

    def call(self, x, training=None):
        for layer in self.layers:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = output_shape(layer, input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "layers": [serialized(layer) for layer in self.layers]}

    @classmethod
    def from_config(cls, config):
        return cls(**revived(config, "layers"))


def series(layers: Sequence[keras.layers.Layer], name: str) -> keras.layers.Layer:
    """Return the layers as one layer: Keras' `Identity` if there are none, else a `Series`."""
    return Series(layers, name=name) if layers else keras.layers.Identity(name=name)


@word.register
def _(layer: Series) -> str:
    return " ".join(word(inner) for inner in layer.layers)


@parts.register
def _(layer: Series, shape) -> Parts:
    for inner in layer.layers:
        yield from parts(inner, shape)
        shape = output_shape(inner, shape)


def flattened(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers of a series and of the series inside it, in order of application, without identities.

    >>> [inner.name for inner in flattened(Series([Series([keras.layers.ReLU(name="a")]), keras.layers.Identity()]))]
    ['a']
    """
    if isinstance(layer, Series):
        return [leaf for inner in layer.layers for leaf in flattened(inner)]
    return [] if isinstance(layer, keras.layers.Identity) else [layer]
