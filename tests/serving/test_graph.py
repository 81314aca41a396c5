"""The inference graph: what is folded, what is left and counted, and that the answers stay."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.serving.graph import INPUT, inference_graph
from tests.catalog import IMAGES, NETWORKS, of_order, randomize

pytestmark = pytest.mark.slow


def folded(function, shape=IMAGES):
    return inference_graph(function, tf.TensorSpec((None, *shape), tf.float32))


def of_model(model):
    return folded(lambda x: model(x, training=False), model.input_shape[1:])


def operations(graph) -> Counter:
    return Counter(node.op for node in graph.definition.node if node.op not in ("Placeholder", "Const"))


def answers(graph, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, *images.shape[1:]))
        return session.run(graph(x), {x: images})


def images(shape=IMAGES):
    return np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")


def pre_activated():
    """Three units with projections, and norms that training has moved; every gamma is positive."""
    model = kr.PreActResNet([1, 1, 1], input_shape=IMAGES, classes=5, shortcut="projection")
    randomize(model)
    return model


def norms(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def agree(graph, model, x=None):
    x = images(model.input_shape[1:]) if x is None else x
    np.testing.assert_allclose(answers(graph, x), model(x, training=False), rtol=1e-5, atol=1e-5)


def test_pre_activation_norms_leave_convolutions_biases_sums_and_relus():
    model = pre_activated()
    graph = of_model(model)
    assert (graph.norms_folded, graph.norms_kept) == (len(norms(model)), 0)
    assert operations(graph).keys() <= {"Conv2D", "BiasAdd", "AddV2", "Sub", "Relu", "Pad", "Mean", "MatMul"}
    agree(graph, model)


def test_a_negative_gamma_costs_one_multiplication_by_signs():
    model = pre_activated()
    norm = model.get_layer("post").layers[0]  # the one before the classifier, on the stream
    norm.gamma.assign(norm.gamma * np.where(np.arange(norm.gamma.shape[0]) == 3, -1, 1))
    graph = of_model(model)
    assert operations(graph)["Mul"] == 1 and graph.norms_kept == 0
    agree(graph, model)


def test_a_relu_that_option_a_reads_keeps_its_scale_as_one_multiplication():
    model = kr.PreActResNet([1, 1, 1], input_shape=IMAGES, classes=5, shortcut="zero_pad")
    randomize(model)
    graph = of_model(model)
    assert operations(graph)["Mul"] == 2 and graph.norms_kept == 0  # two units widen
    agree(graph, model)


@pytest.mark.parametrize("beta", [1e4, 0.0], ids=["shift", "no scale"])
def test_a_norm_that_would_cost_digits_is_kept_and_counted(beta):
    model = pre_activated()
    norm = model.get_layer("post").layers[0]
    gamma, moved = np.array(norm.gamma), np.array(norm.beta)
    gamma[2], moved[2] = (1.0, beta) if beta else (0.0, 1.0)
    norm.gamma.assign(gamma)
    norm.beta.assign(moved)
    graph = of_model(model)
    assert (graph.norms_folded, graph.norms_kept) == (len(norms(model)) - 1, 1)
    agree(graph, model)


def test_norms_of_concatenated_features_are_kept_and_counted():
    model = NETWORKS["DenseNet"].model()
    graph = of_model(model)
    assert graph.norms_kept > 0 and graph.norms_folded + graph.norms_kept == len(norms(model))
    agree(graph, model)


@pytest.mark.parametrize("name", ["GatedResNet", "StochasticDepthResNet", "WideResNet", "ResNet-bottleneck"])
def test_gates_scalings_dropout_and_stochastic_depth_are_gone(name):
    wide = {"Mul": 2} if name == "GatedResNet" else {}  # scales before option A
    kinds = {"Conv2D", "BiasAdd", "AddV2", "Sub", "Relu", "Pad", "StridedSlice", "AvgPool", "Mean", "MatMul"}
    model = NETWORKS[name].model()
    found = operations(of_model(model))
    assert found.keys() <= kinds | wide.keys() and found["Mul"] == wide.get("Mul", 0)


@pytest.mark.parametrize("name", ["squeeze_excite", "FullyConnectedResNet"])
def test_dense_layers_on_images_do_not_compute_shapes(name):
    model = NETWORKS[name].model()
    graph = of_model(model)
    assert not operations(graph).keys() & {"Shape", "Prod", "GatherV2", "Pack", "Transpose"}
    agree(graph, model)


def test_every_operation_is_needed():
    graph = of_model(pre_activated())
    read = {name.split(":")[0] for node in graph.definition.node for name in node.input}
    assert {node.name for node in graph.definition.node} - read == {graph.results.split(":")[0]}
    assert graph.weights.keys() | {INPUT} == {node.name for node in graph.definition.node if node.op == "Placeholder"}


UP, MIXED = [0.5, 2.0, 3.0], [0.5, -2.0, 3.0]
PADS = [[0, 0], [1, 1], [1, 1], [0, 0]]
ACROSS = [[0, 0], [0, 0], [1, 1], [0, 0]]
CHANNELS = [[0, 0], [0, 0], [0, 0], [2, 1]]
RNG = np.random.default_rng(3)
KERNEL, SQUARE = (tf.constant(RNG.normal(size=shape), tf.float32) for shape in ((3, 3, 3, 3), (3, 3)))


def rows(x):
    """Every pixel as a row of its channels."""
    return tf.reshape(x, [-1, 3])


def pooled(x, fill):
    """The maxima of images with a frame."""
    return tf.nn.max_pool2d(tf.pad(x, PADS, constant_values=fill), 3, 1, "VALID")


PASSED = {
    "all channels": (UP, 1, lambda x: x[:, ::2, 1::3, :]),
    "reversed rows": (UP, 1, lambda x: x[:, ::-1, :, :]),
    "mean of rows": (MIXED, 1, lambda x: tf.reduce_mean(x, [-3, 2])),
    "mean of pools": (MIXED, 1, lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID")),
    "maximum": (UP, 1, lambda x: tf.reduce_max(x, 1)),
    "pools": (UP, 1, lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME")),
    "no transposition": (MIXED, 1, lambda x: tf.transpose(x, [0, 1, 2, 3])),
    "one row": (MIXED, 1, lambda x: tf.squeeze(x[:, :1, :, :], 1)),
    "one axis more": (MIXED, 1, lambda x: tf.expand_dims(x, 1)),
    "shape": (MIXED, 1, lambda x: tf.reshape(x, [-1, 4, x.shape[1] * x.shape[2] // 4, 3])),
    "zeros": (UP, 0, lambda x: tf.pad(x, PADS)),
    "channels of zeros": (UP, 0, lambda x: tf.pad(x, [*PADS[:3], [2, 1]])),
    "lowest": (UP, 0, lambda x: tf.nn.max_pool2d(tf.pad(tf.nn.relu(x), PADS, constant_values=-np.inf), 3, 1, "VALID")),
    "joined": (UP, 1, lambda x: tf.concat([x, x + x], -1)),
    "twice": (MIXED, 1, lambda x: x + x),
    "product": (MIXED, 0, lambda x: x * x),
    "relu": (UP, 0, tf.nn.relu),
    "convolution": (MIXED, 1, lambda x: tf.nn.conv2d(x, KERNEL, 1, "VALID")),
    "padded convolution": (MIXED, 0, lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME")),
    "sum of convolutions": (
        MIXED,
        1,
        lambda x: tf.nn.conv2d(x, KERNEL, 1, "VALID") + tf.nn.conv2d(x, -KERNEL, 1, "VALID"),
    ),
    "weights": (MIXED, 1, lambda x: tf.matmul(rows(x), SQUARE)),
    "difference": (MIXED, 1, lambda x: x[:, 1:, :, :] - x[:, :-1, :, :]),
    "sum of opposites": (MIXED, 1, lambda x: x[:, 1:, :, :] + x[:, :-1, :, :] * -1.0),
    "less itself": (MIXED, 1, lambda x: x - x),
    "lowest of any": (UP, 1, lambda x: pooled(x, -np.inf)),
    "lowest of relus, the whole": (
        UP,
        0,
        lambda x: tf.reduce_max(tf.pad(tf.nn.relu(x), PADS, constant_values=-np.inf), 1),
    ),
    "channels beside shifts": (UP, 1, lambda x: tf.pad(x, CHANNELS)),
    "channels of ones": (UP, 1, lambda x: tf.pad(x, CHANNELS, constant_values=1.0)),
    "ones of one scale": ([2.0] * 3, 0, lambda x: tf.pad(x, PADS, constant_values=1.0)),
    "joined by number": (UP, 1, lambda x: tf.concat([x, x + x, x], 3)),
}
KEPT = {
    "reversed channels": (UP, 1, lambda x: x[:, :, :, ::-1]),
    "some channels": (UP, 1, lambda x: x[:, :, :, :2]),
    "rows of the last axes": (UP, 1, lambda x: x[..., ::2, :]),
    "first row": (UP, 1, lambda x: x[:, 0]),
    "mean of channels": (MIXED, 1, lambda x: tf.reduce_mean(x, -1, keepdims=True)),
    "maximum of channels": (UP, 1, lambda x: tf.reduce_max(x, 3, keepdims=True)),
    "maximum of negatives": (MIXED, 1, lambda x: tf.reduce_max(x, 1)),
    "pools of negatives": (MIXED, 1, lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME")),
    "transposition": (MIXED, 1, lambda x: tf.transpose(x, [0, 2, 1, 3])),
    "zeros beside shifts": (UP, 1, lambda x: tf.pad(x, PADS)),
    "ones": (UP, 0, lambda x: tf.pad(x, PADS, constant_values=1.0)),
    "joined rows": (UP, 1, lambda x: tf.concat([x, x], 1)),
    "other channels": (UP, 1, lambda x: x + tf.reduce_sum(x, -1, keepdims=True)),
    "relu beside shifts": (UP, 1, tf.nn.relu),
    "relu of negatives": (MIXED, 0, tf.nn.relu),
    "relu of negatives beside shifts": (MIXED, 1, tf.nn.relu),
    "relu of nothing": ([0.5, 0.0, 3.0], 0, tf.nn.relu),
    "shape of more channels": (UP, 1, lambda x: tf.reshape(x, [-1, x.shape[1] // 2, x.shape[2], 6])),
    "shape of fewer channels": (UP, 1, lambda x: tf.reshape(x, [-1, x.shape[1], x.shape[2] * 3, 1])),
    "a row as a new axis": (UP, 1, lambda x: x[:, tf.newaxis, 0, :, :]),
    "rows after others": (UP, 1, lambda x: x[..., ::2, :, :]),
    "mean of as many channels": (MIXED, 1, lambda x: tf.reduce_mean(x[:, :, :3, :], -1)),
    "maximum of as many channels": (UP, 1, lambda x: tf.reduce_max(x[:, :, :3, :], 3)),
    "weights of images": (UP, 1, lambda x: tf.matmul(rows(x), rows(x), transpose_a=True)),
    "mirrored weights": (UP, 1, lambda x: tf.matmul(rows(x), SQUARE, transpose_b=True)),
    "mirrored rows": (UP, 1, lambda x: tf.matmul(rows(x)[:3], SQUARE, transpose_a=True)),
    "padded convolution beside shifts": (UP, 1, lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME")),
    "sum of unequal scales": (UP, 1, lambda x: x[:, 1:, :, :] + x[:, :-1, :, :] * tf.constant([3.0, 1.0, 1.0])),
    "product beside shifts": (MIXED, 1, lambda x: x * x),
    "zeros across beside shifts": (UP, 1, lambda x: tf.pad(x, ACROSS)),
    "ones before maxima": (UP, 0, lambda x: pooled(x, 1.0)),
    "lowest of relus, the mean": (
        UP,
        0,
        lambda x: tf.reduce_mean(tf.nn.relu(tf.pad(tf.nn.relu(x), PADS, constant_values=-9e9)), 1),
    ),
    "ones of one scale and channels": ([2.0] * 3, 0, lambda x: tf.pad(x, [*PADS[:3], [2, 1]], constant_values=1.0)),
    "joined negatives": (MIXED, 1, lambda x: tf.concat([x, x], -1)),
    "integers": (UP, 0, lambda x: tf.cast(tf.pad(tf.cast(x, tf.int32), PADS), tf.float32)),
    "two unknown lengths": (MIXED, 1, lambda x: tf.reshape(x, [tf.shape(x)[0], tf.size(x) // tf.shape(x)[0] // 3, 3])),
    "convolution and sum": (MIXED, 1, lambda x: tf.nn.conv2d(x, KERNEL, 1, "VALID") + x[:, 1:-1, 1:-1, :]),
}


@pytest.mark.parametrize("name", [*PASSED, *KEPT])
def test_scales_and_shifts_pass_what_they_commute_with(name):
    scale, shift, what = (PASSED | KEPT)[name]
    kernel = np.random.default_rng(2).normal(size=(what(tf.zeros([1, *IMAGES])).shape[-1], 2)).astype("float32")

    def function(x):
        x = what(x * tf.constant(scale) + shift * tf.constant([1.0, 2.0, -1.0]))
        return tf.reshape(x, [-1, kernel.shape[0]]) @ kernel

    graph = folded(function)
    left = operations(graph).keys() & {"Mul", "AddV2", "FusedBatchNormV3"}
    own = {"product": {"Mul"}, "sum of convolutions": {"AddV2"}}.get(name, set())
    assert bool(left - own) == (name in KEPT)
    np.testing.assert_allclose(answers(graph, images()), function(images()), rtol=1e-4, atol=1e-4)


def with_stem(stem, preprocessing):
    model = of_order(kr.PostAct(), stem=stem)()
    randomize(model)
    graph = folded(lambda x: model(preprocessing(x), training=False))
    x = np.random.default_rng(1).integers(0, 256, (3, *IMAGES)).astype("float32")
    np.testing.assert_allclose(answers(graph, x), model(preprocessing(x), training=False), rtol=1e-4, atol=1e-4)
    return operations(graph)


def test_a_rescaling_of_pixels_is_a_part_of_the_stem():
    assert with_stem(kr.Stem(8), keras.layers.Rescaling(1 / 255)) == with_stem(kr.Stem(8), keras.layers.Identity())


def test_one_offset_of_all_pixels_becomes_what_the_stem_pads():
    found = with_stem(kr.Stem(8, 5, strides=2), keras.layers.Rescaling(1 / 127.5, -1.0))
    plain = with_stem(kr.Stem(8, 5, strides=2), keras.layers.Identity())
    assert found - plain == {"PadV2": 1} and plain - found == {"Pad": 1}


def test_offsets_of_each_channel_stay_one_addition_before_a_padded_stem():
    normalization = keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3600.0, 3700.0, 3800.0])
    normalization.build((None, *IMAGES))
    found = with_stem(kr.Stem(8), normalization)
    assert found - with_stem(kr.Stem(8), keras.layers.Identity()) == {"AddV2": 1}


def test_a_function_may_return_several_tensors():
    model = pre_activated()
    features = keras.Model(model.input, [model.get_layer("post").output, model.output])
    graph = folded(lambda x: dict(zip(("normed", "logits"), features(x, training=False), strict=True)))
    found, (normed, logits) = answers(graph, images()), features(images(), training=False)
    np.testing.assert_allclose(found["normed"], normed, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-5, atol=1e-5)


def test_norms_in_float16_are_kept_since_weights_could_leave_its_range():
    keras.config.set_dtype_policy("mixed_float16")
    model = pre_activated()
    graph = of_model(model)
    assert (graph.norms_folded, graph.norms_kept) == (0, len(norms(model)))


def test_a_grouped_convolution_is_read_as_it_is():
    x = keras.Input((6, 6, 8))
    y = keras.layers.Conv2D(8, 3, padding="same", groups=2)(keras.layers.Rescaling(np.arange(1.0, 9.0).tolist())(x))
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(kr.BatchNormalization()(y)))
    randomize(model)
    graph = of_model(model)
    assert (graph.norms_folded, graph.norms_kept) == (0, 1)  # Keras calls a function of its own for it
    agree(graph, model)


@pytest.mark.parametrize("channels", [3, 300], ids=["few", "many"])
def test_a_tensor_that_the_function_found_outside_is_a_constant(channels):
    outside, x = tf.random.normal([channels]), images((4, 4, channels))
    graph = folded(lambda x: tf.nn.relu(x + outside), (4, 4, channels))
    np.testing.assert_allclose(answers(graph, x), tf.nn.relu(x + outside), rtol=1e-5, atol=1e-6)


def test_a_variable_of_which_rows_are_read_is_a_constant():
    rows = tf.Variable(np.eye(4, 3), dtype=tf.float32)
    graph = folded(lambda x: x * tf.gather(rows, [1]))
    np.testing.assert_allclose(answers(graph, images()), images() * [0, 1, 0])


def test_one_result_alone_leaves_out_what_others_need():
    graph = folded(lambda x: {"sum": tf.reduce_sum(x, -1), "top": tf.nn.relu(x * [2.0, 3.0, 4.0])})
    alone = graph.only("sum")
    assert operations(alone) == {"Sum": 1} and not alone.weights and graph.weights
    np.testing.assert_allclose(answers(alone, images()), images().sum(-1), rtol=1e-5)
