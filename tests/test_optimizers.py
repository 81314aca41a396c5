"""SGD and Nadam with coupled weight decay: against Keras on the decayed gradient, and against Torch."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import NETWORKS, OPTIMIZERS, long_but

STEPS, DECAY = 6, 0.05
SETTINGS = [(0.9, True), (0.9, False), (0.0, False)]


def start():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=(STEPS, 3, 4)).astype("float32")


def path(optimizer, gradients, initial, decay=0.0):
    """The value of the variable after each step."""
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


def test_nadam_is_kerass_on_the_gradient_plus_the_decayed_weight():
    initial, gradients = start()
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.5])
    ours, own = kr.CoupledNadam(rate, coupled_weight_decay=DECAY), keras.optimizers.Nadam(rate)
    found = path(ours, gradients, initial)
    np.testing.assert_allclose(found, path(own, gradients, initial, DECAY), rtol=1e-5, atol=1e-6)
    without = path(kr.CoupledNadam(rate, coupled_weight_decay=0.0), gradients, initial)
    assert not np.allclose(found[-1], without[-1], rtol=1e-3)


def test_nadams_product_of_decay_rates_is_a_part_of_its_state():
    optimizer, variable = kr.CoupledNadam(), keras.Variable([1.0])
    for _ in range(2):
        optimizer.apply([tf.ones(1)], [variable])
    product = 0.9 * (1 - 0.96 / 2) * 0.9 * (1 - 0.96**2 / 2)
    assert any(np.allclose(each.numpy(), product, rtol=1e-6) for each in optimizer.variables)


@pytest.mark.peers
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
def test_a_config_round_trips(optimizer):
    made = OPTIMIZERS[optimizer]()
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    assert again.get_config()["coupled_weight_decay"] == 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", long_but(["CoupledNadam"], {name: name for name in OPTIMIZERS}))
def test_training_resumes_from_a_file_as_if_never_stopped(optimizer, tmp_path):
    case = NETWORKS["PreActResNet"]
    model, (images,) = case.make(), case.arrays()
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


def accumulating(**options):
    """A constructor of optimisers that take three steps an update."""
    return kr.CoupledSGD(coupled_weight_decay=DECAY, gradient_accumulation_steps=3, **options)


@pytest.mark.parametrize(("momentum", "nesterov"), SETTINGS)
def test_accumulated_steps_are_one_step_of_their_mean_gradient(momentum, nesterov):
    """Under a rate that changes at each update, and clipped: the mean is clipped, not its parts."""
    initial, gradients = start()
    rate = keras.optimizers.schedules.PolynomialDecay(0.5, 2, end_learning_rate=0.1)
    options = {"learning_rate": rate, "momentum": momentum, "nesterov": nesterov, "global_clipnorm": 1.0}
    small = path(accumulating(**options), gradients, initial)
    big = path(kr.CoupledSGD(coupled_weight_decay=DECAY, **options), gradients.reshape(2, 3, 3, 4).mean(1), initial)
    np.testing.assert_allclose(small[2::3], big, rtol=1e-5)
    np.testing.assert_array_equal(small[1], initial)  # nothing changes between updates
    assert not np.allclose(big[0], initial)


def test_a_schedule_counts_updates():
    initial, gradients = start()
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    optimizer, variable, rates = accumulating(learning_rate=rate), keras.Variable(initial), []
    for gradient in gradients:
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([tf.constant(gradient)], [variable])
    assert rates == [0.5] * 3 + [0.25] * 3
    assert int(optimizer.iterations) == 2


def test_the_gradient_is_clipped_to_the_global_norm_and_its_norm_is_reported():
    first, second = keras.Variable([0.0, 0.0]), keras.Variable([0.0])
    optimizer = kr.CoupledSGD(1.0, momentum=0.0, nesterov=False, coupled_weight_decay=0.0, global_clipnorm=6.5)
    optimizer.apply([tf.constant([3.0, 4.0]), tf.constant([12.0])], [first, second])  # 3, 4, 12: norm 13
    np.testing.assert_allclose(first, [-1.5, -2.0], rtol=1e-6)
    np.testing.assert_allclose(second, [-6.0], rtol=1e-6)
    assert float(optimizer.gradient_norm) == 13.0
    optimizer.apply([tf.constant([0.0, 3.0]), tf.constant([4.0])], [first, second])  # short enough: not clipped
    np.testing.assert_allclose(second, [-10.0], rtol=1e-6)
    assert float(optimizer.gradient_norm) == 5.0


def test_the_norm_is_that_of_the_mean_gradient_in_its_own_scale():
    optimizer = accumulating(learning_rate=0.1)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    variable = keras.Variable([0.0, 0.0])
    for gradient in ([9.0, 0.0], [0.0, 6.0], [0.0, 6.0]):
        scaled.apply([8.0 * tf.constant(gradient)], [variable])
    assert float(optimizer.gradient_norm) == 5.0  # of [3, 4]


def test_a_gradient_with_nan_is_reported_before_the_update_that_it_would_spoil():
    optimizer, variable = accumulating(learning_rate=0.1), keras.Variable([0.0, 0.0])
    optimizer.apply([tf.constant([3.0, 4.0])], [variable])
    assert float(optimizer.gradient_norm) == 0.0  # no update yet
    optimizer.apply([tf.constant([float("nan"), 0.0])], [variable])
    assert np.isnan(float(optimizer.gradient_norm))
    assert variable.numpy().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("options", [{}, {"global_clipnorm": 0.5}, {"gradient_accumulation_steps": 3}], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        partial(kr.CoupledSGD, 0.1, 0.9, nesterov=False),
        partial(kr.CoupledSGD, 0.1, 0.0, nesterov=False),
        partial(kr.CoupledNadam, 0.1),
    ],
    ids=["momentum", "none", "nadam"],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_two_replicas_take_the_step_of_one(two_devices, options, make, scaled):
    initial, gradients = start()
    parts = np.stack([gradients * 1.5, gradients * -0.5], axis=1)  # of two replicas; their sum is the gradient

    def trained(strategy, parts):
        with strategy.scope():
            variable = keras.Variable(initial)
            optimizer = make(coupled_weight_decay=DECAY, **options)
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0) if scaled else optimizer
            optimizer.build([variable])
        step = tf.function(lambda part: strategy.run(lambda each: optimizer.apply([each], [variable]), (part,)))
        for each in parts:
            step(
                strategy.experimental_distribute_values_from_function(
                    lambda context, each=each: tf.constant(each[context.replica_id_in_sync_group])
                )
            )
        state = [variable, *getattr(optimizer, "inner_optimizer", optimizer).variables]
        return [[copy.numpy() for copy in strategy.experimental_local_results(v.value)] for v in state]

    one = trained(tf.distribute.get_strategy(), gradients[:, np.newaxis])
    two = trained(two_devices, parts)
    for (expected,), copies in zip(one, two, strict=True):
        for copy in copies:
            np.testing.assert_allclose(copy, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(one[0][0], initial)


@pytest.mark.peers
def test_fixups_scalars_learn_at_a_tenth_of_the_rate_and_torch_agrees():
    torch = pytest.importorskip("torch")
    initial, gradients = start()
    for factor in (1.0, 0.1):
        ours = kr.CoupledSGD(0.1, coupled_weight_decay=DECAY)
        variable, other = keras.Variable(initial), keras.Variable(initial)
        ours.scale_learning_rate([variable], factor)
        twin = torch.tensor(initial.copy())
        own = torch.optim.SGD([twin], lr=0.1 * factor, momentum=0.9, nesterov=True, weight_decay=DECAY)
        for gradient in gradients:
            ours.apply([tf.constant(gradient)] * 2, [variable, other])
            twin.grad = torch.tensor(gradient)
            own.step()
        np.testing.assert_allclose(variable.numpy(), twin.numpy(), rtol=1e-5, atol=1e-6)
        assert np.allclose(variable.numpy(), other.numpy()) == (factor == 1.0)


def test_a_built_optimiser_refuses_a_factor():
    sgd, variable = kr.CoupledSGD(), keras.Variable([1.0])
    sgd.build([variable])
    with pytest.raises(ValueError, match="requires an optimiser that is not built yet"):
        sgd.scale_learning_rate([variable], 0.1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"weight_decay": 5e-4}, r"takes `coupled_weight_decay`.*Received: weight_decay=0\.0005"),
        ({"coupled_weight_decay": -1}, r"`coupled_weight_decay` must be a finite number >= 0"),
        ({"coupled_weight_decay": float("nan")}, r"`coupled_weight_decay` must be a finite number >= 0"),
        ({"coupled_weight_decay": float("inf")}, r"`coupled_weight_decay` must be a finite number >= 0"),
        ({"global_clipnorm": -1}, r"`global_clipnorm` must be a number > 0"),
        ({"clipvalue": 0}, r"`clipvalue` must be a number > 0"),
    ],
)
def test_an_invalid_decay_or_limit_is_refused(options, text):
    for optimizer in (kr.CoupledSGD, kr.CoupledNadam):
        with pytest.raises(ValueError, match=text):
            optimizer(0.1, **options)


def test_exclusions_and_rate_factors_are_kept_in_a_saved_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")])
    sgd = kr.CoupledSGD(0.5, momentum=0.0, coupled_weight_decay=0.1)
    sgd.exclude_from_weight_decay([model.get_layer("a").kernel], var_names=["bias"])
    sgd.scale_learning_rate([model.get_layer("b").kernel], 0.1)
    model.compile(sgd, "mse")
    model.fit(np.ones((2, 2)), np.ones((2, 2)), verbose=0)
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    for each in (model, again):
        each.optimizer.apply([keras.ops.zeros(w.shape) for w in each.trainable_variables], each.trainable_variables)
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    before = keras.saving.load_model(tmp_path / "net.keras").get_layer("b").kernel.numpy()
    np.testing.assert_allclose(again.get_layer("b").kernel, before * (1 - 0.1 * 0.5 * 0.1), rtol=1e-6)
