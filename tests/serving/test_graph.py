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


@pytest.mark.parametrize(
    ("taken", "scaled"),
    [
        (np.s_[:, ::2, 1::3, :], 0),
        (np.s_[:, ::-1, :, :], 0),
        (np.s_[:, :, :, ::-1], 1),
        (np.s_[:, :, :, :2], 1),
        (np.s_[..., ::2, :], 1),
        (np.s_[:, 0], 1),
    ],
    ids=str,
)
def test_scales_pass_slices_of_all_channels_in_their_order(taken, scaled):
    scales, kernel = tf.constant([0.5, 2.0, 3.0]), tf.ones([images()[taken].shape[-1], 2])

    def scaled_and_sliced(x):
        x = (x * scales)[taken]
        return tf.reshape(x, [-1, x.shape[-1]]) @ kernel

    graph = folded(scaled_and_sliced)
    assert operations(graph)["Mul"] == scaled
    np.testing.assert_allclose(answers(graph, images()), scaled_and_sliced(images()), rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize(("units", "chained"), [([1, 1, 1], 0), ([2, 2, 2], 3)])
def test_tensorflow_merges_every_bias_with_its_convolution(units, chained):
    """Also where sums end in each other, of which its remapper makes nothing; there they are differences."""
    model = kr.PreActResNet(units, input_shape=IMAGES, classes=5)
    randomize(model)
    graph = of_model(model)
    assert operations(graph)["Sub"] == chained
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, *IMAGES))
        options, found = tf.compat.v1.RunOptions(output_partition_graphs=True), tf.compat.v1.RunMetadata()
        session.run(graph(x), {x: images()}, options, found)
    kinds = {node.op for part in found.partition_graphs for node in part.node}
    assert "BiasAdd" not in kinds and any("FusedConv2D" in kind for kind in kinds)
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
