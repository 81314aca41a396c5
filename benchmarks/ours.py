"""PreActResNet of this package, with its optimiser, begun and stepped as the training program does."""

from train.imports import importing

with importing():
    import keras
    import tensorflow as tf

    from keras_resunits import CoupledSGD, PreActResNet
    from train.tracing import trace_lightly


def compile_step(depth: int):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    trace_lightly()
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
