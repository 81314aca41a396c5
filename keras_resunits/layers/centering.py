"""A norm that only centres: each channel's mean is subtracted, and its deviation remains."""

from __future__ import annotations

import keras
from keras import ops

from keras_resunits.arguments import require_fraction
from keras_resunits.layers.serialization import register


@register
class Centering(keras.layers.Layer):
    """Subtract the mean of every channel and add a learned offset: batch normalisation without the division.

    It is what the closed forms of shattered gradients require (Balduzzi et al. 2017, sec. 3): behind it, half of the
    rectifiers are open. In training the mean is that of the batch, at inference the moving mean.

    Args:
        momentum: Momentum of the moving mean. Defaults to 0.9.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `momentum` is not in [0, 1].

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Centering
    >>> x = np.random.default_rng(0).normal(5.0, 3.0, (64, 4, 4, 2)).astype("float32")
    >>> y = np.asarray(Centering()(x, training=True))
    >>> bool(abs(y.mean()) < 1e-5), bool(abs(y.std() - x.std()) < 0.01)
    (True, True)
    """

    def __init__(self, momentum: float = 0.9, **kwargs):
        super().__init__(**kwargs)
        self.momentum = require_fraction(momentum, "momentum", f"layer '{self.name}'")

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.beta = self.add_weight(shape=shape, name="beta", initializer="zeros", autocast=False)
        self.moving_mean = self.add_weight(
            shape=shape, name="moving_mean", initializer="zeros", trainable=False, autocast=False
        )

    def call(self, inputs, training=None):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean = moving = ops.cast(self.moving_mean, x.dtype)
        if training and self.trainable:
            mean = ops.mean(x, tuple(range(len(x.shape) - 1)))
            self.moving_mean.assign(moving * self.momentum + mean * (1.0 - self.momentum))
        return ops.cast(x - mean + ops.cast(self.beta, x.dtype), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}
