"""SGD with coupled weight decay: against Keras on the decayed gradient, and against Torch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import NETWORKS, OPTIMIZERS

STEPS, DECAY = 6, 0.05
SETTINGS = [(0.9, True), (0.9, False), (0.0, False)]


def start():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=(STEPS, 3, 4)).astype("float32")


def path(optimizer, gradients, initial, decay=0.0):
    """Where the variable is after each step."""
    variable, places = keras.Variable(initial), []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient) + decay * variable.value], [variable])
        places.append(variable.numpy().copy())
    return places


@pytest.mark.parametrize(("momentum", "nesterov"), SETTINGS)
def test_coupled_decay_is_kerass_sgd_on_the_gradient_plus_the_decayed_weight(momentum, nesterov):
    initial, gradients = start()
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.5])
    ours = kr.CoupledSGD(rate, momentum, nesterov, coupled_weight_decay=DECAY)
    own = keras.optimizers.SGD(rate, momentum, nesterov)
    np.testing.assert_allclose(path(ours, gradients, initial), path(own, gradients, initial, DECAY), rtol=1e-5)


@pytest.mark.parametrize(("momentum", "nesterov"), SETTINGS)
def test_coupled_decay_is_torchs_while_the_rate_is_constant(momentum, nesterov):
    torch = pytest.importorskip("torch")
    initial, gradients = start()
    twin = torch.tensor(initial.copy())
    own = torch.optim.SGD([twin], lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=DECAY)
    wanted = []
    for gradient in gradients:
        twin.grad = torch.tensor(gradient)
        own.step()
        wanted.append(twin.numpy().copy())
    ours = kr.CoupledSGD(0.1, momentum, nesterov, coupled_weight_decay=DECAY)
    np.testing.assert_allclose(path(ours, gradients, initial), wanted, rtol=1e-5, atol=1e-6)


def test_coupled_decay_is_half_an_l2_penalty():
    initial, gradients = start()
    variable = keras.Variable(initial)
    optimizer = keras.optimizers.SGD(0.1, 0.9, nesterov=True)
    for gradient in gradients:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable.value * gradient) + keras.regularizers.L2(DECAY / 2)(variable)
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])
    ours = path(kr.CoupledSGD(0.1, coupled_weight_decay=DECAY), gradients, initial)
    np.testing.assert_allclose(ours[-1], variable.numpy(), rtol=1e-5)


def test_keras_own_weight_decay_is_another_optimizer():
    initial, gradients = start()
    decoupled = keras.optimizers.SGD(0.1, 0.9, nesterov=True, weight_decay=DECAY)
    ours = kr.CoupledSGD(0.1, coupled_weight_decay=DECAY)
    assert not np.allclose(path(ours, gradients, initial)[-1], path(decoupled, gradients, initial)[-1], rtol=1e-3)


def test_a_graph_takes_the_same_steps():
    initial, gradients = start()
    variable, optimizer = keras.Variable(initial), kr.CoupledSGD(0.1, coupled_weight_decay=DECAY)
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [variable]))
    for gradient in gradients:
        step(tf.constant(gradient))
    eager = path(kr.CoupledSGD(0.1, coupled_weight_decay=DECAY), gradients, initial)
    np.testing.assert_allclose(variable.numpy(), eager[-1], rtol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_config_goes_round(optimizer):
    made = OPTIMIZERS[optimizer]()
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    assert again.get_config()["coupled_weight_decay"] == 1e-2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_from_a_file_as_if_never_stopped(optimizer, tmp_path):
    case = NETWORKS["PreActResNet"]
    model, (images,) = case.model(), case.arrays()
    labels = np.arange(len(images)) % 5
    model.compile(OPTIMIZERS[optimizer](), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(images, labels)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for each in (model, again):
        each.train_on_batch(images, labels)
    for found, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_scaled_loss_in_float16_decays_the_unscaled_gradient():
    initial, gradients = start()
    ours = path(kr.CoupledSGD(0.1, coupled_weight_decay=DECAY), gradients, initial)
    scaled = keras.optimizers.LossScaleOptimizer(kr.CoupledSGD(0.1, coupled_weight_decay=DECAY), initial_scale=8.0)
    np.testing.assert_allclose(path(scaled, 8 * gradients, initial), ours, rtol=1e-5)


def test_the_defaults_are_those_of_the_authors_code():
    config = kr.CoupledSGD().get_config()
    assert config["learning_rate"] == pytest.approx(0.1)
    assert (config["momentum"], config["nesterov"], config["coupled_weight_decay"]) == (0.9, True, 1e-4)
    assert config["weight_decay"] is None
