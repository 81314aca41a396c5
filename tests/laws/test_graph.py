"""Law: eager and graph compute the same, outputs and moving statistics, in training and in inference."""

import numpy as np
import tensorflow as tf

from tests.catalog import KERAS_LAYOUTS, LAYERS, NETWORKS, PAIRS, STEMS, over


@over(LAYERS, STEMS, PAIRS, NETWORKS, KERAS_LAYOUTS)
def test_a_graph_trains_as_eager_execution_does(case):
    assert_graph_computes_what_eager_execution_does(case, training=True)


@over(LAYERS, NETWORKS)
def test_a_graph_infers_as_eager_execution_does(case):
    assert_graph_computes_what_eager_execution_does(case, training=False)


def assert_graph_computes_what_eager_execution_does(case, training):
    layer, inputs = case.layer(), case.arrays()
    before = [v.numpy() for v in layer.variables]  # seeds too
    eager, moved = layer(*inputs, training=training), layer.get_weights()
    for variable, value in zip(layer.variables, before, strict=True):
        variable.assign(value)
    graph = tf.function(lambda *x: layer(*x, training=training))(*map(tf.constant, inputs))
    np.testing.assert_allclose(graph, eager, rtol=1e-4, atol=1e-5)
    for in_graph, in_eager in zip(layer.get_weights(), moved, strict=True):
        np.testing.assert_allclose(in_graph, in_eager, rtol=1e-5, atol=1e-6)
