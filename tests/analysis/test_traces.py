"""Laws of the traces, over the catalog's networks: gradients by path, credits and the state of the model."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.analysis.chains import chain_of
from keras_resunits.analysis.traces import traced
from keras_resunits.layers.modes import in_mode
from keras_resunits.layers.pullback import pullback
from tests.analysis.nets import net
from tests.catalog import KERAS_LAYOUTS, NETWORKS, over

NOT_HOMOGENEOUS = {"ELU"}
QUICK = ("DenseNet-plain", "GatedResNet", "HighwayNet", "PreActResNet-softmax")


def values(model):
    return [keras.ops.convert_to_numpy(variable.value).copy() for variable in model.variables]


@over(NETWORKS, KERAS_LAYOUTS, quick=QUICK)
def test_paths_and_credits_add_up_and_nothing_of_the_model_moves(case, request):
    model, images = case.model(), case.arrays()[0]
    labels, before = np.arange(len(images)) % model.output.shape[-1], values(model)
    chain = chain_of(model, "law")
    found = kr.analysis.paths(model, images, labels, training=False)

    def loss_after_stem(x):
        for unit in chain.units:
            x = unit(x)
        logits = chain.logits(x)
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return (keras.ops.mean(losses), logits)

    stem = in_mode(False, lambda x: keras.ops.convert_to_tensor(chain.before(x)), images)
    (_, logits), back = in_mode(False, lambda x: pullback(loss_after_stem, x), stem)
    gradient = keras.ops.convert_to_numpy(back(1.0, None)[0])
    rounding = 3e-6 if model.count_params() > 1e7 else 1e-6  # 50 layers: 2e-6 in float32, 3e-15 in float64
    assert np.linalg.norm(found.arrays["gradients"].sum(0) - gradient) < rounding * np.linalg.norm(gradient)
    assert len(found.rows) == len(chain.units) + 1

    kr.analysis.propagation(model, images, labels, training=True)
    if not all(unit.merge.drops_carry for unit in chain.units):
        credited = kr.analysis.credits(model, images).arrays
        largest = np.abs(logits).max()
        np.testing.assert_allclose(credited["logits"], logits, atol=1e-6 * largest)
        np.testing.assert_allclose(credited["credits"].sum(0), logits, atol=1e-6 * largest)
        unexplained = np.abs(credited["credits"][-1]).max() / largest
        assert unexplained > 0.01 if request.node.callspec.id in NOT_HOMOGENEOUS else unexplained < 1e-6
    assert all((a == b).all() for a, b in zip(before, values(model), strict=True))


def test_elu_is_not_explained_and_the_sum_still_is_the_logit():
    model = net(1, order=kr.FullPreAct(activation=keras.layers.ELU))
    found = kr.analysis.credits(model, np.random.default_rng(0).normal(size=(2, 8, 8, 3))).arrays
    largest = np.abs(found["logits"]).max()
    assert np.abs(found["credits"][-1]).max() > 0.01 * largest
    np.testing.assert_allclose(found["credits"].sum(0), found["logits"], atol=1e-6 * largest)


def test_a_trace_in_training_mode_draws_the_same_again():
    model = net(3, tail=kr.stochastic_depth)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    first, second = (traced(chain_of(model, "law"), images, training=True) for _ in range(2))
    assert (np.asarray(first.logits) == np.asarray(second.logits)).all()
    assert not np.allclose(first.logits, model(images, training=False))


def test_the_parts_of_a_pullback():
    outputs, back = pullback(lambda x, y: (x * y, x), np.float32(2), np.float32(3))
    assert [float(each) for each in outputs] == [6, 2]
    assert [float(each) for each in back(1.0, None)] == [3, 2]
    assert [float(each) for each in back(None, 5.0)] == [5, 0]  # an output that is an input, and a missing one


def test_edges_in_a_given_mode():
    unit = kr.Recipe(kr.basic, kr.PostAct(), kr.identity, tail=kr.branch_dropout)(kr.Slot(0, 1, 4, 4))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype("float32")
    unit(x)
    _, _, still = unit.edges(x)
    _, _, inferred = unit.edges(x, training=False)
    _, _, trained = unit.edges(x, training=True)
    assert (np.asarray(still) == np.asarray(inferred)).all()
    assert (np.asarray(trained) == 0).mean() > 0.1
    with pytest.raises(ValueError, match=r"`training` must be True or False, or None. Received: training=2 \(unit"):
        unit.edges(x, training=2)


@pytest.mark.parametrize("shortcut", [kr.shortcut_gating, kr.projection, kr.constant_scaling])
def test_the_carry_with_its_gates_held(shortcut):
    unit = kr.Recipe(kr.basic, kr.FullPreAct(), shortcut)(kr.Slot(1, 3, 4, 8, strides=2))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype("float32")
    unit(x)
    z, carry, _ = unit.edges(x)
    np.testing.assert_allclose(unit.carried(x, z), carry, rtol=1e-6)
    other = unit.entry(x + 1)
    held = np.asarray(unit.carried(x, other))
    assert np.allclose(held, carry) is (shortcut is not kr.shortcut_gating)


class Cosine(keras.layers.Dense):
    """A classifier by angles, whose logits are not those of its kernel."""

    def call(self, inputs):
        return keras.ops.matmul(keras.ops.normalize(inputs), keras.ops.normalize(self.kernel, axis=0))


def test_small_gradients_stay_in_float16():
    """At 1e-9 a gradient is 0 in float16; a network's is that small where it is confident or the images are many."""
    (half,), back = pullback(lambda x: (2 * x,), np.float16(1.0))
    assert half.dtype == "float16" and float(back(np.float32(1e-9))[0]) == pytest.approx(2e-9)
    assert float(back(np.float32(0))[0]) == 0 and float(back(None)[0]) == 0
    keras.config.set_dtype_policy("mixed_float16")
    model = net(2, 2)
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(200, 8, 8, 3)), rng.integers(0, 5, 200)
    keras.config.set_dtype_policy("float32")
    exact = net(2, 2)
    exact.set_weights(model.get_weights())
    for each in (model, exact):
        each.layers[-1].kernel.assign(each.layers[-1].kernel * 1e-3)
    found, expected = (kr.analysis.propagation(each, images, labels).arrays for each in (model, exact))
    for name in ("gradient", "direct"):
        np.testing.assert_allclose(found[name], expected[name], rtol=5e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_the_policy_of_the_session_changes_no_analysis(policy):
    keras.config.set_dtype_policy(policy)
    model = net(2, 1, tail=kr.residual_gate)
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(4, 8, 8, 3)), [0, 1, 2, 3]

    def found():
        return {
            "propagation": kr.analysis.propagation(model, images, labels),
            "paths": kr.analysis.paths(model, images, labels),
            "credits": kr.analysis.credits(model, images),
            "importance": kr.analysis.importance(model, images, labels),
            "lens": kr.analysis.lens(model, images, labels),
            "reorder": kr.analysis.reorder(model, images, labels, runs=2),
        }

    inside = found()
    keras.config.set_dtype_policy("float32")
    for name, outside in found().items():
        for key, values in outside.arrays.items():
            np.testing.assert_array_equal(inside[name].arrays[key], values, err_msg=f"{name}: {key}")


