"""The papers' schedule and optimiser."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import CoupledNadam, CoupledSGD, PreActResNet, ResNet, fixup_scalars
from train.settings.resolving import resolve
from train.step.optimizer import optimizer
from train.step.schedules import steps_schedule
from train.step.trainer import Trainer


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.01),
        (399, 0.01),
        (401, 0.1),
        (31_999, 0.1),
        (32_001, 0.01),
        (47_999, 0.01),
        (48_001, 0.001),
        (63_999, 0.001),
    ],
)
def test_the_rate_matches_the_paper_at_its_steps(step, rate):
    np.testing.assert_allclose(float(steps_schedule(0.1, steps=64_000)(step)), rate, rtol=1e-6)


def test_the_schedule_stretches_with_the_run_and_the_rate():
    short = steps_schedule(0.5, steps=640)
    np.testing.assert_allclose([float(short(step)) for step in (0, 5, 319, 321, 481)], [0.05, 0.5, 0.5, 0.05, 0.005])


def test_the_shortest_runs_have_a_schedule():
    assert [round(float(steps_schedule(0.1, steps=1)(step)), 4) for step in (0, 1, 2)] == [0.01, 0.001, 0.001]


def test_the_flags_choose_the_optimiser(parse):
    parse("--optimizer=nadam", "--momentum=0.8", "--weight_decay=0.01", "--clip_norm=2")
    made = optimizer(resolve().recipe, 160, PreActResNet(8))
    assert isinstance(made, CoupledNadam)
    assert (made.beta_1, made.coupled_weight_decay, made.global_clipnorm) == (0.8, 0.01, 2.0)
    parse("--optimizer=sgd")
    assert isinstance(optimizer(resolve().recipe, 160, PreActResNet(8)), CoupledSGD)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--schedule=steps", {0: 0.01, 1: 0.1, 80: 0.01, 120: 0.001}),
        ("--schedule=steps --warm_up=0.1 --drops=0.25", {0: 0.01, 15: 0.01, 16: 0.1, 39: 0.1, 40: 0.01, 159: 0.01}),
        ("--warm_up=0 --drops=0.3,0.6 --drop_factor=0.2", {0: 0.1, 47: 0.1, 48: 0.02, 95: 0.02, 96: 0.004}),
        ("--schedule=cosine --warm_up=0", {0: 0.1, 80: 0.05, 160: 0.0}),
        ("--schedule=cosine --warm_up=0.5", {0: 0.0, 40: 0.05, 80: 0.1, 120: 0.05}),
        ("--schedule=one_cycle", {0: 0.01, 72: 0.1, 144: 0.01, 160: 0.0001}),
        ("--schedule=cosine --warm_up=0 --accumulate=4", {0: 0.1, 20: 0.05, 40: 0.0}),
    ],
)
def test_the_flags_choose_the_rate_over_the_run(parse, flags, expected):
    parse(*flags.split())
    made = optimizer(resolve().recipe, 160, PreActResNet(8))
    rate = keras.optimizers.schedules.deserialize(made.get_config()["learning_rate"])
    np.testing.assert_allclose([float(rate(step)) for step in expected], list(expected.values()), atol=1e-7)


def test_clipping_and_accumulation_reach_the_optimiser_under_the_loss_scale_too(parse):
    parse("--clip_norm=0.5", "--accumulate=4")
    keras.config.set_dtype_policy("mixed_float16")
    inner = optimizer(resolve().recipe, 100, PreActResNet(8)).inner_optimizer
    assert (inner.global_clipnorm, inner.gradient_accumulation_steps) == (0.5, 4)
    parse()
    plain = optimizer(resolve().recipe, 100, PreActResNet(8))
    assert (plain.global_clipnorm, plain.gradient_accumulation_steps) == (None, None)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_accumulated_batches_equal_one_large_batch_in_every_precision(parse, precision):
    """Without batch normalisation, which sees each batch by itself; clipped."""
    keras.config.set_dtype_policy(precision)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (24, 4, 4, 1)).astype("uint8"), rng.integers(0, 3, 24)

    def trained(flags, size):
        parse(f"--precision={precision}", "--clip_norm=0.7", "--schedule=cosine", "--warm_up=0", *flags)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 1))
        logits = keras.layers.Dense(3, dtype="float32")(keras.layers.Flatten()(keras.layers.Dense(4)(inputs)))
        model = keras.Model(inputs, logits)
        trainer = Trainer(model, keras.layers.Rescaling(1 / 255), optimizer(resolve().recipe, 24 // size, model))
        before = model.get_weights()
        for start in range(0, 24, size):
            batch = tf.constant(images[start : start + size]), tf.constant(labels[start : start + size])
            trainer.train_step(*batch, tf.constant(0.0))
        return before, model.get_weights()

    before, large = trained([], 12)
    _, small = trained(["--accumulate=3"], 4)
    tolerance = 1e-6 if precision == "float32" else 3e-3
    for a, b, start in zip(small, large, before, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)
        assert np.abs(b - start).max() > 5 * tolerance


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_loss_is_scaled_only_for_float16(parse, precision):
    parse()
    keras.config.set_dtype_policy(precision)
    made = optimizer(resolve().recipe, 100, PreActResNet(8))
    assert isinstance(made, keras.optimizers.LossScaleOptimizer) is (precision == "mixed_float16")
    assert isinstance(getattr(made, "inner_optimizer", made), CoupledSGD)


def test_the_optimiser_is_what_the_flags_ask_for(parse):
    parse("--momentum=0.8", "--nonesterov", "--weight_decay=0.002", "--learning_rate=0.3")
    config = optimizer(resolve().recipe, 100, PreActResNet(8)).get_config()
    assert (config["momentum"], config["nesterov"], config["coupled_weight_decay"]) == (0.8, False, 0.002)
    assert config["learning_rate"]["config"]["values"][1] == 0.3


@pytest.mark.parametrize("devices", [1, 2])
def test_fixups_scalars_move_a_tenth_as_far_as_its_weights(parse, two_devices, devices):
    parse("--momentum=0.5", "--nonesterov", "--weight_decay=0", "--schedule=cosine", "--warm_up=0")
    strategy = two_devices if devices == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = ResNet(8, order="fixup")
        weights, sgd = model.trainable_variables, optimizer(resolve().recipe, 100, model)
        sgd.build(weights)
    before = [variable.numpy() for variable in weights]
    strategy.run(lambda: sgd.apply([tf.ones(variable.shape) for variable in weights], weights))
    moved = [(old - variable.numpy()).ravel() for old, variable in zip(before, weights, strict=True)]
    scalars = {id(variable) for variable in fixup_scalars(model)}
    assert 0 < len(scalars) < len(weights)
    for variable, distance in zip(weights, moved, strict=True):
        np.testing.assert_allclose(distance, 0.1 * devices * (0.1 if id(variable) in scalars else 1), rtol=1e-4)
