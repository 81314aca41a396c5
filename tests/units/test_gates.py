"""Gates: their factors, their initial values, and how they are read."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.layers import carries
from tests.catalog import long_but

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
def test_a_bias_that_is_not_a_number_is_refused(choice, bias):
    with pytest.raises(ValueError, match=r"`bias` must be a finite number\. Received: bias=.*gate of unit 'unit003'"):
        choice(SLOT, bias=bias)


def test_shortcut_only_gating_is_one_minus_the_gate_of_option_a():
    layer = kr.shortcut_gating(WIDER, kr.PostAct(), bias=-1.0)
    carried = np.asarray(layer(images()))
    plain = np.asarray(kr.zero_pad(WIDER, kr.PostAct())(images()))
    np.testing.assert_allclose(carried, (1 - np.asarray(layer.gate(images()))) * plain, rtol=1e-5, atol=1e-6)
    held = carries.carried(layer, images(), images()[::-1])  # the gate reads other images
    wanted = (1 - np.asarray(layer.gate(images()[::-1]))) * plain
    np.testing.assert_allclose(held, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("g", "k", "passes"), [("relu", 0.5, 0.5), ("relu", -2.0, 0.0), ("leaky_relu", -2.0, -0.4)])
def test_a_scalar_gate_multiplies_by_g_of_k(g, k, passes):
    layer = kr.ScalarGate(g, initial=k)
    np.testing.assert_allclose(layer(images()), passes * images(), rtol=1e-6)
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [()]


def test_a_gate_of_a_layer_with_a_slope_of_its_own_is_described():
    model = kr.GatedResNet([1, 1, 1], (8, 8, 3), g=keras.layers.LeakyReLU(0.3))
    assert "*LeakyReLU(k)" in str(kr.describe(model))


@pytest.mark.parametrize(("g", "reopens"), [("relu", False), ("leaky_relu", True)])
def test_a_closed_relu_gate_stays_closed_and_a_leaky_one_can_reopen(g, reopens):
    layer = kr.ScalarGate(g, initial=-1.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(images()) ** 2)
    assert bool(np.any(tape.gradient(loss, layer.k.value))) is reopens


@pytest.mark.parametrize("initial", ["1", None, float("nan")])
def test_a_scalar_that_is_not_a_number_is_refused(initial):
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


@pytest.mark.parametrize("depth", [8, 29, 18, pytest.param(50, marks=pytest.mark.slow)])
def test_a_gated_network_is_initially_the_pre_activation_network_of_its_depth(depth):
    gated, bare = (make(depth, (64, 64, 3)) for make in (kr.GatedResNet, kr.PreActResNet))
    bare.set_weights([keras.ops.convert_to_numpy(w) for w in gated.weights if w.path not in of_gates(gated)])
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(gated(x), bare(x), rtol=1e-4, atol=1e-5)
    assert kr.describe(gated).multiply_adds == kr.describe(bare).multiply_adds


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


# Weight decay: with a rate of 0.1, a decay of 5 and a loss of gradient 0, one step halves every decayed weight.


def decaying():
    return kr.CoupledSGD(0.1, momentum=0.0, coupled_weight_decay=5.0)


def nothing(labels, logits):
    """A loss that no weight changes."""
    return 0.0 * keras.ops.mean(logits, axis=-1)


def decayed(model):
    """The paths of the weights that one step of `fit` decays; all trainable weights are set to 1 before."""
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    model.fit(np.zeros((4, 8, 8, 3), "float32"), np.zeros(4), batch_size=4, verbose=0)
    return {v.path for v in model.trainable_variables if np.allclose(keras.ops.convert_to_numpy(v), 0.5)}


def of_gates(model):
    return {gate.k.path for found in kr.scalar_gates(model).values() for gate in found}


GATED = {"residual": kr.GatedResNet, "plain": kr.GatedPlainNet, "rezero": partial(kr.ResNet, tail="rezero")}
ON_DEVICES = {f"{name} on {devices}": (make, devices) for name, make in GATED.items() for devices in (1, 2)}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "devices"), long_but(("residual on 2", "plain on 1"), ON_DEVICES))
def test_gates_do_not_decay(make, devices, two_devices, tmp_path):
    strategy = two_devices if devices == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = make([1, 1, 1], input_shape=(8, 8, 3))
        model.compile(decaying(), nothing)
    others = {variable.path for variable in model.trainable_variables} - of_gates(model)
    assert decayed(model) == others and len(of_gates(model)) == 3
    model.save(tmp_path / "x.keras")
    with strategy.scope():
        again = keras.saving.load_model(tmp_path / "x.keras", custom_objects={"nothing": nothing})
    assert decayed(again) == others


def test_gates_do_not_decay_besides_what_the_user_excludes():
    model = kr.GatedResNet([1, 1, 1], input_shape=(8, 8, 3))
    optimizer = decaying()
    optimizer.exclude_from_weight_decay([model.get_layer("classifier").kernel], var_names=["gamma"])
    model.compile(optimizer, nothing)
    spared = {path for path in (v.path for v in model.trainable_variables) if path.endswith("gamma")}
    kept = {v.path for v in model.trainable_variables} - decayed(model)
    assert kept == of_gates(model) | spared | {"classifier/kernel"}


def test_gates_do_not_decay_under_a_scaled_loss():
    model = kr.GatedResNet([1, 1, 1], input_shape=(8, 8, 3))
    model.compile(keras.optimizers.LossScaleOptimizer(decaying(), initial_scale=8.0), nothing)
    assert decayed(model) == {variable.path for variable in model.trainable_variables} - of_gates(model)
