"""The package's batch normalisation against Keras' own, and the reproducibility of its gradient."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

import keras_resunits as kr
from keras_resunits.layers import normalization
from tests.catalog import randomize

SHAPES = [(4, 5, 6, 3), (1, 1, 1, 3), (8, 3)]


def pair(shape, **kwargs):
    """`(ours, Keras')` with the same weights, and one input."""
    ours = kr.BatchNormalization(**kwargs)
    keras_own = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **kwargs)
    x = np.random.default_rng(0).normal(2.0, 3.0, shape).astype("float32")
    for layer in (ours, keras_own):
        layer.build(shape)
        randomize(layer)
    return ours, keras_own, tf.constant(x)


def learned(layer, x, training):
    """Outputs, gradients with respect to the input and the weights, and the resulting statistics."""
    cotangent = tf.random.stateless_normal(x.shape, seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(y * cotangent)
    of_x, of_weights = tape.gradient(loss, (x, [w.value for w in layer.trainable_weights]))
    return [y, of_x, *of_weights, *layer.get_weights()]


def assert_the_same(ours, keras_own, x, training):
    for found, wanted in zip(learned(ours, x, training), learned(keras_own, x, training), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_constants_are_those_of_the_papers():
    layer = kr.BatchNormalization()
    assert (layer.momentum, layer.epsilon, layer.axis) == (0.9, 1e-5, -1)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_gradients_and_statistics_are_those_of_keras(shape, training):
    assert_the_same(*pair(shape), training)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("kwargs", [{"center": False}, {"scale": False}, {"center": False, "scale": False}], ids=str)
def test_without_scale_or_center_it_is_that_of_keras(kwargs, training):
    assert_the_same(*pair((4, 5, 6, 3), **kwargs), training)


def test_statistics_move_over_several_steps_as_those_of_keras():
    ours, keras_own, _ = pair((4, 5, 6, 3))
    for step in range(5):
        x = tf.random.stateless_normal((4, 5, 6, 3), seed=(step, 0)) * (step + 1.0)
        ours(x, training=True), keras_own(x, training=True)
    for found, wanted in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_frozen_layer_uses_and_keeps_its_statistics_while_training():
    ours, keras_own, x = pair((4, 5, 6, 3))
    ours.trainable = keras_own.trainable = False
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), keras_own(x, training=True), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(ours(x, training=True), ours(x, training=False))
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_batch_of_unknown_size_moves_the_statistics_alike(shape):
    ours, keras_own, x = pair(shape)
    unknown = tf.TensorSpec((None, *shape[1:]))
    for layer in (ours, keras_own):
        tf.function(lambda x, layer=layer: layer(x, training=True), input_signature=[unknown])(x)
    for found, wanted in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2])
def test_another_axis_is_normalised_as_keras_does(axis):
    assert_the_same(*pair((4, 5, 6, 3), axis=axis), True)


def test_weights_move_both_ways_between_the_two():
    ours, keras_own, x = pair((4, 5, 6, 3))
    assert [w.name for w in ours.weights] == [w.name for w in keras_own.weights]
    keras_own.set_weights([2 * w for w in ours.get_weights()])
    assert not np.allclose(ours(x), keras_own(x))
    ours.set_weights(keras_own.get_weights())
    np.testing.assert_allclose(ours(x), keras_own(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_sixteen_bits_stay_sixteen_bits_and_are_close(dtype, training):
    exact, _, x = pair((16, 8, 8, 3))
    layer = kr.BatchNormalization(dtype=f"mixed_{dtype}")
    layer.build(x.shape)
    layer.set_weights(exact.get_weights())
    y = layer(tf.cast(x, dtype), training=training)
    assert y.dtype == dtype
    np.testing.assert_allclose(tf.cast(y, "float32"), exact(x, training=training), atol=0.06)
    for found, wanted in zip(layer.get_weights(), exact.get_weights(), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_a_policy_of_one_dtype_works_as_with_keras(policy, training):
    x = tf.random.stateless_normal((4, 5, 6, 3), seed=(1, 2))
    found = kr.BatchNormalization(dtype=policy)(x, training=training)
    wanted = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=policy)(x, training=training)
    assert found.dtype == policy
    np.testing.assert_allclose(tf.cast(found, "float32"), tf.cast(wanted, "float32"), atol=0.05)


@pytest.mark.parametrize("shares", [(3, 2), (1, 4), (5, 0)])
def test_replicas_with_shares_of_different_sizes_normalise_as_one_device_does(two_devices, shares):
    """The last, partial batch of `Model.fit` is split into such shares."""
    rng = np.random.default_rng(5)
    x, weights = (rng.normal(size=(5, 4, 4, 3)).astype("float32") for _ in range(2))

    def trained(layer, images, cotangent):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
            loss = tf.reduce_sum(outputs * cotangent)
        return outputs, tape.gradient(loss, images)

    alone = kr.BatchNormalization()
    wanted = trained(alone, tf.constant(x), weights)
    with two_devices.scope():
        layer = kr.BatchNormalization(synchronized=True)
        layer.build(x.shape)

    def part(array):
        parts = np.split(array, [shares[0]])
        each = two_devices.experimental_distribute_values_from_function
        return each(lambda context: tf.constant(parts[context.replica_id_in_sync_group]))

    step = tf.function(lambda images, cotangent: trained(layer, images, cotangent))
    found = two_devices.run(step, (part(x), part(weights)))
    for ours, one in zip(found, wanted, strict=True):
        together = np.concatenate([each.numpy() for each in two_devices.experimental_local_results(ours)])
        np.testing.assert_allclose(together, one, atol=1e-5)
    for ours, one in zip(layer.non_trainable_variables, alone.non_trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), one.numpy(), rtol=1e-5)


@pytest.mark.parametrize("far", [0.0, 4000.0])
def test_under_xla_the_values_and_statistics_are_those_of_keras(far):
    """Elevations of 4000 +- 1, or white pages, reach a first layer so."""
    ours, keras_own, x = pair((16, 8, 8, 3))
    x = x + far

    def compiled(layer):
        return [*tf.function(lambda x: layer(x, training=True), jit_compile=True)(x).numpy(), *layer.get_weights()]

    for found, wanted in zip(compiled(ours), compiled(keras_own), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_replicas_with_far_means_normalise_as_one_device_does(two_devices):
    x = np.random.default_rng(5).normal(size=(8, 8, 8, 3)).astype("float32") + 4000
    alone = kr.BatchNormalization()
    wanted = alone(x, training=True)
    with two_devices.scope():
        layer = kr.BatchNormalization(synchronized=True)
        layer.build(x.shape)
    parts = two_devices.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
    )
    found = two_devices.run(tf.function(lambda images: layer(images, training=True)), (parts,))
    together = np.concatenate([each.numpy() for each in two_devices.experimental_local_results(found)])
    np.testing.assert_allclose(together, wanted, atol=5e-3)
    for ours, one in zip(layer.non_trainable_variables, alone.non_trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), one.numpy(), rtol=1e-4)


def test_synchronised_replicas_use_the_fused_kernels(two_devices):
    """Element by element, a step of two workers took a sixth longer."""
    with two_devices.scope():
        layer = kr.BatchNormalization(synchronized=True)
        layer.build((4, 8, 8, 3))

    def trained(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(images, training=True) ** 2)
        return tape.gradient(loss, [layer.gamma.value, layer.beta.value])

    step = tf.function(lambda: two_devices.run(trained, (tf.ones((4, 8, 8, 3)),)))
    nodes = Counter(operation.type for operation in step.get_concrete_function().graph.get_operations())
    replicas = 2
    assert nodes["FusedBatchNormV3"] == 3 * replicas  # statistics, outputs, the gradient through the statistics
    assert nodes["FusedBatchNormGradV3"] == replicas


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_moments_of_a_share_are_right_where_the_mean_is_far(jit_compile):
    """XLA's fused kernel computes E[x^2] - E[x]^2, so replicas under XLA sum for themselves."""
    x = np.random.default_rng(5).normal(size=(8, 8, 8, 3)).astype("float32") + 10_000
    share = normalization._squares_under_xla if jit_compile else normalization._squares
    mean, squares = tf.function(share, jit_compile=jit_compile)(tf.constant(x), tf.constant(512.0))
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(squares, 512 * exact.var((0, 1, 2)), rtol=1e-2)


def test_norm_and_relu_stay_apart_where_16_does_not_divide_the_channels():
    """Where TensorFlow's optimiser joins them, oneDNN's kernel is slower, and keeps a float32 mask."""
    layers = [kr.BatchNormalization(), keras.layers.ReLU()]
    for layer in layers:
        layer.build((None, 4, 4, 24))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layers[1](layers[0](x, training=True))
        return tape.gradient(outputs, x)

    context.enable_run_metadata()
    try:
        step(tf.random.stateless_normal((2, 4, 4, 24), seed=(0, 1)))
        graphs = context.export_run_metadata().partition_graphs
    finally:
        context.disable_run_metadata()
    kinds = Counter(node.op for graph in graphs for node in graph.node)
    assert sum(count for kind, count in kinds.items() if kind.endswith("FusedBatchNormV3")) == 1, kinds
