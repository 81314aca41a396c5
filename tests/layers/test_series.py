"""Layers one after the other."""

import keras
import pytest

import keras_resunits as kr


@pytest.mark.parametrize(("remat", "again"), [(None, 0), ("norms", 3)])  # those between two convolutions
def test_norms_are_computed_again_only_where_a_network_asks_for_it(remat, again):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts the operations of TensorFlow's graph")
    model = kr.PreActResNet(8, input_shape=(8, 8, 3), remat=remat)
    norms = sum(isinstance(each, keras.layers.BatchNormalization) for each in model._flatten_layers())

    @tf.function
    def gradients(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    graph = gradients.get_concrete_function(tf.TensorSpec((2, 8, 8, 3))).graph
    assert [op.type for op in graph.get_operations()].count("FusedBatchNormV3") == norms + again
