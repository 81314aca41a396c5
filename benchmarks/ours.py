"""PreActResNet of this package, with its optimiser and a step like the training program's."""

import keras
import tensorflow as tf

from keras_resunits import CoupledSGD, PreActResNet


def compile_step(depth: int):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    model = PreActResNet(depth, block="bottleneck")
    optimizer = CoupledSGD(0.1)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(images, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    return lambda images, labels: float(step(images, labels))
