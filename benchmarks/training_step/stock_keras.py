"""PreActResNet (bottleneck units) of stock Keras layers, as users write it from tutorials: a flat functional model."""

from collections.abc import Callable

import keras
from keras import layers


def batch_norm() -> layers.Layer:
    """Keras' own, with the papers' constants."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _conv(x, filters, size, strides=1):
    return layers.Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)


def _unit(x, filters, strides, norm):
    narrow = filters // 4
    z = layers.ReLU()(norm()(x))
    shortcut = x if x.shape[-1] == filters else _conv(z, filters, 1, strides)
    y = _conv(z, narrow, 1, strides)
    y = _conv(layers.ReLU()(norm()(y)), narrow, 3)
    y = _conv(layers.ReLU()(norm()(y)), filters, 1)
    return layers.Add()([shortcut, y])


def preact_resnet(depth: int, norm: Callable[[], layers.Layer] = batch_norm) -> keras.Model:
    """`[batch, 32, 32, 3]` to logits `[batch, 10]`; 1,703,258 trainable parameters at depth 164."""
    images = keras.Input((32, 32, 3))
    x = _conv(images, 16, 3)
    for filters in (64, 128, 256):
        for i in range((depth - 2) // 9):
            x = _unit(x, filters, strides=2 if i == 0 and filters > 64 else 1, norm=norm)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(norm()(x)))
    return keras.Model(images, layers.Dense(10, dtype="float32")(x))


def compile_step(depth: int):
    """One training step, `(images, labels) -> loss`: `Model.train_on_batch` with Keras' SGD."""
    model = preact_resnet(depth)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.train_on_batch
