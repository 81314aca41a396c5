"""What a network costs for one image: multiply-adds, as the papers count, and operations, as pytorchcv does.

Both are sums over the leaves, the layers that hold no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch
from itertools import chain

import keras

from keras_resunits.crelu import CReLU
from keras_resunits.fractal import Fractal
from keras_resunits.gating import GatedCarry
from keras_resunits.merges import Highway, ScalarHighway
from keras_resunits.series import Series, output_shape
from keras_resunits.stems import PaddedMaxPool
from keras_resunits.tails import SqueezeExcite
from keras_resunits.units import Unit

WEIGHTED = (keras.layers.Conv2D, keras.layers.Dense)
NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)
ACTIVATIONS = {keras.activations.relu: 1, keras.activations.sigmoid: 4}  # operations a value

Leaves = Iterator[tuple[keras.layers.Layer, tuple]]


def multiply_adds(layer: keras.layers.Layer, shape) -> int:
    """Multiply-adds of a layer's convolutions and dense layers for one image.

    A convolution's kernel size times its output's pixels, a dense layer's kernel size; normalisation, activation,
    pooling and addition count nothing (He et al. 2015, Table 1).

    Args:
        layer: A built layer.
        shape: Of its input, the batch included; all but the batch known.

    Raises:
        ValueError: for a layer with a kernel that is neither a convolution nor dense.

    Example: 9 * 3 * 8 weights at 4 * 4 places

    >>> import keras
    >>> from keras_resunits.counting import multiply_adds
    >>> conv = keras.layers.Conv2D(8, 3, padding="same")
    >>> conv.build((None, 4, 4, 3))
    >>> multiply_adds(conv, (None, 4, 4, 3))
    3456
    """
    known = _known(layer, shape)
    return sum(
        math.prod(leaf.kernel.shape) * _places(leaf, given) for leaf, given in known if isinstance(leaf, WEIGHTED)
    )


def operations(layer: keras.layers.Layer, shape) -> int:
    """Floating-point operations of a layer for one image, as pytorchcv counts them; its tables give half of that.

    A multiply-add is two, less one for each pair of channels of a convolution without bias; normalisation is four a
    value (over a batch as over groups or layers), a rectifier one, a sigmoid four, a pooling one for each value in each
    window; addition, gates, scales and other activations count nothing.

    Args:
        layer: A built layer.
        shape: Of its input, the batch included; all but the batch known.

    Raises:
        ValueError: for a layer with a kernel that is neither a convolution nor dense.

    Example: ResNet-18's are published as 1,820.41M, halved

    >>> import keras_resunits as kr
    >>> from keras_resunits.counting import operations
    >>> model = kr.ResNet(depth=18, input_shape=(224, 224, 3), classes=1000)
    >>> round(sum(operations(layer, layer.input.shape) for layer in model.layers[1:]) / 2e6, 2)
    1820.41
    """
    return sum(_operations(leaf, arriving) for leaf, arriving in _known(layer, shape))


def _operations(leaf: keras.layers.Layer, shape) -> int:
    if isinstance(leaf, WEIGHTED):
        convolves = isinstance(leaf, keras.layers.Conv2D)
        pairs = math.prod(leaf.kernel.shape[-2:]) if convolves and not leaf.use_bias else 0
        return (
            2 * multiply_adds(leaf, shape) - pairs + _activation(leaf) * math.prod(leaf.compute_output_shape(shape)[1:])
        )
    if isinstance(leaf, NORMS):
        return 4 * math.prod(shape[1:])
    if isinstance(leaf, (keras.layers.ReLU, CReLU)):
        return math.prod(leaf.compute_output_shape(shape)[1:])
    if isinstance(leaf, keras.layers.Activation):
        return _activation(leaf) * math.prod(shape[1:])
    if isinstance(leaf, (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)):
        return math.prod(shape[1:])
    if isinstance(leaf, (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)):
        return math.prod(leaf.compute_output_shape(shape)[1:]) * math.prod(leaf.pool_size)
    if isinstance(leaf, PaddedMaxPool):
        return math.prod(leaf.compute_output_shape(shape)[1:]) * leaf.pool_size**2
    return 0


def _activation(leaf: keras.layers.Layer) -> int:
    """What a layer's activation costs a value."""
    return ACTIVATIONS.get(leaf.activation, 0)


def _known(layer: keras.layers.Layer, shape) -> Leaves:
    """The leaves, refusing kernels of a kind that nobody counts here."""
    for leaf, arriving in leaves(layer, shape):
        kernels = any(weight.name.endswith("kernel") for weight in leaf.weights)
        if kernels and (not isinstance(leaf, WEIGHTED) or isinstance(leaf, keras.layers.DepthwiseConv2D)):
            raise ValueError(f"what layer '{leaf.path}', a {type(leaf).__name__}, costs is not known.")
        yield leaf, arriving


def _places(leaf: keras.layers.Layer, shape) -> int:
    """How often a kernel is applied."""
    return math.prod(leaf.compute_output_shape(shape)[1:-1])


@singledispatch
def leaves(layer: keras.layers.Layer, shape) -> Leaves:
    """The layers inside a layer that hold no others, each with the shape of its input."""
    yield layer, shape


@leaves.register
def _(layer: Series, shape) -> Leaves:
    for inner in layer.layers:
        yield from leaves(inner, shape)
        shape = output_shape(inner, shape)


@leaves.register
def _(layer: Unit, shape) -> Leaves:
    z = output_shape(layer.entry, shape)
    y = output_shape(layer.merge, output_shape(layer.shortcut, z), output_shape(layer.branch, z), z)
    inside = (leaves(inner, z) for inner in (layer.shortcut, layer.branch, layer.merge))
    yield from chain(leaves(layer.entry, shape), *inside, leaves(layer.exit, y))


@leaves.register(Highway)
@leaves.register(ScalarHighway)
def _(layer, shape) -> Leaves:
    yield from leaves(layer.gate, shape)


@leaves.register
def _(layer: GatedCarry, shape) -> Leaves:
    yield from chain(leaves(layer.gate, shape), leaves(layer.shortcut, shape))


@leaves.register
def _(layer: SqueezeExcite, shape) -> Leaves:
    one = (shape[0], 1, 1)
    yield from ((layer.pool, shape), (layer.squeeze, (*one, shape[-1])), (layer.excite, (*one, layer.squeeze.units)))


@leaves.register
def _(layer: Fractal, shape) -> Leaves:
    for column in layer.columns:
        yield from leaves(column, shape)
