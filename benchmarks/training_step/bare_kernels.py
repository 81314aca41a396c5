"""A network of TensorFlow's kernels alone: one layer a kernel, and nothing of what training wants beside them.

A functional model of Keras' convolutions, ReLUs and sums. Its normalisation is the fused kernel alone, which keeps no
moving statistics, so that the network cannot be tested or served; its optimiser is Keras' SGD without weight decay.
What our layers and our optimiser cost beside the kernels is the difference to this.
"""

from train.process.startup import importing

with importing():
    import keras
    import tensorflow as tf

    from . import stock_keras, tape_step


class FusedNorm(keras.layers.Layer):
    """Normalises with the batch's statistics, always."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma", autocast=False)
        self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta", autocast=False)

    def call(self, x):
        scale, offset = (tf.convert_to_tensor(variable) for variable in (self.gamma, self.beta))
        return tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=1e-5)[0]


def compile_step(network: str, depth: int):
    """One training step, `(images, labels) -> loss`."""
    model = stock_keras.NETWORKS[network](depth, norm=FusedNorm)
    return tape_step.compile_step(model, keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
