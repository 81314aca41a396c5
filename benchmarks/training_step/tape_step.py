"""A training step as the training program traces it, for any Keras model and optimiser."""

import keras
import tensorflow as tf

from train.process.startup import trace_lightly


def compile_step(model: keras.Model, optimizer: keras.optimizers.Optimizer):
    """One training step, `(images, labels) -> loss`."""
    trace_lightly()
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
