"""Tails and initialisation: linear decay of survival, expectations, and units that start as their shortcut."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.layers.parts import parts
from tests.catalog import SLOTS

ONES = np.ones((400, 2, 2, 1), "float32")


@pytest.mark.parametrize("scaling", ["paper", "inverted"])
@pytest.mark.parametrize("per", ["batch", "sample"])
def test_stochastic_depth_has_one_expectation_in_training_and_at_inference(scaling, per):
    layer = kr.StochasticDepth(0.7, scaling, per, seed=3)
    drawn = [np.asarray(layer(ONES, training=True)) for _ in range(200 if per == "batch" else 1)]
    alive = 1.0 if scaling == "paper" else 1 / 0.7
    assert {round(float(value), 4) for value in np.unique(drawn)} == {0.0, round(alive, 4)}
    assert abs(np.mean(drawn) - float(layer(ONES)[0, 0, 0, 0])) < 0.1
    within = np.ptp(drawn[0], axis=(1, 2, 3)).max(), np.ptp(drawn[0][:, 0, 0, 0])
    assert within[0] == 0 and (within[1] == 0) == (per == "batch")


def test_draws_differ_between_steps_and_repeat_from_the_seed():
    def draws(seed):
        layer = kr.StochasticDepth(0.5, per="sample", seed=seed)
        step = tf.function(lambda: layer(ONES, training=True))
        return [np.asarray(step()) for _ in range(3)]

    first, again, other = draws(1), draws(1), draws(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("make", [partial(kr.StochasticDepth, 0.5, per="sample"), partial(kr.Dropout, 0.5)])
def test_draws_differ_between_replicas(make, two_devices):
    with two_devices.scope():
        layer = make(seed=1)
    step = tf.function(lambda: two_devices.run(lambda: layer(tf.ones((64, 1, 1, 1)), training=True)))
    one, two = (np.asarray(part) for part in two_devices.experimental_local_results(step()))
    assert not np.array_equal(one, two)
    three, _ = (np.asarray(part) for part in two_devices.experimental_local_results(step()))
    assert not np.array_equal(one, three)


def test_survival_falls_linearly_to_the_last_unit():
    model = kr.StochasticDepthResNet(depth=20, final_survival=0.5)
    survivals = [model.get_layer(f"unit{i:03d}").branch.layers[-1].survival for i in range(9)]
    np.testing.assert_allclose(survivals, [1 - 0.5 * (i + 1) / 9 for i in range(9)])


def test_a_branch_that_always_survives_is_unchanged():
    sure, without = kr.StochasticDepthResNet(depth=8, final_survival=1.0), kr.ResNet(depth=8, shortcut="avg_pool_pad")
    sure.set_weights(without.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    for training in (False, True):
        np.testing.assert_array_equal(sure(images, training=training), without(images, training=training))


@pytest.mark.parametrize("survival", [0, -0.1, 1.1, "0.5", None, True])
def test_a_survival_that_is_not_a_probability_is_refused(survival):
    with pytest.raises(ValueError, match=r"`survival` must be a number in \(0, 1\]"):
        kr.StochasticDepth(survival)
    with pytest.raises(ValueError, match=r"`final_survival` must be a number in \(0, 1\].*unit 'unit001'"):
        kr.stochastic_depth(SLOTS["same"], final_survival=survival)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.StochasticDepth(0.5, scaling="half"), r"`scaling` must be 'paper' or 'inverted'.*'half'"),
        (lambda: kr.StochasticDepth(0.5, per="image"), r"`per` must be 'batch' or 'sample'.*'image'"),
        (lambda: kr.SqueezeExcite(ratio=0), r"`ratio` must be a positive int.*ratio=0"),
        (lambda: kr.LayerScale("small"), r"`initial` must be a finite number.*'small'"),
        (lambda: kr.Dropout(1.0), r"`rate` must be a number in \[0, 1\).*rate=1\.0"),
        (lambda: kr.dropout(SLOTS["same"], None, rate=-0.5), r"`rate` must be a number in \[0, 1\).*-0\.5"),
        (lambda: kr.branch_scaling(SLOTS["same"], factor="half"), r"`factor` must be a finite number.*unit 'unit001'"),
        (lambda: kr.constant_scaling(SLOTS["same"], None, factor=None), r"`factor` must be a finite number"),
        (lambda: kr.wide_bottleneck(width=0), r"`width` must be a positive int\..*width=0"),
        (lambda: kr.wide_basic(dropout=1), r"`dropout` must be a number in \[0, 1\).*dropout=1"),
    ],
)
def test_an_invalid_setting_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    "options",
    [
        {"order": "zero_gamma"},
        {"order": "zero_gamma", "block": "bottleneck"},
        {"order": "fixup"},
        {"order": "fixup", "block": "bottleneck"},
        {"order": "relu_before_add", "tail": "rezero"},
        {"order": "relu_pre_act", "tail": "skip_init"},
        {"order": "full_pre_act", "tail": "rezero", "merge": "add"},
    ],
    ids=str,
)
def test_units_that_promise_it_start_as_their_shortcut(options):
    model = kr.ResNet(depth=[2, 2, 2], input_shape=(8, 8, 3), **options)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    for layer in model.layers[1:]:
        if layer.name.startswith("unit"):
            _, _, branch = layer.edges(x)
            np.testing.assert_array_equal(branch, np.zeros_like(branch))
            if not options["order"].startswith("relu") and layer.compute_output_shape(x.shape) == x.shape:
                np.testing.assert_array_equal(layer(x), x)  # after a rectifier x >= 0, so f changes nothing
        x = np.asarray(layer(x))


def test_other_units_do_not_start_as_their_shortcut():
    unit = kr.Recipe(kr.basic, kr.PostAct(), kr.identity)(SLOTS["same"])
    _, _, branch = unit.edges(np.ones((1, 8, 8, 8), "float32"))
    assert np.any(branch)


@pytest.mark.slow
def test_fixup_scales_the_inner_weights_by_the_depth():
    shallow, deep = (kr.ResNet(depth=d, order="fixup").get_layer("unit001").branch.layers[1] for d in (20, 110))
    ratio = np.std(deep.kernel) / np.std(shallow.kernel)
    assert abs(ratio - (54 / 9) ** -0.5) < 0.05
    bottleneck = kr.ResNet(depth=164, order="fixup").get_layer("unit001").branch.layers[1].kernel_initializer
    assert bottleneck.scale == 2 * 54**-0.5  # a variance: the factor is 54 ** (-1 / 4)


def test_a_fixup_network_has_no_norm_and_initially_outputs_zero():
    model = kr.ResNet(depth=8, order="fixup")
    assert not [w for w in model.weights if "norm" in w.path]
    assert model.non_trainable_weights == []
    assert not np.any(model(np.ones((1, 32, 32, 3), "float32")))


def test_zero_gamma_requires_a_norm_after_the_last_weights():
    for order in (kr.FullPreAct(), kr.BnAfterAdd(), kr.ReluBeforeAdd()):  # after a ReLU of zeros nothing would learn
        named = type(order).__name__
        with pytest.raises(ValueError, match=rf"`ZeroGamma` requires an order whose .* norm.*{named}.*unit 'unit000'"):
            kr.ResNet(depth=8, order=kr.ZeroGamma(order=order))


@pytest.mark.parametrize("shortcut", [None, "projection"])
@pytest.mark.parametrize("merge", ["branch_only", "add"])
def test_a_looks_linear_network_starts_linear(merge, shortcut):
    model = kr.ResNet(depth=14, order="looks_linear", merge=merge, shortcut=shortcut, input_shape=(8, 8, 3))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 8, 8, 3)).astype("float32")
    together = np.asarray(model(2 * x - 3 * y))
    apart = 2 * np.asarray(model(x)) - 3 * np.asarray(model(y))
    np.testing.assert_allclose(together, apart, atol=1e-4 * np.abs(apart).max())
    assert np.abs(apart).max() > 1e-3
    usual = kr.ResNet(depth=14, input_shape=(8, 8, 3))
    bent = np.asarray(usual(2 * x - 3 * y)) - 2 * np.asarray(usual(x)) + 3 * np.asarray(usual(y))
    assert np.abs(bent).max() > 1e-2


def test_a_looks_linear_projection_loses_nothing_of_the_carry():
    model = kr.ResNet([1, 1, 1], (8, 8, 3), order="looks_linear", shortcut="projection")
    for name, channels in (("unit001", 16), ("unit002", 32)):
        (kernel,) = model.get_layer(name).shortcut.get_weights()
        np.testing.assert_allclose(kernel[0, 0] @ kernel[0, 0].T, np.eye(channels), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_looks_linear_starts_with_an_orthogonal_matrix_at_the_centre(size):
    kernel = np.asarray(kr.LooksLinear()((size, size, 8, 4)))
    centre = kernel[size // 2, size // 2, :4]
    np.testing.assert_allclose(centre @ centre.T, np.eye(4), atol=1e-5)
    assert np.count_nonzero(np.abs(kernel).sum((2, 3))) == 1
    np.testing.assert_array_equal(kernel[..., 4:, :], -kernel[..., :4, :])


def test_layers_of_one_shape_start_with_kernels_of_their_own():
    for order in ("looks_linear", "fixup", kr.fan_in(kr.FullPreAct())):
        model = kr.ResNet(depth=14, order=order, input_shape=(8, 8, 3))
        one, two = (model.get_layer(name).branch for name in ("unit000", "unit001"))
        kernels = [w.numpy() for branch in (one, two) for w in branch.weights if "conv1/kernel" in w.path]
        assert kernels[0].shape == kernels[1].shape and not np.array_equal(*kernels)


def test_looks_linear_requires_pairs_of_channels():
    with pytest.raises(ValueError, match=r"`LooksLinear` requires an even number of input channels"):
        kr.LooksLinear()((3, 3, 5, 8))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
def test_a_quantized_network_with_squeeze_excite_is_saved_and_loaded(tmp_path):
    model = kr.ResNet([1, 1, 1], input_shape=(8, 8, 3), tail="squeeze_excite")
    model.quantize("int8")
    model.save(tmp_path / "quantized.keras")
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    loaded = keras.saving.load_model(tmp_path / "quantized.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_squeeze_excite_is_the_papers_equation():
    layer = kr.SqueezeExcite(ratio=4)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")
    answer = np.asarray(layer(x))
    w1, b1, w2, b2 = layer.get_weights()
    hidden = np.maximum(x.mean((1, 2)) @ w1 + b1, 0)
    scale = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    np.testing.assert_allclose(answer, x * scale[:, None, None], rtol=1e-5)
    assert (w1.shape, w2.shape) == ((8, 2), (2, 8))


@pytest.mark.parametrize(("channels", "narrow"), [(8, 1), (16, 1), (31, 1), (32, 2)])
def test_squeeze_excite_has_a_sixteenth_of_the_channels_and_one_at_least(channels, narrow):
    layer = kr.SqueezeExcite()
    layer.build((None, 4, 4, channels))
    assert layer.squeeze.units == narrow


def test_squeeze_excites_dense_layers_read_channels_and_the_narrow_ones():
    layer = kr.SqueezeExcite(ratio=4)
    layer.build((None, 3, 5, 8))
    assert [shape for _, shape in parts(layer, (None, 3, 5, 8))] == [(None, 3, 5, 8), (None, 8), (None, 2)]


def test_random_layers_work_in_a_strategys_scope_outside_its_replicas(two_devices):
    with two_devices.scope():
        dropped = np.asarray(kr.Dropout(0.5, seed=1)(tf.ones((64, 1)), training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}


def test_random_layers_are_off_at_inference():
    model = kr.WideResNet(depth=10, width=1, dropout=0.9)
    images = np.ones((1, 32, 32, 3), "float32")
    np.testing.assert_array_equal(model(images), model(images))
    assert not np.array_equal(model(images, training=True), model(images, training=True))
    assert keras.backend.standardize_dtype(model.dtype) == "float32"