def test_a_network_in_float64_is_measured_in_float64():
    """Through float32, 1e-7 of the gradient were left."""
    keras.config.set_dtype_policy("float64")
    model = net(2, tail=kr.residual_gate)
    images, labels = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32"), np.array([0, 1, 2])
    chain = chain_of(model, "law")
    found = kr.analysis.paths(model, images, labels).arrays["gradients"].sum(0)

    def loss(x):
        for unit in chain.units:
            x = unit(x)
        return (keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, chain.logits(x), True)),)

    _, back = pullback(loss, chain.before(images))
    (gradient,) = back(1.0)
    np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-14 * np.abs(gradient).max())


def test_a_cast_that_the_next_layer_repeats_is_no_link_of_the_chain():
    """Keras 3.8 records one where the network's precision is not that of its images."""
    x, model = keras.Input((8, 8, 3)), net(1)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))

    def behind(dtype):
        y = keras.ops.cast(x, dtype)
        for layer in model.layers[1:]:
            y = layer(y)
        return keras.Model(x, y, name="behind")

    same = behind("float32")
    np.testing.assert_array_equal(
        kr.analysis.credits(same, images).arrays["credits"], kr.analysis.credits(model, images).arrays["credits"]
    )
    np.testing.assert_array_equal(kr.surgery.drop(same)(images), model(images))
    with pytest.raises(ValueError, match=r"'\w+' that is not a layer in 'behind'"):
        kr.analysis.credits(behind("float16"), images)


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
def test_models_that_are_no_chain_of_units_are_refused_with_the_reason():
    images, labels = np.zeros((2, 8, 8, 3)), [0, 1]
    x = keras.Input((8, 8, 3))
    other = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)), name="other")
    backbone = net(1, name="backbone", top={"include_top": False, "pooling": "avg"})
    outer = keras.Model(x, keras.layers.Dense(2)(backbone(x)), name="outer")
    sigmoid = net(1, top={"classifier_activation": "sigmoid"})
    pooled, softmax = backbone.output, keras.layers.Activation("softmax")
    layered = keras.Model(backbone.input, keras.layers.Dense(2, activation=softmax)(pooled))
    cosine = keras.Model(backbone.input, Cosine(2, name="cosine")(pooled))
    quantized, single = net(1), net(1, classes=1)
    quantized.quantize("int8")
    for model, message in [
        (other, "`propagation` requires a network of residual units.*Received: 'other', which has no `Unit`"),
        (outer, r"Its layer 'backbone' has units: analyse `model.get_layer\('backbone'\)`"),
        (backbone, "ends in a classifier.*whose last layer is 'pool'"),
        (sigmoid, "activation is none or 'softmax'. Received: 'sigmoid'"),
        (layered, "activation is none or 'softmax'. Received: '<Activation"),
        (cosine, "whose last layer is 'cosine', a Cosine"),
        (quantized, "'classifier' quantized to int8"),
        (single, r"an output for each class, two or more. Received: 1 \(propagation\)"),
        ("resnet", "`model` must be a functional Keras model"),
    ]:
        with pytest.raises(ValueError, match=message):
            kr.analysis.propagation(model, images, labels)
    fork = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Add()([x, x]))), name="fork")
    with pytest.raises(ValueError, match=r"requires a chain of layers.*with 2 inputs in 'fork'"):
        kr.analysis.paths(fork, images, labels)


def test_images_and_labels_that_do_not_fit_are_refused():
    model = net(1, classes=2)
    images = np.zeros((2, 8, 8, 3))
    for some, labels, message in [
        (images[:, :4], [0, 1], r"of shape \(images, 8, 8, 3\).*Received: shape \(2, 4, 8, 3\)"),
        (images[:0], [], "at least one image"),
        (images * np.nan, [0, 1], "must be finite"),
        (images, [0], "one for each of the 2 images"),
        (images, [0.0, 1.0], "must be ints"),
        (images, np.eye(2), r"shape \(2, 2\), float64 \(lens\). One-hot labels become ints by `labels.argmax\(-1\)`"),
        ([[1], [1, 2]], [0, 1], "`images` must be an array, or lists of equal length. Received: "),
        (images, [[0], [1, 2]], "`labels` must be an array, or lists of equal length. Received: "),
        (images, [0, 2], r"0 to 1. Received: 0 to 2 \(lens\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            kr.analysis.lens(model, some, labels)
