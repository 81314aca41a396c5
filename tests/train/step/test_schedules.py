"""Rates over a run, at the papers' points and at points computed by hand."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.step.schedules import PiecewiseLinear, cosine_schedule, one_cycle_schedule, steps_schedule

SCHEDULES = {
    "steps": steps_schedule(0.1, 100),
    "cosine": cosine_schedule(0.1, 90),
    "cosine without warm-up": cosine_schedule(0.1, 90, warm_up=0),
    "one_cycle": one_cycle_schedule(1.0, 100),
}


def rates(schedule, steps) -> list[float]:
    return [float(schedule(step)) for step in steps]


def test_wide_networks_rate_falls_to_a_fifth_at_30_60_and_80_percent():
    rate = steps_schedule(0.1, 1000, warm_up=0.0, drops=[0.3, 0.6, 0.8], factor=0.2)
    steps = (0, 299, 300, 599, 600, 799, 800, 999)
    np.testing.assert_allclose(rates(rate, steps), np.repeat([0.1, 0.02, 0.004, 0.0008], 2), rtol=1e-6)


def test_the_default_drops_are_powers_of_ten_to_the_last_bit():
    assert steps_schedule(1.0, 100).get_config()["values"] == [0.1, 1.0, 0.1, 0.01]


def test_imagenets_rate_falls_at_epochs_30_and_60_without_a_warm_up():
    epoch = 1_281_167 // 256
    rate = steps_schedule(0.1, 90 * epoch, warm_up=0.0, drops=[30 / 90, 60 / 90])
    steps = (0, 30 * epoch - 1, 30 * epoch, 60 * epoch - 1, 60 * epoch, 90 * epoch - 1)
    np.testing.assert_allclose(rates(rate, steps), [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_goyals_warm_up_rises_for_five_epochs_of_ninety_and_the_cosine_ends_at_zero():
    rate = cosine_schedule(0.1, 9000)
    rising = np.linspace(0, 0.1, 501)
    np.testing.assert_allclose(rates(rate, range(0, 501, 50)), rising[::50], atol=1e-7)
    falling = [0.05 * (1 + np.cos(np.pi * (step - 500) / 8500)) for step in range(500, 9001, 500)]
    np.testing.assert_allclose(rates(rate, range(500, 9001, 500)), falling, atol=1e-7)


def test_a_warm_up_may_take_the_whole_run():
    np.testing.assert_allclose(
        rates(cosine_schedule(0.1, 10, warm_up=1.0), (0, 5, 10, 11)), [0, 0.05, 0.1, 0], atol=1e-8
    )
    np.testing.assert_allclose(rates(cosine_schedule(0.1, 100), (5, 6, 7)), [0.1 * 5 / 6, 0.1, 0.1], rtol=1e-3)


def test_a_cosine_without_warm_up_starts_at_its_rate():
    np.testing.assert_allclose(
        rates(SCHEDULES["cosine without warm-up"], (0, 45, 90, 99)), [0.1, 0.05, 0, 0], atol=1e-8
    )


def test_one_cycle_rises_as_long_as_it_falls_and_ends_below_its_initial_rate():
    cycle = rates(SCHEDULES["one_cycle"], range(101))
    assert int(np.argmax(cycle)) == 45
    np.testing.assert_allclose(cycle[:46], cycle[90:44:-1], rtol=1e-5)  # the way up, backwards, is the way down
    assert all(b < a for a, b in itertools.pairwise(cycle[45:]))
    np.testing.assert_allclose([cycle[0], cycle[45], cycle[100]], [0.1, 1.0, 0.001], rtol=1e-4)


@pytest.mark.parametrize(("knots", "rates"), [([0, 1], [1.0]), ([0, 0], [1.0, 2.0]), ([2, 1], [1.0, 2.0])])
def test_knots_that_are_not_ascending_are_refused(knots, rates):
    with pytest.raises(ValueError, match=r"`knots` must be ascending, one for each rate\. Received: knots=\["):
        PiecewiseLinear(knots, rates)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_survives_saving_and_is_the_same_in_a_graph(name):
    schedule = SCHEDULES[name]
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(config)
    graph = tf.function(schedule, input_signature=[tf.TensorSpec((), tf.int64)])
    for step in (0, 3, 44, 45, 46, 91, 200):
        assert float(again(step)) == float(schedule(step))
        np.testing.assert_allclose(float(graph(step)), float(schedule(step)), rtol=1e-5, atol=1e-9)
