"""Law: gradients are added in pairs, so their sums have a fixed order and the gradient of a step is reproducible."""

import keras
import pytest
import tensorflow as tf

from tests.catalog import NETWORKS, Case, over, side_by_side
from tests.support.backend_probe import given
from tests.support.processes import finished

FORKING = ("DenseNet", "FractalNet", "GatedPlainNet", "HighwayNet", "PreActResNet", "ResNet", "shortcut_gating")
CASES = {"units": Case(side_by_side), **{name: NETWORKS[name] for name in FORKING}}
QUICK = ("units", "DenseNet", "FractalNet", "HighwayNet", "PreActResNet")  # all that fork in different ways


def gradient(model: keras.Model, inputs):
    """A `tf.function` of the gradients of all weights."""

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(given(inputs), training=True) ** 2)
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    return gradient


@pytest.mark.slow
@over(CASES, quick=QUICK)
def test_no_sum_has_more_than_two_gradients(case):
    model, inputs = case.model(), case.arrays()
    operations = gradient(model, inputs).get_concrete_function().graph.get_operations()
    sums = [operation for operation in operations if operation.type == "AddN"]
    assert sums and [sum.name for sum in sums if len(sum.inputs) > 2] == []


@pytest.mark.slow
@pytest.mark.parametrize("network", ["exclusive_gating", "scalar_highway", "projection"])
def test_a_hundred_gradients_of_one_batch_are_identical(network):
    """In a process whose operations have several threads."""
    outcome = finished("tests.support.repeated", network)
    assert (outcome.code, outcome.out) == (0, "1\n"), outcome.err
