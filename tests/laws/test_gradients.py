"""Law: the gradient of a loss reaches every trainable parameter."""

import numpy as np
import tensorflow as tf

from tests.catalog import LAYERS, NETWORKS, PAIRS, STEMS, over


@over(LAYERS, STEMS, PAIRS, NETWORKS)
def test_the_gradient_reaches_every_trainable_parameter_and_an_input(case):
    layer = case.layer()
    inputs = [tf.constant(x) for x in case.arrays()]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = 0.0
        for _ in range(12 if case.random else 1):  # a parameter dropped by one draw is included in another
            outputs = layer(*inputs, training=True)
            loss += tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, seed=(1, 2)))
    names = [w.path for w in layer.trainable_weights]
    gradients, reached = tape.gradient(loss, ([w.value for w in layer.trainable_weights], inputs))
    assert [name for name, g in zip(names, gradients, strict=True) if g is None or not np.any(g)] == []
    assert any(g is not None and np.any(g) for g in reached)
    assert all(np.isfinite(g).all() for g in gradients)
