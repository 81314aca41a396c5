"""Gates: what they multiply, what they start from, how they are read."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr

SLOT = kr.Slot(index=3, total=9, in_filters=8, filters=8)
WIDER = kr.Slot(index=3, total=9, in_filters=8, filters=16, strides=2)


def images(channels=8):
    return np.random.default_rng(0).normal(size=(2, 8, 8, channels)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("slot", [SLOT, WIDER], ids=["same", "wider"])
@pytest.mark.parametrize(("bias", "kernel_size"), [(-6.0, 1), (0.0, 3)])
def test_a_gate_is_the_sigmoid_of_a_biased_convolution_of_the_units_shape(slot, bias, kernel_size):
    layer = kr.gate(slot, bias, kernel_size)
    opened = np.asarray(layer(images()))
    conv, _ = layer.layers
    assert conv.kernel.shape == (kernel_size, kernel_size, 8, slot.filters)
    np.testing.assert_array_equal(conv.bias, np.full(slot.filters, bias))
    np.testing.assert_allclose(opened, sigmoid(np.asarray(conv(images()))), rtol=1e-5)
    assert opened.shape == (2, 8 // slot.strides, 8 // slot.strides, slot.filters)


@pytest.mark.parametrize("bias", ["-6", None, float("nan"), float("inf"), True])
@pytest.mark.parametrize("choice", [kr.exclusive_gating, kr.highway, partial(kr.shortcut_gating, order=None)])
def test_a_bias_that_is_no_number_is_refused(choice, bias):
    with pytest.raises(ValueError, match=r"`bias` must be a finite number\. Received: bias=.*gate of unit 'unit003'"):
        choice(SLOT, bias=bias)


def test_shortcut_only_gating_is_one_minus_the_gate_of_option_a():
    layer = kr.shortcut_gating(WIDER, kr.PostAct(), bias=-1.0)
    carried = np.asarray(layer(images()))
    plain = np.asarray(kr.zero_pad(WIDER, kr.PostAct())(images()))
    np.testing.assert_allclose(carried, (1 - np.asarray(layer.gate(images()))) * plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("g", "k", "passes"), [("relu", 0.5, 0.5), ("relu", -2.0, 0.0), ("leaky_relu", -2.0, -0.4)])
def test_a_scalar_gate_multiplies_by_g_of_k(g, k, passes):
    layer = kr.ScalarGate(g, initial=k)
    np.testing.assert_allclose(layer(images()), passes * images(), rtol=1e-6)
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [()]


@pytest.mark.parametrize(("g", "reopens"), [("relu", False), ("leaky_relu", True)])
def test_a_closed_relu_gate_stays_closed_and_a_leaky_one_can_reopen(g, reopens):
    layer = kr.ScalarGate(g, initial=-1.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(images()) ** 2)
    assert bool(np.any(tape.gradient(loss, layer.k.value))) is reopens


@pytest.mark.parametrize("initial", ["1", None, float("nan")])
def test_a_scalar_that_is_no_number_is_refused(initial):
    with pytest.raises(ValueError, match=r"`initial` must be a finite number"):
        kr.ScalarGate(initial=initial)


def test_gates_are_read_by_the_names_of_their_units():
    model = kr.GatedResNet(depth=8)
    kr.scalar_gates(model)["unit001"][0].k.assign(0.25)
    kr.scalar_gates(model)["unit002"][0].k.assign(-3.0)
    assert kr.gates(model) == {"unit000": 1.0, "unit001": 0.25, "unit002": 0.0}
    assert kr.gates(kr.ResNet(depth=8)) == {}
    assert kr.gates(kr.ResNet(depth=8, order="fixup")) == {}


def test_a_family_keeps_its_gates_beside_another_tail():
    model = kr.GatedResNet(depth=8, tail="squeeze_excite")
    assert list(kr.gates(model)) == ["unit000", "unit001", "unit002"]
    two = kr.ResNet(depth=8, tail=kr.chained(kr.residual_gate, partial(kr.residual_gate, initial=0.5)))
    assert kr.gates(two) == {"unit000": 0.5, "unit001": 0.5, "unit002": 0.5}
    assert kr.StochasticDepthResNet(depth=8, tail="layer_scale").get_layer("unit000").branch.layers[-1].survival < 1


def test_a_gated_plain_network_whose_gates_are_closed_passes_its_stem_on():
    model = one_stage(kr.scalar_highway)
    for (layer,) in kr.scalar_gates(model).values():
        layer.k.assign(-1.0)
    stem = keras.Model(model.input, model.get_layer("stem").output)
    last = keras.Model(model.input, model.get_layer("unit001").output)
    np.testing.assert_array_equal(last(images(3)), stem(images(3)))


def one_stage(merge):
    recipe = kr.Recipe(kr.single, kr.ReluBeforeAdd(), kr.zero_pad, merge)
    slots = kr.plan([kr.Stage(2, 8)], 8, activated=True)
    return kr.network([(recipe, slot) for slot in slots], kr.Stem(8), kr.ReluBeforeAdd(), input_shape=(8, 8, 3))


def test_gates_can_be_kept_from_weight_decay():
    model = kr.GatedResNet(depth=8)
    optimizer = kr.CoupledSGD(0.1, coupled_weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[layer.k for (layer,) in kr.scalar_gates(model).values()])
    optimizer.build(model.trainable_variables)
    before = [v.numpy() for v in model.trainable_variables]
    optimizer.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    moved = {v.path: not np.array_equal(v.numpy(), b) for v, b in zip(model.trainable_variables, before, strict=True)}
    assert not any(moved[path] for path in moved if path.endswith("gate/k"))
    assert moved["unit000/branch/conv1/kernel"]
