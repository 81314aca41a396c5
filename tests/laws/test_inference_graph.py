"""Law: folding costs no digits. The error of the folded graph is at most twice that of the network itself."""

import keras
import numpy as np
import tensorflow as tf

from keras_resunits.serving import weights
from keras_resunits.serving.graph import InferenceGraph, inference_graph
from keras_resunits.serving.merging import mergeable
from tests.catalog import KERAS_LAYOUTS, NETWORKS, REPRESENTATIVE, Case, over

FLOOR = 5e-7
"""A few roundings of float32: networks of a few layers can be luckier than that."""


def train(model: keras.Model, seed: int = 2) -> None:
    """Move every variable to where training could move it: gammas of both signs, means and variances of any size."""
    rng = np.random.default_rng(seed)
    draws = {
        "gamma": lambda shape: rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape, p=[0.1, 0.9]),
        "beta": lambda shape: rng.normal(0, 0.5, shape),
        "bias": lambda shape: rng.normal(0, 0.5, shape),
        "moving_mean": lambda shape: rng.normal(0, 0.5, shape),
        "moving_variance": lambda shape: np.exp(rng.normal(0, 0.5, shape)),
    }
    for variable in model.variables:
        if draw := draws.get(variable.name):
            variable.assign(draw(variable.shape))
        elif variable.dtype == "float32":
            variable.assign_add(0.1 * rng.normal(size=variable.shape))


def exactly(case: Case, model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the output of the same network in float64."""
    keras.config.set_dtype_policy("float64")
    exact = case.model()
    exact.set_weights(model.get_weights())
    return np.asarray(exact(images.astype("float64"), training=False))


def answers(graph: InferenceGraph, images: np.ndarray) -> tuple[np.ndarray, set[str]]:
    """Run a folded graph in a session; return its answers, and the kinds of operations that TensorFlow ran."""
    with tf.Graph().as_default() as here, tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, *images.shape[1:]))
        y = graph(x)
        weights.load(here, session)
        options, found = tf.compat.v1.RunOptions(output_partition_graphs=True), tf.compat.v1.RunMetadata()
        return session.run(y, {x: images}, options, found), {n.op for part in found.partition_graphs for n in part.node}


def folded(model: keras.Model, shape) -> InferenceGraph:
    return inference_graph(lambda x: model(x, training=False), tf.TensorSpec((None, *shape), tf.float32))


@over(NETWORKS, KERAS_LAYOUTS, quick=REPRESENTATIVE)
def test_a_folded_network_is_as_exact_as_the_network(case):
    model = case.model()
    train(model)
    (images,) = case.arrays()
    own = np.asarray(model(images, training=False))
    graph = folded(model, case.shape[1:])
    found, _ = answers(graph, images)
    wanted = exactly(case, model, images)
    size = abs(wanted).max()
    assert abs(found - wanted).max() <= 2 * abs(own - wanted).max() + FLOOR * size
    norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers())
    assert graph.norms_folded + graph.norms_kept == norms


@over(NETWORKS, KERAS_LAYOUTS, quick=REPRESENTATIVE)
def test_tensorflow_merges_the_biases_and_sums_of_a_served_network(case):
    model = case.model()
    train(model)
    (images,) = case.arrays()
    graph = folded(model, case.shape[1:])
    found, kinds = answers(mergeable(graph), images)
    assert not kinds & {"BiasAdd", "AddN", "_MklNativeConv2DWithBias"}  # what it leaves when its remapper fails
    wanted, _ = answers(graph, images)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * abs(wanted).max())
