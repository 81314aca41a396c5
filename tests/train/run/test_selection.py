"""The best state is chosen on validation images; test images are evaluated once, at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from train.run.folder import Run
from train.run.history import read_history

BEGUN = ("--validation=0.3", "--depth=8", "--epochs=5", "--patience=1", "--batch_size=8", "--run=mine")


@pytest.mark.slow
def test_a_run_ends_early_and_exports_its_best_state(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=40))
    line = (*BEGUN, f"--dataset={data}", f"--output={tmp_path}")
    first = command(*line)
    assert first.code == 0, first.err
    run = Run(tmp_path, "mine")
    accuracies = read_history(run.history)["val_accuracy"]
    best = accuracies.index(max(accuracies)) + 1
    assert len(accuracies) == min(best + 1, 5) and best < 5
    assert f"no better for 1 epoch: ended after epoch {best + 1}." in first.err
    assert f"validation accuracy {max(accuracies):.2%}, of the best epoch, {best}\n" in first.out
    assert first.out.count("test accuracy") == 1 and "evaluated once" in first.out
    scores = {
        int(path.parent.name[5:]): json.loads(path.read_text()) for path in run.checkpoints.glob("*/manifest.json")
    }
    told = json.loads((run.saved_models / "1" / "metadata.json").read_text())
    assert scores[told["step"]]["score"] == max(accuracies) and told["step"] < max(scores)
    assert run.selects and not run.earlier and run.watched == "validation"
    again = command(*line, "--resume")
    assert (again.code, len(read_history(run.history)["epoch"])) == (0, best + 1)
    assert f"nothing left to do: {run.saved_models / '1'}" in again.out
    last = command(*line, "--resume", "--export=last")
    assert last.code == 0, last.err
    assert json.loads((run.saved_models / "2" / "metadata.json").read_text())["step"] == max(scores)


def test_a_run_of_an_earlier_version_has_no_validation_split(tmp_path):
    run = Run(Path(tmp_path), "old")
    run.folder.mkdir(parents=True)
    run.config.write_text("{}")
    run.data.write_text('{"train_count": 3, "test_count": 1}')
    assert run.earlier and not run.selects and run.watched == "test"
