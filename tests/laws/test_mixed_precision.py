"""Law: under a 16-bit policy, activations are 16-bit, variables and logits float32, and outputs nearly the same."""

import keras
import numpy as np

from tests.catalog import LAYERS, NETWORKS, PAIRS, STEMS, over


@over(LAYERS, STEMS, PAIRS, NETWORKS)
def test_bfloat16_stays_bfloat16_and_outputs_are_nearly_the_same(case):
    assert_sixteen_bits_stay_and_answer_nearly_the_same(case, "bfloat16")


@over(LAYERS, NETWORKS)
def test_float16_stays_float16_and_outputs_are_nearly_the_same(case):
    assert_sixteen_bits_stay_and_answer_nearly_the_same(case, "float16")


def assert_sixteen_bits_stay_and_answer_nearly_the_same(case, dtype):
    inputs = case.arrays()
    exact = case.layer()
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    layer = case.make()
    layer(*inputs)
    layer.set_weights(exact.get_weights())
    for training in (False,) if case.random else (False, True):
        output, wanted = layer(*inputs, training=training), np.asarray(exact(*inputs, training=training))
        assert keras.backend.standardize_dtype(output.dtype) == ("float32" if isinstance(layer, keras.Model) else dtype)
        error = np.abs(np.asarray(keras.ops.cast(output, "float32")) - wanted)
        assert error.mean() < 0.03 * np.abs(wanted).mean()
    assert {w.dtype for w in layer.weights} <= {"float32"}
    assert all(np.isfinite(w).all() for w in layer.get_weights())


@over(NETWORKS)
def test_every_unit_of_a_network_outputs_sixteen_bits(case):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = case.make()
    inside = [layer for layer in model.layers if layer.name.startswith(("stem", "unit", "post"))]
    assert len(inside) >= 2
    assert {layer.output.dtype for layer in inside} == {"bfloat16"}
    assert keras.Model(model.input, inside[-1].output)(*case.arrays()).dtype == "bfloat16"
