"""Law: gradients are added in pairs, so their sums have a fixed order and the gradient of a step is reproducible."""

import keras
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import NETWORKS, Case, over, side_by_side
from tests.support.backend_probe import given

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
@pytest.mark.parametrize("merge", ["exclusive_gating", "scalar_highway"])
def test_a_hundred_gradients_of_gated_units_are_identical(merge):
    keras.utils.set_random_seed(0)
    model = kr.ResNet(depth=[2, 2, 2], input_shape=(16, 16, 3), merge=merge)
    step = gradient(model, [tf.random.stateless_normal((16, 16, 16, 3), (0, 1))])
    found = {b"".join(each.numpy().tobytes() for each in step()) for _ in range(100)}
    assert len(found) == 1
