"""Law: a `.keras` file restores a network bit for bit, in safe mode, under any precision."""

import keras
import numpy as np
import pytest

from tests.catalog import KERAS_LAYOUTS, LAYERS, NETWORKS, PAIRS, STEMS, over


@over(LAYERS, STEMS, PAIRS, NETWORKS, KERAS_LAYOUTS)
def test_a_keras_file_restores_a_network_bit_for_bit(case, tmp_path):
    model, inputs = case.model(), case.arrays()
    inputs = inputs if case.inputs > 1 else inputs[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(inputs, training=False), model(inputs, training=False))


@pytest.mark.parametrize("name", ["PreActResNet", "squeeze_excite", "HighwayNet", "FractalNet"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_network_saved_in_16_bits_is_loaded_in_16_bits_under_the_float32_policy(name, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    case = NETWORKS[name]
    model, inputs = case.model(), case.arrays()
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(*inputs, training=False), model(*inputs, training=False))
    assert again.get_layer("unit001").compute_dtype == policy.removeprefix("mixed_")


def test_the_weights_of_a_loaded_network_keep_their_paths(tmp_path):
    model = NETWORKS["PreActResNet"].make()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
