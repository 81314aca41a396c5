"""Trained networks by name in the training program, and the tool that makes them from its runs."""

from __future__ import annotations

import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.zoo.pretrained import table
from tests.support import shelf
from train import evaluate, export, predict
from train.data.datasets.digits import load_digits
from train.run.folder import Run
from train.settings.resolving import resolve


@pytest.mark.slow
def test_a_run_becomes_a_trained_network_that_others_begin_from(command, files, parse, tmp_path, monkeypatch):
    tool = shelf.tool()
    shelf.put_up(tmp_path, monkeypatch)
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    data = files.npz(tmp_path / "shades.npz")
    line = (f"--dataset={data}", "--epochs=1", "--noexport", f"--output={tmp_path}")
    try:
        assert command(*line, "--depth=8", "--learning_rate=0.05", "--run=first").code == 0
        run = Run(tmp_path, "first")
        facts = tool.DataSet("shades", "none stated", "shades", ("dark", "light"))
        for wrong in ("preactresnet20:shades", "shades"):
            with pytest.raises(tool.BadInput, match=r"NAME must be preactresnet8:<weights>"):
                tool.made(run, wrong, facts)
        row = tool.made(run, "preactresnet8:shades", facts)
        assert kr.list_models(pretrained=True) == [row.name]
        assert (row.family, row.arguments, row.input_shape) == ("PreActResNet", {"depth": 8}, (8, 8, 1))
        assert row.command == (
            "python -m train --dataset=shades --depth=8 --epochs=1 --batch_size=2 --learning_rate=0.05"
        )
        x, y = files.arrays()["x_test"], files.arrays()["y_test"]
        logits = kr.create(row.name).predict(row.normalization()(x.astype("float32")), verbose=0)
        assert (row.test_images, row.correct) == (len(y), (logits.argmax(1) == y).sum())
        assert "| test accuracy | " in tool.card(row) and row.sha256 in tool.card(row)

        named = f"--initial_model={row.name}"
        begun = command(*line, named, "--run=second")
        assert begun.code == 0, begun.err
        told = f"begins from {row.file}: the head of 2 classes is kept; pixels: its layer 'normalization' normalises"
        assert told in begun.err
        assert Run(tmp_path, "second").initial.read_bytes() == row.file.read_bytes()
        parse(*line, named)
        assert resolve().default_run == "shades-preactresnet8.shades"
        resumed = command(*line, named, "--run=second", "--resume", "--epochs=2")
        assert resumed.code == 0, resumed.err

        three = files.npz(tmp_path / "three.npz", **files.arrays(classes=3))
        other = command(f"--dataset={three}", *line[1:], named, "--run=third")
        assert other.code == 0 and "a new head of 3 classes replaces that of 2" in other.err, other.err
        for name, wrong in (
            ("preactresnet8:shade", "--initial_model: no trained network 'preactresnet8:shade'. Did you mean"),
            (row.name, "are not those of the table: wanted SHA-256"),
        ):
            row.file.write_bytes(b"other")
            refused = command(*line, f"--initial_model={name}", "--run=fourth")
            assert refused.code == 2 and wrong in refused.err and len(refused.said) == 1, refused.err
        assert np.unique([each.name for each in (tmp_path / "runs").iterdir()]).tolist() == ["first", "second", "third"]
    finally:
        table.cache_clear()


def test_images_are_classified_by_a_trained_network_by_name(tmp_path, capsys):
    record = kr.pretrained("preactresnet20:digits")
    images, labels = load_digits().test
    np.save(tmp_path / "images.npy", images)
    assert predict.entry.run([record.name, str(tmp_path / "images.npy"), f"--output={tmp_path / 'out.csv'}"]) == 0
    rows = [row.split(",") for row in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    right = np.mean([name == record.class_names[label] for (_, name, _), label in zip(rows, labels, strict=True)])
    assert right == pytest.approx(record.accuracy, abs=1e-4)


@pytest.mark.parametrize("program", [evaluate, export, predict], ids=["evaluate", "export", "predict"])
def test_a_trained_network_that_is_not_there_is_refused_in_one_line(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert program.entry.run(["preactresnet20:digit", *(["digits"] if program is not export else [])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no trained network 'preactresnet20:digit'. Did you mean 'preactresnet20:digits'" in line
    assert list(tmp_path.iterdir()) == []
