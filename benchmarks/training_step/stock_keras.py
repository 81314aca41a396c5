"""The benchmark's networks of stock Keras layers, as users write them from tutorials: flat functional models."""

from collections.abc import Callable, Sequence

import keras
from keras import layers

Norm = Callable[[], layers.Layer]


def batch_norm() -> layers.Layer:
    """Keras' own, with the papers' constants."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _conv(x, filters, size, strides=1):
    return layers.Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)


def _activated(x, norm):
    return layers.ReLU()(norm()(x))


def _basic(z, filters, strides, norm):
    y = _conv(z, filters, 3, strides)
    return _conv(_activated(y, norm), filters, 3)


def _bottleneck(z, filters, strides, norm):
    narrow = filters // 4
    y = _conv(z, narrow, 1, strides)
    y = _conv(_activated(y, norm), narrow, 3)
    return _conv(_activated(y, norm), filters, 1)


def _projection(z, filters, strides):
    return _conv(z, filters, 1, strides)


def _padding(z, filters, strides):
    z = layers.MaxPooling2D(1, strides)(z)
    return keras.ops.pad(z, [(0, 0), (0, 0), (0, 0), (0, filters - z.shape[-1])])


def _residual(units: int, stages: Sequence[int], branch: Callable, shortcut: Callable, norm: Norm) -> keras.Model:
    """He et al. 2016's units; in the first one of a stage both paths share norm and activation."""
    images = keras.Input((32, 32, 3))
    x = _conv(images, 16, 3)
    for filters in stages:
        for i in range(units):
            strides = 2 if i == 0 and filters > stages[0] else 1
            z = _activated(x, norm)
            carried = shortcut(z, filters, strides) if i == 0 else x
            x = layers.Add()([carried, branch(z, filters, strides, norm)])
    return _classifier(images, _activated(x, norm))


def _classifier(images, x) -> keras.Model:
    return keras.Model(images, layers.Dense(10, dtype="float32")(layers.GlobalAveragePooling2D()(x)))


def preact_bottleneck(depth: int, norm: Norm = batch_norm) -> keras.Model:
    """PreActResNet of depth 9n + 2; 1,703,258 trainable parameters at depth 164."""
    return _residual((depth - 2) // 9, (64, 128, 256), _bottleneck, _projection, norm)


def preact_basic(depth: int, norm: Norm = batch_norm) -> keras.Model:
    """PreActResNet of depth 6n + 2, with zeros for new channels."""
    return _residual((depth - 2) // 6, (16, 32, 64), _basic, _padding, norm)


def wide(depth: int, norm: Norm = batch_norm) -> keras.Model:
    """WRN of depth 6n + 4 and width 4."""
    return _residual((depth - 4) // 6, (64, 128, 256), _basic, _projection, norm)


def dense(depth: int, norm: Norm = batch_norm) -> keras.Model:
    """DenseNet-BC of depth 6n + 4 and growth 12."""
    images = keras.Input((32, 32, 3))
    x = _conv(images, 24, 3)
    for block in range(3):
        for _ in range((depth - 4) // 6):
            y = _conv(_activated(x, norm), 48, 1)
            x = layers.Concatenate()([x, _conv(_activated(y, norm), 12, 3)])
        if block < 2:
            x = layers.AveragePooling2D(2)(_conv(_activated(x, norm), x.shape[-1] // 2, 1))
    return _classifier(images, _activated(x, norm))


NETWORKS = {each.__name__: each for each in (preact_bottleneck, preact_basic, wide, dense)}


def compile_step(network: str, depth: int):
    """One training step, `(images, labels) -> loss`: `Model.train_on_batch` with Keras' SGD."""
    model = NETWORKS[network](depth)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.train_on_batch
