"""The guide's callback keeps a run in MLflow and in Weights & Biases, without a network."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "guide" / "train.md").read_text()


@pytest.mark.slow
def test_the_guides_callback_tracks_a_run_offline(command, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    text = next(text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "wandb" in text)
    (tmp_path / "tracked.py").write_text(text)
    outcome = command("--config=tracked.py", "--noexport", "--epochs=1")
    assert outcome.code == 0, outcome.err
    (found,) = mlflow.tracking.MlflowClient("file:mlruns").search_runs(["0"])
    assert found.data.metrics["val_accuracy"] > 0 and found.data.params["depth"] == "8"
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
