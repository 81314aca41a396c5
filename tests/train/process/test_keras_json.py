"""The user's `keras.json` does not change what a configuration means."""

import json

import keras
import pytest

from tests.support.processes import finished
from tests.train.conftest import Files
from train.process.startup import forget_keras_json


def test_keras_own_defaults_take_the_place_of_the_users():
    def set_to():
        return keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()

    defaults = set_to()
    assert defaults == ("float32", 1e-7, "channels_last")
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.1)
    keras.config.set_image_data_format("channels_first")
    forget_keras_json()
    assert set_to() == defaults


@pytest.mark.slow
def test_a_run_under_another_floatx_is_the_same(spawn, tmp_path):
    data = Files.npz(tmp_path / "set.npz")
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float16", "epsilon": 0.1}))
    line = (f"--dataset={data}", "--depth=8", "--epochs=1", f"--output={tmp_path}", "--noexport")
    usual = finished("train", *line, "--run=usual")
    other = spawn("-m", "train", *line, "--run=other", KERAS_HOME=str(tmp_path))  # Keras reads it when it is imported
    assert (usual.code, other.code) == (0, 0), other.err
    states = [[text for text in outcome.out.splitlines() if text.startswith("state ")] for outcome in (usual, other)]
    assert states[0] == states[1] != []
