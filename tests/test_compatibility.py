"""What an earlier version wrote is still read: a `.keras` file of every layer, and a run's folder.

Both were written by version 0.1.0 before its folders were rearranged. The file holds one of each exported layer and
units in every order, side by side on the same features. Keras 3.9.0 wrote it: a newer Keras reads the files of an older
one, not the other way round. The run is one of two epochs that was stopped after the first.
"""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest

import keras_resunits  # noqa: F401 (registers the layers)
from tests.support.paths import ROOT

FIXTURES = ROOT / "tests" / "fixtures"


def test_a_keras_file_of_an_earlier_version_loads_and_answers_the_same():
    model = keras.saving.load_model(FIXTURES / "every_layer.keras")
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    expected = np.load(FIXTURES / "every_layer.npy")
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_a_run_of_an_earlier_version_resumes_and_ends(tmp_path):
    from train.run.history import read_history
    from train.settings.config import read

    folder = tmp_path / "runs" / "old"
    shutil.copytree(FIXTURES / "run", folder)
    saved = json.loads((folder / "config.json").read_text())
    assert read(folder / "config.json").fingerprint == saved["fingerprint"]
    from tests.support.forks import Forked

    process = Forked("train", "--resume", "--run=old", f"--output={tmp_path}", "--noexport")
    assert process.wait(300) == 0, process.stderr.read()
    history = read_history(folder / "history.csv")
    assert history["epoch"] == [1.0, 2.0]
    assert [row.split(",")[0] for row in (folder / "history.csv").read_text().split()] == ["epoch", "0", "1"]
    assert history["val_accuracy"][-1] > history["val_accuracy"][0]
    assert len(list((folder / "checkpoints").glob("step-00000044"))) == 1
