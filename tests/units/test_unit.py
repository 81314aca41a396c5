"""The unit: `x' = f(M(h(z), F(z); z))` with `z = e(x)`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import PAIRS, UNITS, Case, over, randomize


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@over(PAIRS)
def test_a_unit_is_its_equation(case, training):
    unit, (x,) = case.layer(), case.arrays()
    keep = [v.numpy() for v in unit.variables]  # seeds too
    wanted = unit(x, training=training)
    for variable, value in zip(unit.variables, keep, strict=True):
        variable.assign(value)
    z = unit.entry(x, training=training)
    carry, branch = unit.shortcut(z, training=training), unit.branch(z, training=training)
    np.testing.assert_array_equal(unit.exit(unit.merge(carry, branch, z), training=training), wanted)


@over(PAIRS)
def test_the_edges_are_the_two_terms_of_the_equation(case):
    unit, (x,) = case.layer(), case.arrays()
    z, carry, branch = unit.edges(x)
    np.testing.assert_array_equal(z, unit.entry(x))
    np.testing.assert_array_equal(carry, unit.shortcut(z))
    np.testing.assert_array_equal(branch, unit.branch(z))
    np.testing.assert_array_equal(unit.exit(unit.merge(carry, branch, z)), unit(x, training=False))


def test_a_preactivation_network_is_its_input_plus_the_sum_of_its_branches():
    recipe = kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity)
    units = [recipe(slot) for slot in kr.plan([kr.Stage(6, 8)], in_filters=8)]
    x = x0 = tf.random.stateless_normal((4, 8, 8, 8), seed=(1, 2))
    total = x0
    for unit in units:
        unit.build(x.shape)
        randomize(unit)
        _, carry, branch = unit.edges(x)
        np.testing.assert_array_equal(carry, x)
        total += branch
        x = unit(x, training=False)
    np.testing.assert_array_equal(x, total)
    assert np.abs(x - x0).max() > 1


def test_edges_inside_a_training_model_are_in_training_mode():
    class Twice(keras.Model):
        def __init__(self, unit):
            super().__init__()
            self.unit = unit

        def call(self, x, training=None):
            return self.unit.edges(x)[2]

    unit, (x,) = UNITS["FullPreAct-basic-identity-same"].layer(), Case(kr.Unit).arrays()
    model, before = Twice(unit), unit.get_weights()
    model(x, training=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, unit.get_weights(), strict=True))
    assert not np.allclose(model(x, training=True), unit.edges(x)[2])
    assert not all(np.array_equal(a, b) for a, b in zip(before, unit.get_weights(), strict=True))


def test_omitted_slots_are_the_identity_and_the_sum():
    unit = kr.Unit(keras.layers.Rescaling(2.0))
    np.testing.assert_array_equal(unit(np.array([[1.0, -1.0]])), [[3.0, -3.0]])
    assert [type(getattr(unit, slot)) for slot in ("entry", "shortcut", "exit")] == [keras.layers.Identity] * 3
    assert type(unit.merge) is kr.Add


def test_each_slot_has_its_place_in_the_equation():
    def times(factor):
        return keras.layers.Rescaling(factor)

    unit = kr.Unit(branch=times(3.0), shortcut=times(5.0), entry=times(2.0), exit=times(10.0))
    assert float(unit(np.array([[1.0]]))[0, 0]) == 10 * (5 * 2 + 3 * 2)


def test_a_unit_refuses_edges_of_two_shapes_and_names_itself():
    recipe = kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity)
    unit = recipe(kr.Slot(index=7, total=9, in_filters=8, filters=16, strides=2))
    with pytest.raises(ValueError, match=r"shortcut \(2, 8, 8, 8\), branch \(2, 4, 4, 16\) \(in 'unit007/merge'\)"):
        unit(np.zeros((2, 8, 8, 8), "float32"))


def test_a_unit_of_units_is_a_unit():
    inner = kr.Unit(keras.layers.Rescaling(2.0))
    outer = kr.Unit(kr.Series([inner, keras.layers.Rescaling(0.5)]))
    assert float(outer(np.array([[1.0]]))[0, 0]) == 1 + 3 / 2


def test_an_empty_series_is_the_identity():
    x = np.array([[1.0, -2.0]])
    np.testing.assert_array_equal(kr.Series([])(x), x)


def test_a_series_applies_its_layers_in_order():
    series = kr.Series([keras.layers.Rescaling(2.0), keras.layers.Rescaling(1.0, offset=3.0)])
    assert float(series(np.array([[1.0]]))[0, 0]) == 2 * 1 + 3


def test_a_tail_ends_the_branch():
    def tail(slot):
        return [keras.layers.Rescaling(0.0, name=f"off{slot.index}")]

    recipe = kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity, tail=tail)
    unit, (x,) = recipe(kr.Slot(3, 9, 8, 8)), Case(kr.Unit).arrays()
    np.testing.assert_array_equal(unit(x), x)
    assert unit.branch.layers[-1].name == "off3"


def test_a_layer_without_an_output_shape_of_its_own_fits_into_a_series():
    class Negative(keras.layers.Layer):
        def call(self, x):
            return -x

    unit = kr.Unit(kr.Series([Negative(), keras.layers.Rescaling(3.0)]))
    assert unit(keras.Input((2,))).shape == (None, 2)
    np.testing.assert_array_equal(unit(np.ones((1, 2))), [[-2.0, -2.0]])
