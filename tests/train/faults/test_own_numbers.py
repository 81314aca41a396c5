"""Reported numbers belong to the run named: exchanged or lost files in its folder are not mistaken for it."""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_resunits import PreActResNet
from tests.support.processes import finished
from tests.train.conftest import Files
from train.evaluate import entry as evaluate
from train.run.history import cut_history, read_history

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a finished run of two epochs, not exported, and its data."""
    from tests.support.forks import Forked

    output = tmp_path_factory.mktemp("trained")
    Files.npz(output / "set.npz", **Files.arrays(train=32, test=24, classes=3))
    line = (f"--dataset={output}/set.npz", "--depth=8", "--epochs=2", f"--output={output}", "--run=mine", "--noexport")
    process = Forked("train", *line)
    assert process.wait(300) == 0, process.stderr.read()
    return output


@pytest.fixture
def own(trained, tmp_path):
    """A copy of the run; its data stay in place."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


def resumed(command, own: Path, *arguments: str):
    return command("--run=mine", f"--output={own}", "--resume", *arguments)


def accuracy(text: str) -> str:
    return re.search(r"^(?:test )?accuracy +([\d.]+%)", text, re.MULTILINE)[1]


def test_the_accuracy_belongs_to_the_state_even_if_the_history_was_changed(own, command):
    right = accuracy(resumed(command, own, "--noexport").out)
    history = own / "runs" / "mine" / "history.csv"
    lines = history.read_text().splitlines()
    columns = lines[0].split(",")
    changed = lines[-1].split(",")
    changed[columns.index("val_accuracy")] = "0.123"
    history.write_text("\n".join([*lines[:-1], ",".join(changed)]) + "\n")
    assert accuracy(resumed(command, own, "--noexport").out) == right


@pytest.mark.parametrize("content", [None, ""])
def test_a_finished_run_whose_history_is_lost_resumes(own, command, content):
    right = accuracy(resumed(command, own, "--noexport").out)
    history = own / "runs" / "mine" / "history.csv"
    history.unlink()
    if content is not None:
        history.write_text(content)
    outcome = resumed(command, own, "--noexport")
    assert (outcome.code, accuracy(outcome.out)) == (0, right), outcome.err


def test_rows_are_removed_by_their_epoch_not_by_their_number(tmp_path):
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss\n3,0.5\n4,0.4\n")  # the first two rows were lost
    cut_history(history, 3)
    assert read_history(history)["epoch"] == [3.0]


def test_a_checkpoint_of_another_run_is_refused(own, command):
    mine = own / "runs" / "mine"
    other = ("--depth=8", "--epochs=2", "--seed=7", f"--output={own}", "--run=other", "--noexport")
    data = json.loads((mine / "config.json").read_text())["dataset"]
    assert command(f"--dataset={data}", *other).code == 0
    shutil.rmtree(mine / "checkpoints")
    shutil.copytree(own / "runs" / "other" / "checkpoints", mine / "checkpoints")
    outcome = resumed(command, own)
    assert outcome.code == 2
    assert "belongs to another run, trained with another configuration." in outcome.said[-1]


def test_more_epochs_do_not_make_another_run(own):
    outcome = resumed(partial(finished, "train"), own, "--epochs=3", "--noexport")
    assert outcome.code == 0 and "epoch 3/3" in outcome.out
    assert outcome.said == ["train: --epochs=3 instead of 2: the schedule is stretched accordingly."]


def test_renamed_class_folders_are_other_data(command, files, tmp_path):
    root = files.image_folder(tmp_path / "pets")
    line = (f"--dataset={root}", "--depth=8", "--epochs=1", f"--output={tmp_path}", "--run=mine", "--noexport")
    assert command(*line).code == 0
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / "bird")
    outcome = command("--run=mine", f"--output={tmp_path}", "--resume")
    assert outcome.code == 2
    assert "the data have no class 'cat', they have bird, dog" in outcome.err


def test_a_checkpoint_is_judged_with_the_statistics_it_was_trained_with(own, trained, capsys):
    assert evaluate.run([str(own / "runs" / "mine")]) == 0
    right = accuracy(capsys.readouterr().out)
    arrays = dict(np.load(trained / "set.npz"))
    np.savez(own / "darker.npz", **{**arrays, "x_train": arrays["x_train"] // 4})  # the same test images
    assert evaluate.run([str(own / "runs" / "mine"), str(own / "darker.npz")]) == 0
    assert accuracy(capsys.readouterr().out) == right


def test_a_run_is_not_judged_on_data_that_changed(own, trained, capsys):
    config = json.loads((own / "runs" / "mine" / "config.json").read_text())
    data = Path(config["dataset"])
    kept = data.read_bytes()
    try:
        arrays = dict(np.load(data))
        np.savez(data, **{**arrays, "x_train": arrays["x_train"] // 4})
        assert evaluate.run([str(own / "runs" / "mine")]) == 2
        assert "the data are not those that the run started with: digest was" in capsys.readouterr().err
    finally:
        data.write_bytes(kept)


@pytest.mark.slow
def test_the_newest_state_is_judged_whatever_the_times_of_the_files(own, command, capsys):
    mine = own / "runs" / "mine"
    assert resumed(command, own).code == 0  # exports the state after two epochs
    assert evaluate.run([str(mine)]) == 0
    assert "SavedModel" in capsys.readouterr().out
    assert resumed(command, own, "--epochs=3", "--noexport").code == 0
    for path in (own / "saved_models").rglob("*"):
        os.utime(path)  # as a copy leaves them: newer than the checkpoint
    assert evaluate.run([str(mine)]) == 0
    assert "checkpoint" in capsys.readouterr().out


def test_a_network_that_answers_nan_is_not_judged(tmp_path, files, capsys):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=8, test=6, classes=3))
    model = PreActResNet(8, (8, 8, 1), 3)
    kernel = model.get_layer("classifier").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(tmp_path / "net.keras")
    assert evaluate.run([str(tmp_path / "net.keras"), str(data), f"--output={tmp_path / 'out'}"]) == 3
    assert capsys.readouterr().err.splitlines()[-1].endswith("answers 6 of 6 images with NaN or infinity.")
    assert not (tmp_path / "out").exists()
    assert keras.backend.backend() == "tensorflow"
