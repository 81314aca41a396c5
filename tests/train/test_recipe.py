"""The papers' schedule and optimiser."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_resunits import CoupledSGD, PreActResNet
from train.config import resolve
from train.recipe import optimizer
from train.schedules import steps_schedule


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
def test_the_rate_is_the_papers_at_the_papers_steps(step, rate):
    np.testing.assert_allclose(float(steps_schedule(0.1, steps=64_000)(step)), rate, rtol=1e-6)


def test_the_schedule_stretches_with_the_run_and_the_rate():
    short = steps_schedule(0.5, steps=640)
    np.testing.assert_allclose([float(short(step)) for step in (0, 5, 319, 321, 481)], [0.05, 0.5, 0.5, 0.05, 0.005])


def test_the_shortest_runs_have_a_schedule():
    assert [round(float(steps_schedule(0.1, steps=1)(step)), 4) for step in (0, 1, 2)] == [0.01, 0.001, 0.001]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_loss_is_scaled_for_float16_alone(parse, precision):
    parse(f"--precision={precision}")
    made = optimizer(resolve(), 100, PreActResNet(8))
    assert isinstance(made, keras.optimizers.LossScaleOptimizer) is (precision == "mixed_float16")
    assert isinstance(getattr(made, "inner_optimizer", made), CoupledSGD)


def test_the_optimiser_is_what_the_flags_ask_for(parse):
    parse("--momentum=0.8", "--nonesterov", "--weight_decay=0.002", "--learning_rate=0.3")
    config = optimizer(resolve(), 100, PreActResNet(8)).get_config()
    assert (config["momentum"], config["nesterov"], config["coupled_weight_decay"]) == (0.8, False, 0.002)
    assert config["learning_rate"]["config"]["values"][1] == 0.3
