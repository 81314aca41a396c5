"""Costs of a network for one image: multiply-adds as the papers count them, and operations as pytorchcv does.

Both are sums over the layers that contain no others (`layers.parts`).
"""

from __future__ import annotations

import math

import keras

from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.pooling import PaddedMaxPool
from keras_resunits.units.orders import CReLU

WEIGHTED = (keras.layers.Conv2D, keras.layers.Dense)
NORMS = tuple(
    getattr(keras.layers, f"{kind}Normalization")
    for kind in ("Batch", "Group", "Layer", "RMS")
    if hasattr(keras.layers, f"{kind}Normalization")  # RMSNormalization: since Keras 3.9
)
ACTIVATIONS = {keras.activations.relu: 1, keras.activations.sigmoid: 4}  # operations per value


def multiply_adds(layer: keras.layers.Layer, shape) -> int:
    """Count the multiply-adds of a layer's convolutions and dense layers for one image.

    A convolution counts the size of its kernel times the pixels of its output, a dense layer the size of its kernel.
    Normalisation, activation, pooling and addition count nothing (He et al. 2015, Table 1).

    Args:
        layer: A built layer.
        shape: Shape of its input, including the batch dimension; all other sizes must be known.

    Raises:
        ValueError: if a layer has a kernel but is neither a convolution nor dense.

    Example: 9 * 3 * 8 weights at 4 * 4 positions

    >>> import keras
    >>> from keras_resunits.analysis.counting import multiply_adds
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
    """Count the floating-point operations of a layer for one image as pytorchcv does, whose tables list half of them.

    A multiply-add counts as two operations, less one for each pair of channels of a convolution without bias. Per
    value, normalisation of any kind counts four operations, a rectifier one and a sigmoid four. Pooling counts one for
    each value in each window. Addition, gates, scales and other activations count nothing.

    Args:
        layer: A built layer.
        shape: Shape of its input, including the batch dimension; all other sizes must be known.

    Raises:
        ValueError: if a layer has a kernel but is neither a convolution nor dense.

    Example: half of the operations of ResNet-18 are published as 1,820.41M

    >>> import keras_resunits as kr
    >>> from keras_resunits.analysis.counting import operations
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
    """Return the operations per value of a layer's activation."""
    return ACTIVATIONS.get(leaf.activation, 0)


def _known(layer: keras.layers.Layer, shape) -> Parts:
    """Yield the layers that contain no others; refuse kernels whose cost is not known."""
    for leaf, arriving in parts(layer, shape):
        kernels = any(weight.name.endswith("kernel") for weight in leaf.weights)
        if kernels and (not isinstance(leaf, WEIGHTED) or isinstance(leaf, keras.layers.DepthwiseConv2D)):
            raise ValueError(f"the cost of layer '{leaf.path}', a {type(leaf).__name__}, is not known.")
        yield leaf, arriving


def _places(leaf: keras.layers.Layer, shape) -> int:
    """Return how often a kernel is applied."""
    return math.prod(leaf.compute_output_shape(shape)[1:-1])
