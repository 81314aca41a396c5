"""The batch normalisation of the project, with its momentum and epsilon, in one place."""

from __future__ import annotations

import keras

from keras_resunits.layers.backend import ON_TENSORFLOW, tf
from keras_resunits.layers.serialization import register


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with the papers' constants, and TensorFlow's fused kernel where there is one.

    Its equation, weights and their order are those of `keras.layers.BatchNormalization`, so weights move freely between
    the two; only the defaults differ, and on TensorFlow the way it is computed. The fused kernel reads the activations
    once, keeps 16-bit activations 16-bit (statistics are float32), and gives one and the same gradient each time,
    which Keras' layer does not. With `synchronized=True` the replicas of a strategy share the batch's statistics, in
    one exchange forwards and one backwards, repeatable likewise. Other backends, other ranks than
    `[batch, height, width, channels]`, other axes than the last, masks, renorm and float64 take Keras' path.

    Args:
        axis: The channel axis; -1 by default.
        momentum: Of the moving statistics, `moving = momentum * moving + (1 - momentum) * batch`; 0.9 by default (the
            authors' Torch code: 0.1 the other way round).
        epsilon: Added to the variance; 1e-5 by default (likewise).
        **kwargs: As `keras.layers.BatchNormalization`, `synchronized` included.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import BatchNormalization
    >>> x = np.random.default_rng(0).normal(5.0, 3.0, (8, 4, 4, 2)).astype("float32")
    >>> y = np.asarray(BatchNormalization()(x, training=True))
    >>> bool(abs(y.mean()) < 1e-5), bool(abs(y.std() - 1) < 1e-3)
    (True, True)
    """

    def __init__(self, axis=-1, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not self._fusible(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        learn = bool(training and self.trainable)
        shared = learn and self.synchronized and _among_replicas()
        outputs, mean, variance = self._shared(inputs) if shared else self._fused(inputs, learn)
        if learn:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return outputs

    def _fusible(self, inputs, mask) -> bool:
        return (
            ON_TENSORFLOW
            and mask is None
            and not getattr(self, "renorm", False)  # Keras 3.13 has none
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and inputs.dtype in (tf.float32, tf.float16, tf.bfloat16)
        )

    def _fused(self, inputs, learn: bool):
        """`(outputs, moving mean, moving variance)` from one kernel; it moves the statistics only if `learn`."""
        channels = inputs.shape[-1]
        variance = _float32(self.moving_variance)
        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=_float32(self.gamma) if self.scale else tf.ones([channels]),
            offset=_float32(self.beta) if self.center else tf.zeros([channels]),
            mean=_float32(self.moving_mean),
            variance=variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=learn,
        )
        if not learn:
            return result.y, result.batch_mean, result.batch_variance
        # The kernel mixes in the batch's unbiased variance, Keras the biased one, (n - 1) / n of it.
        rest = 1.0 / _count(inputs)
        return result.y, result.batch_mean, result.batch_variance * (1.0 - rest) + variance * (self.momentum * rest)

    def _shared(self, inputs):
        """`(outputs, moving mean, moving variance)` with the batch statistics of all replicas."""
        channels = inputs.shape[-1]
        scale = _float32(self.gamma) if self.scale else tf.ones([channels])
        offset = _float32(self.beta) if self.center else tf.zeros([channels])
        outputs, mean, variance = _normalized_together(inputs, scale, offset, self.epsilon)
        batch = ((self.moving_mean, mean), (self.moving_variance, variance))
        return outputs, *(_float32(old) * self.momentum + new * (1.0 - self.momentum) for old, new in batch)


def _normalized_together(inputs, scale, offset, epsilon: float):
    """`(outputs, mean, variance)` over the batch of all replicas.

    The gradient is written out (Ioffe and Szegedy 2015, sec. 3), with its two means over all replicas: left to the
    tape, three terms would meet in one sum whose order is not fixed. Replicas may have shares of different sizes.
    """
    channels = inputs.shape[-1]

    def summed(*vectors):
        """Each one's sum over all replicas, in one exchange."""
        sizes = [vector.shape[0] for vector in vectors]
        context = tf.distribute.get_replica_context()
        return tf.split(context.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(vectors, 0)), sizes)

    @tf.custom_gradient
    def normalized(x, gamma, beta):
        values = tf.cast(x, tf.float32)
        own = tf.reshape(tf.cast(tf.size(x) // channels, tf.float32), [1])
        total, total_square, count = summed(*(tf.reduce_sum(v, [0, 1, 2]) for v in (values, values * values)), own)
        mean, square = total / count, total_square / count
        variance = tf.maximum(square - mean * mean, 0.0)
        inverse = tf.math.rsqrt(variance + epsilon)
        standard = (values - mean) * inverse

        def gradient(d_outputs, *_):
            d = tf.cast(d_outputs, tf.float32)
            d_beta, d_gamma = tf.reduce_sum(d, [0, 1, 2]), tf.reduce_sum(d * standard, [0, 1, 2])
            of_ones, of_values = summed(d_beta, d_gamma)
            d_inputs = gamma * inverse * ((d - of_ones / count) - standard * (of_values / count))
            return tf.cast(d_inputs, x.dtype), d_gamma, d_beta

        return (tf.cast(standard * gamma + beta, x.dtype), mean, variance), gradient

    return normalized(inputs, scale, offset)


def _among_replicas() -> bool:
    """Whether other replicas run this very code."""
    replicated = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return replicated and not tf.distribute.in_cross_replica_context()


def _float32(variable):
    """The variable's value as the kernel wants it: float32, whatever the policy keeps it in."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def _count(inputs):
    """Values a channel: a Python number where the batch size is known at tracing, which makes fewer nodes."""
    return inputs.shape[:-1].num_elements() or tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
