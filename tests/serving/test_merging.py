"""What TensorFlow makes of an exported graph: a convolution, its bias, a sum and an activation are one operation."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.serving import weights
from keras_resunits.serving.graph import inference_graph
from keras_resunits.serving.merging import mergeable
from keras_resunits.serving.precision import in_bfloat16
from tests.catalog import IMAGES, randomize

pytestmark = pytest.mark.slow

IMAGES_GIVEN = np.random.default_rng(1).normal(size=(3, *IMAGES)).astype("float32")


def graph_of(model):
    randomize(model)
    return inference_graph(lambda x: model(x, training=False), tf.TensorSpec(model.input_shape, tf.float32))


def run(graph):
    """Answers in a session, and the number of operations of each kind that it ran, with what they merge."""
    with tf.Graph().as_default() as here, tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, *IMAGES))
        y = graph(x)
        weights.load(here, session)
        options, found = tf.compat.v1.RunOptions(output_partition_graphs=True), tf.compat.v1.RunMetadata()
        answers = session.run(y, {x: IMAGES_GIVEN}, options, found)
    nodes = [node for part in found.partition_graphs for node in part.node]
    parts = [[name.decode() for name in node.attr["fused_ops"].list.s] for node in nodes]
    return answers, Counter(
        "+".join([node.op.split("Native")[-1], *each]) for node, each in zip(nodes, parts, strict=True)
    )


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_sums_of_pre_activated_units_are_a_part_of_their_convolutions(block):
    model = kr.PreActResNet([2, 2, 2], input_shape=IMAGES, classes=5, block=block)
    graph = graph_of(model)
    answers, kinds = run(mergeable(graph))
    assert kinds["FusedConv2D+BiasAdd+Add"] == 3 and kinds["FusedConv2D+BiasAdd+Add+Relu"] == 3
    assert not kinds.keys() & {"AddV2", "AddN", "BiasAdd", "Sub", "Conv2DWithBias"}
    np.testing.assert_array_equal(answers, run(graph)[0])
    np.testing.assert_allclose(answers, model(IMAGES_GIVEN, training=False), rtol=1e-5, atol=1e-5)


def test_sums_of_post_activated_units_are_a_part_of_their_convolutions():
    _, kinds = run(mergeable(graph_of(kr.ResNet([2, 2, 2], IMAGES, 5, block="bottleneck"))))
    assert kinds["FusedConv2D+BiasAdd+Add+Relu"] == 6 and not kinds["Relu"]


def test_sums_in_bfloat16_are_a_part_of_their_convolutions():
    graph = in_bfloat16(graph_of(kr.PreActResNet([2, 2, 2], input_shape=IMAGES, classes=5)))
    answers, kinds = run(mergeable(graph))
    assert not kinds.keys() & {"AddV2", "AddN", "BiasAdd"}
    np.testing.assert_allclose(answers, run(graph)[0], rtol=0.02, atol=0.02)


def of_sum(function):
    """A graph with a convolution, and what `function` makes of its input and its output, and the counts."""
    x = keras.Input(IMAGES)
    graph = graph_of(keras.Model(x, function(x, keras.layers.Conv2D(3, 1))))
    merged = mergeable(graph)
    answers, kinds = run(merged)
    for found, wanted in zip(tf.nest.flatten(answers), tf.nest.flatten(run(graph)[0]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    return Counter(node.op for node in merged.definition.node), kinds


def test_a_sum_that_is_an_output_keeps_its_name_or_is_passed_on():
    counts, kinds = of_sum(lambda x, w: x + w(x))
    assert counts["AddN"] == 1 and not counts["Snapshot"] and kinds["FusedConv2D+BiasAdd+Add"] == 1

    def both(x, w):
        total = x + w(x)
        return [total, keras.ops.relu(total)]

    counts, kinds = of_sum(both)
    assert counts["Snapshot"] == 1 and kinds["FusedConv2D+BiasAdd+Add"] == 1


def test_sums_that_only_end_in_sums_stay_apart():
    counts, kinds = of_sum(lambda x, w: keras.layers.Conv2D(3, 1)(x) + (x + w(x)))
    assert counts["Snapshot"] == 1 and kinds["FusedConv2D+BiasAdd+Add"] == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: keras.ops.mean(x, (1, 2), keepdims=True) + w(x),
        lambda x, w: x[:1, :1] + w(x),
        lambda x, w: keras.layers.Flatten()(x)[:, :3] + keras.layers.Dense(3)(keras.layers.Flatten()(w(x))),
    ],
    ids=["broadcast in space", "a slice", "a matrix product"],
)
def test_other_sums_are_left(function):
    counts, _ = of_sum(function)
    assert counts["AddV2"] == 1 and not counts["AddN"]
