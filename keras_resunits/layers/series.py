"""A sequence of layers as one layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_resunits.arguments import require_layer
from keras_resunits.layers.centering import Centering
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.recomputation import recomputed
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
        self.recomputes_norms = False  # a network with remat="norms" sets it

    def build(self, input_shape):
        for layer in self.layers:
            input_shape = built(layer, input_shape)

    def call(self, x, training=None):
        for run in from_norms(self.layers) if training and self.recomputes_norms else singly(self.layers):
            x = recomputed(run, x) if len(run) > 1 else run[0](x)
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


NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    Centering,
)
Run = tuple[keras.layers.Layer, ...]


def singly(layers: Sequence[keras.layers.Layer]) -> list[Run]:
    """Return every layer as a run of its own."""
    return [(layer,) for layer in layers]


def from_norms(layers: Sequence[keras.layers.Layer]) -> list[Run]:
    """Return the runs from a normalisation to the next layer with weights, and every other layer as its own run.

    If a run is recomputed, the output of its last layer is kept, and what lies between is not. A gradient does not read
    the output of a convolution, so a graph computes only normalisation and activation again.

    Example:

    >>> import keras_resunits as kr
    >>> branch = kr.DenseNet(depth=10, input_shape=(8, 8, 3)).get_layer("unit000").branch
    >>> [[layer.name for layer in run] for run in from_norms(branch.layers)]
    [['norm1', 'act1', 'conv1'], ['norm2', 'act2', 'conv2']]
    """
    runs: list[Run] = []
    for layer in layers:
        unfinished = bool(runs) and isinstance(runs[-1][0], NORMS) and not any(each.weights for each in runs[-1][1:])
        runs[-1:] = [(*runs[-1], layer)] if unfinished else [*runs[-1:], (layer,)]
    return [part for run in runs for part in ([run] if run[-1].weights else singly(run))]


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
