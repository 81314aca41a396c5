"""Seeded random layers, which draw differently in every step and replica and do nothing at inference."""

from __future__ import annotations

import keras

from keras_resunits.arguments import require_rate
from keras_resunits.layers.backend import ON_TENSORFLOW, tf
from keras_resunits.layers.serialization import register

GOLDEN = 0x9E3779B9  # odd and large, so that the seeds of replicas are far apart


@register
class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """Keras' seed generator, with a different sequence in every replica of a `tf.distribute` strategy.

    The state is the same in all replicas, as a strategy requires of its variables. The replica's number is mixed into
    every seed. Without replicas, and on backends other than TensorFlow, it is Keras' generator.

    Args:
        seed: An int. By default drawn from Keras' global generator.

    Example:

    >>> import numpy as np
    >>> from keras_resunits.layers.randomness import ReplicaSeedGenerator
    >>> generator = ReplicaSeedGenerator(seed=1)
    >>> first, second = np.asarray(generator.next()), np.asarray(generator.next())
    >>> bool((first != second).any())
    True
    """

    def next(self, ordered=True):
        """Return the next seed, an integer tensor of shape `[2]`."""
        seed = super().next(ordered)
        if not ON_TENSORFLOW or tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return seed
        context = tf.distribute.get_replica_context()
        if context is None:  # inside the strategy's scope but outside its replicas
            return seed
        replica = context.replica_id_in_sync_group
        return seed + tf.cast(replica, seed.dtype) * tf.constant([GOLDEN, 0], seed.dtype)


@register
class Dropout(keras.layers.Layer):
    """`keras.layers.Dropout` with different draws in each replica of a strategy.

    Args:
        rate: Fraction of the values that training sets to 0, in [0, 1). The others are scaled by `1 / (1 - rate)`.
        seed: An int. By default drawn from Keras' global generator.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Dropout
    >>> x = np.ones((4, 4), "float32")
    >>> bool((np.asarray(Dropout(0.5)(x)) == x).all())
    True
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.seed = require_rate(rate, "rate", f"layer '{self.name}'"), seed
        self.seed_generator = ReplicaSeedGenerator(seed)

    def call(self, x, training=False):
        return keras.random.dropout(x, self.rate, seed=self.seed_generator) if training and self.rate else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
