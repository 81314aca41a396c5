"""The user's `keras.json` does not change what a configuration means."""

import json

import pytest

from tests.support.processes import finished
from tests.train.conftest import Files


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
