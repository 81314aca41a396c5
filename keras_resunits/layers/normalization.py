"""The package's batch normalisation, with the momentum and epsilon of the papers."""

from __future__ import annotations

import keras

from keras_resunits.arguments import require_fraction, require_int, require_positive_number
from keras_resunits.layers.backend import ON_TENSORFLOW, tf
from keras_resunits.layers.serialization import register

if ON_TENSORFLOW:
    from tensorflow.python.ops import control_flow_util  # TensorFlow has no public name for it


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with the papers' constants, and TensorFlow's fused kernel where available.

    The equation, the weights and their order are those of `keras.layers.BatchNormalization`, so weights can be
    exchanged between the two. Only the defaults differ and, on TensorFlow, the implementation:

    - The fused kernel reads the activations once and keeps 16-bit activations in 16 bits (statistics are float32).
    - The gradient of a batch is reproducible bit for bit, which that of Keras' layer is not.
    - With `synchronized=True`, the replicas of a strategy share the batch statistics, with one exchange in the forward
      pass and one in the backward pass. The gradient is reproducible here too.

    XLA (in training), other backends, inputs that are not `[batch, height, width, channels]`, axes other than the last,
    masks, renorm and float64 use Keras' implementation.

    Args:
        axis: The channel axis. Defaults to -1.
        momentum: Momentum of the moving statistics, `moving = momentum * moving + (1 - momentum) * batch`. Defaults to
            0.9, which the authors' Torch code writes as 0.1.
        epsilon: Added to the variance. Defaults to 1e-5, as in the authors' code.
        **kwargs: Keyword arguments of `keras.layers.BatchNormalization`, including `synchronized`.

    Raises:
        ValueError: if `momentum` is not in [0, 1], or `epsilon` is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import BatchNormalization
    >>> x = np.random.default_rng(0).normal(5.0, 3.0, (8, 4, 4, 2)).astype("float32")
    >>> y = np.asarray(BatchNormalization()(x, training=True))
    >>> bool(abs(y.mean()) < 1e-5), bool(abs(y.std() - 1) < 1e-3)
    (True, True)
    """

    def __init__(self, axis=-1, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        where = f"layer '{self.name}'"
        self.axis = require_int(axis, "axis", where)
        self.momentum = require_fraction(momentum, "momentum", where)
        self.epsilon = require_positive_number(epsilon, "epsilon", where)

    def call(self, inputs, training=None, mask=None):
        if not self._fusible(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        learn = bool(training and self.trainable)
        shared = learn and self.synchronized and _among_replicas()
        if learn and not shared and _under_xla():
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = self._shared(inputs) if shared else self._fused(inputs, learn)
        if learn:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return outputs

    def _fusible(self, inputs, mask) -> bool:
        return (
            ON_TENSORFLOW
            and mask is None
            and not getattr(self, "renorm", False)  # absent in Keras 3.13
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and inputs.dtype in (tf.float32, tf.float16, tf.bfloat16)
        )

    def _fused(self, inputs, learn: bool):
        """Return `(outputs, moving mean, moving variance)` of the fused kernel; statistics move only if `learn`."""
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
        # oneDNN joins norm and ReLU. Unless 16 divides the channels, that is slower, and keeps a float32 mask
        outputs = tf.ensure_shape(result.y, inputs.shape) if channels % 16 else result.y
        # The kernel averages the unbiased variance of the batch; Keras uses the biased one, (n - 1) / n of it.
        rest = 1.0 / _count(inputs)
        return outputs, result.batch_mean, result.batch_variance * (1.0 - rest) + variance * (self.momentum * rest)

    def _shared(self, inputs):
        """Return `(outputs, moving mean, moving variance)` with the batch statistics of all replicas."""
        channels = inputs.shape[-1]
        scale = _float32(self.gamma) if self.scale else tf.ones([channels])
        offset = _float32(self.beta) if self.center else tf.zeros([channels])
        outputs, mean, variance = _normalized_together(inputs, scale, offset, self.epsilon)
        batch = ((self.moving_mean, mean), (self.moving_variance, variance))
        return outputs, *(_float32(old) * self.momentum + new * (1.0 - self.momentum) for old, new in batch)


def _normalized_together(inputs, scale, offset, epsilon: float):
    """Return `(outputs, mean, variance)`, normalised over the batch of all replicas.

    The gradient (Ioffe and Szegedy 2015, sec. 3) is the fused kernel's for constant statistics, and what flows through
    the two statistics, which is linear in the normalised inputs. Replicas may hold shares of different sizes.
    """

    @tf.custom_gradient
    def normalized(x, gamma, beta):
        mean, variance, count = _moments_together(x)
        constants = {"epsilon": epsilon, "is_training": False}

        def scaled(scale, offset):
            kernel = tf.raw_ops.FusedBatchNormV3
            return kernel(x=x, scale=scale, offset=offset, mean=mean, variance=variance, **constants).y

        def gradient(d_outputs, *_):
            d_inputs, d_gamma, d_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=d_outputs,
                x=x,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([0]),  # cuDNN's, of a batch
                **constants,
            )
            of_mean, of_variance = tf.split(_summed_together(tf.concat([d_beta, d_gamma], 0)), 2)
            share = -gamma * tf.math.rsqrt(variance + epsilon) / count
            return d_inputs + scaled(share * of_variance, share * of_mean), d_gamma, d_beta

        return (scaled(gamma, beta), mean, variance), gradient

    return normalized(inputs, scale, offset)


def _moments_together(x):
    """Return `(mean, variance, count)` over the batch of all replicas.

    Each replica measures its own share around its own mean, and the shares are merged around the mean of all (Chan,
    Golub and LeVeque 1979): E[x^2] - E[x]^2 loses every digit where the mean is far above the deviation.
    """
    channels = x.shape[-1]
    count = tf.cast(tf.size(x) // channels, tf.float32)
    own, squares = (_squares_under_xla if _under_xla() else _squares)(x, count)
    context = tf.distribute.get_replica_context()
    row = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)[:, tf.newaxis]
    table = _summed_together(row * tf.concat([own, squares, [count]], 0))  # a row a replica
    means, squares, counts = tf.split(table, [channels, channels, 1], axis=1)
    total = tf.reduce_sum(counts)
    mean = tf.reduce_sum(counts * means, 0) / total
    variance = tf.reduce_sum(squares + counts * tf.square(means - mean), 0) / total
    return mean, variance, total


def _squares(x, count):
    """Return the mean of each channel, and the sum of squares around it, of the fused kernel."""
    ones = tf.ones([x.shape[-1]])
    batch = tf.raw_ops.FusedBatchNormV3(x=x, scale=ones, offset=ones, mean=ones, variance=ones, is_training=True)
    filled = count > 0  # the kernel says NaN of an empty share
    unbiased = tf.maximum(count - 1.0, 0.0)
    return tf.where(filled, batch.batch_mean, 0.0), tf.where(filled, batch.batch_variance * unbiased, 0.0)


def _squares_under_xla(x, count):
    """The same; the fused kernel would compute E[x^2] - E[x]^2."""
    values = tf.cast(x, tf.float32)
    own = tf.reduce_sum(values, [0, 1, 2]) / tf.maximum(count, 1.0)
    return own, tf.reduce_sum(tf.square(values - own), [0, 1, 2])


def _summed_together(tensor):
    """Return the sum of a tensor over all replicas."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def _under_xla() -> bool:
    """Whether the graph being traced is compiled by XLA (`jit_compile=True`, TPU).

    There the fused kernel computes E[x^2] - E[x]^2: NaN where the mean is 1,000 deviations from zero.
    """
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def _among_replicas() -> bool:
    """Whether this code runs in one of several replicas."""
    replicated = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return replicated and not tf.distribute.in_cross_replica_context()


def _float32(variable):
    """Return the value of a variable in float32, which the kernel expects under any dtype policy."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def _count(inputs):
    """Return the number of values per channel: a Python int, and fewer graph nodes, if tracing knows the batch size."""
    return inputs.shape[:-1].num_elements() or tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
