"""`python -m train.compress`: a run's network is pruned, trained on and exported."""

from __future__ import annotations

import csv
import json
import re
from types import SimpleNamespace

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from train.compress import entry, examples, tuned
from train.process.errors import BadInput
from train.run.folder import Run
from train.settings.config import Config, read


def test_training_on_keeps_the_recipe_but_for_its_length_its_rate_and_what_is_of_the_whole_network(capsys):
    whole = Config.of({"model": "ResNet", "depth": 20, "epochs": 9, "momentum": 0.5, "freeze": ["unit004"]})
    made = tuned(whole, "a.keras", 2, None)
    assert (made.recipe.epochs, made.recipe.momentum, made.recipe.freeze) == (2, 0.5, None)
    assert made.recipe.learning_rate == pytest.approx(0.01)
    assert (made.network.initial_model, made.network.model, made.network.depth) == ("a.keras", None, None)
    with pytest.raises(BadInput, match="--learning_rate must be > 0"):
        tuned(whole, "a.keras", 2, 0.0)
    assert entry.run(["no-such-run"]) == 2
    assert "no-such-run must be a run with a checkpoint" in capsys.readouterr().err


def failing(*_):
    raise BadInput("no memory")


@pytest.mark.slow
def test_a_run_is_pruned_trained_on_and_exported(command, files, tmp_path, capsys, monkeypatch):
    data = files.npz(tmp_path / "set.npz")
    begun = ("--depth=8", f"--dataset={data}", f"--output={tmp_path}", "--epochs=1", "--run=mine", "--noexport")
    assert command(*begun, "--freeze=stem").code == 0
    folder = str(tmp_path / "runs" / "mine")
    for arguments, wrong in {
        (folder, "--by=gate"): "requires scalar gates",
        (folder, "--by=ratio", "--budget=0.01"): "`budget` cannot be met",
        (str(data),): "must be a run with a checkpoint",
    }.items():
        assert entry.run([*arguments]) == 2
        assert wrong in capsys.readouterr().err, arguments
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]

    with monkeypatch.context() as patch:
        patch.setattr("train.program.train", failing)
        assert entry.run([folder, "--by=ratio", "--budget=0.8"]) == 2
    assert "no memory" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "runs" / "mine").glob("*.keras")] == ["model.keras"]

    assert entry.run([folder, "--by=ratio", "--budget=0.8", "--epochs=1"]) == 0
    out = capsys.readouterr().out
    new = Run(tmp_path, "mine-pruned")
    trained, pruned, tuned = (re.search(rf"^{name} .*", out, re.M)[0].split() for name in ("whole", "-1", "tuned"))
    assert trained[1:2] + pruned[1:2] + tuned[1:2] == ["3", "2", "2"] and pruned[2:4] == tuned[2:4]
    assert int(pruned[3].replace(",", "")) <= 0.8 * int(trained[3].replace(",", ""))
    assert keras.saving.load_model(new.initial).count_params() == int(pruned[2].replace(",", ""))
    assert read(new.config).recipe.learning_rate == 0.01 and read(new.config).recipe.freeze is None
    assert json.loads((new.saved_models / "1" / "metadata.json").read_text())["step"] == 8
    assert [path.name for path in (tmp_path / "runs" / "mine").glob("*.keras")] == ["model.keras"]
    rows = list(csv.DictReader((new.folder / "pruning.csv").open()))
    assert [(row["network"], row["dropped"], row["units"]) for row in rows] == [
        ("whole", "0", "3"),
        ("-1", "1", "2"),
        ("tuned", "1", "2"),
    ]
    assert [f"{float(row['accuracy']):.2%}" for row in rows] == [each[-1] for each in (trained, pruned, tuned)]
    assert matplotlib.image.imread(new.folder / "pruning.png").std() > 0


@pytest.mark.parametrize(
    ("total", "asked", "chosen"), [(10, 4, [0, 3, 6, 9]), (10, 10, list(range(10))), (3, 8, [0, 1, 2])]
)
def test_examples_are_spread_over_all_test_images(monkeypatch, total, asked, chosen):
    """In batches of 4, the last one filled up with images of weight 0."""
    images = np.arange(12, dtype="uint8").reshape(12, 1, 1, 1).repeat(3, 3)
    weights = (np.arange(12) < total).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((images, np.arange(12), weights)).batch(4)
    monkeypatch.setattr("train.data.batches.test_batches", lambda data, size: batches)
    found, labels = examples(SimpleNamespace(test_count=total), asked, lambda pixels: pixels / 2)
    assert labels.tolist() == chosen and found[:, 0, 0, 0].tolist() == [each / 2 for each in chosen]
    crops = tf.data.Dataset.from_tensor_slices((images[:, None], np.arange(12), weights)).batch(4)
    monkeypatch.setattr("train.data.batches.test_batches", lambda data, size: crops)
    with pytest.raises(BadInput, match="not pruned on ten crops"):
        examples(SimpleNamespace(test_count=total), asked, lambda pixels: pixels)
