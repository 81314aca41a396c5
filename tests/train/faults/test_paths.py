"""Paths and files as people have them: taken as meant, or refused in one line before any work."""

from __future__ import annotations

import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from keras_resunits import PreActResNet, export_saved_model
from tests.support.paths import ROOT, python_path
from train.data.datasets import load
from train.evaluate import entry as evaluate
from train.process.errors import BadInput, StorageError
from train.process.files import local
from train.settings.config import Config
from train.settings.resolving import resolve
from train.settings.sections import Source

SMALL = ("--depth=8", "--epochs=1", "--noexport")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--run=lr[0.1]",), r"train: --run=lr[0.1] contains [ ], which TensorFlow treats as wildcards; rename it."),
        (("--run=a*b",), "train: --run=a*b contains *, which"),
        (("--output={tmp}/a[1]",), "/a[1] contains [ ], which TensorFlow treats as wildcards"),
        (("--output=gs://bucket/x",), "train: --output=gs://bucket/x must be a local path"),
        (("--output=",), "train: --output is empty"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused_before_work_begins(command, tmp_path, arguments, text):
    outcome = command(*SMALL, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (outcome.code, len(outcome.said)) == (2, 1) and text in outcome.said[0]
    assert list(tmp_path.iterdir()) == []


def test_a_data_sets_wildcards_do_not_get_into_the_runs_name(parse, tmp_path):
    parse(f"--dataset={tmp_path}/pets[1]")
    assert resolve().default_run == "pets_1_-preactresnet20"


def test_an_export_into_a_folder_with_wildcards_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must not contain \[ \]: TensorFlow treats them as wildcards"):
        export_saved_model(PreActResNet(8, (8, 8, 1), 2), tmp_path / "a[1]")
    assert list(tmp_path.iterdir()) == []


def test_the_users_folder_is_expanded_everywhere(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local("~/x", "--output") == tmp_path / "x"
    PreActResNet(8, (8, 8, 1), 10).save(tmp_path / "net.keras")
    assert evaluate.run(["~/net.keras", "digits", "--output=~/out"]) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "evaluation.json").is_file()


def test_bytes_that_are_not_utf_8_are_refused():
    with pytest.raises(BadInput, match=r"--output='a\\udcff' is not UTF-8"):
        local("a\udcff", "--output")


def test_an_empty_data_set_is_not_the_runs_own(tmp_path, capsys):
    Config().save(tmp_path / "config.json")
    assert evaluate.run([str(tmp_path), ""]) == 2
    assert "DATA is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["TF_CONFIG", "TPU_NAME"])
def test_an_empty_variable_is_unset(monkeypatch, command, files, tmp_path, name):
    monkeypatch.setenv(name, "")
    data = files.npz(tmp_path / "set.npz")
    assert command(f"--dataset={data}", f"--output={tmp_path}", *SMALL).code == 0


def test_a_checkpoint_that_cannot_be_read_is_left_as_it_is(tmp_path):
    from tests.train.run.test_checkpoints import saved, small

    saved(tmp_path, (1, 2))
    manifest = tmp_path / "step-00000002" / "manifest.json"
    kept = manifest.read_bytes()
    manifest.unlink()
    manifest.mkdir()  # there, and cannot be read, for root too
    with pytest.raises(StorageError, match=r"manifest\.json cannot be read \(Is a directory\); nothing was changed"):
        small(tmp_path)[0].restore()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]
    manifest.rmdir()
    manifest.write_bytes(kept)
    assert small(tmp_path)[0].restore().step == 2


def test_an_export_that_fails_its_check_is_not_published(tmp_path):
    seen = []

    def check(version):
        seen.extend(path.name for path in version.iterdir())
        raise RuntimeError("wrong")

    with pytest.raises(RuntimeError, match="wrong"):
        export_saved_model(PreActResNet(8, (8, 8, 1), 2), tmp_path / "served", metadata={"step": 3}, check=check)
    assert {"saved_model.pb", "metadata.json"} <= set(seen)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_no_image_and_no_archive(command, files, tmp_path):
    root = files.image_folder(tmp_path / "pets")
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    assert len(load(Source(dataset=str(root))).train[0]) == 6
    os.mkfifo(tmp_path / "f.npz")
    outcome = command(f"--dataset={tmp_path}/f.npz", f"--output={tmp_path}/out", *SMALL)
    assert outcome.said == [f"train: --dataset={tmp_path}/f.npz is not a regular file."]


def header(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (header(2**31, 2**31, 4), "more than this machine's memory"),  # wraps to 0 in 64 bits
        (header(100, 8, 8) + bytes(100), "does not hold what its header declares: 6400 values expected, got 100"),
        (
            gzip.compress(header(1, 8, 8) + bytes(50_000_000)),
            "64 values expected, got more",
        ),  # 50 kB that unpack to 50 MB
        (header(10, 8)[:9], "is truncated"),
    ],
    ids=["wraps", "short", "bomb", "header"],
)
def test_an_idx_file_is_read_as_far_as_its_header_asks(files, tmp_path, content, text):
    folder = files.idx_folder(tmp_path / "idx")
    name = "train-images-idx3-ubyte"
    (folder / name).unlink()
    (folder / (name + ".gz" * (content[:2] == b"\x1f\x8b"))).write_bytes(content)
    with pytest.raises(BadInput, match=text):
        load(Source(dataset=str(folder)))


@pytest.mark.parametrize(("shape", "text"), [((10**7, 10**7), "declares"), ((3, 8, 8, 1), "declares 192 bytes")])
def test_an_npz_file_that_declares_more_than_it_holds_is_refused_before_memory_is_taken(files, tmp_path, shape, text):
    path = files.npz(tmp_path / "set.npz", x_train=None)
    told = str({"descr": "|u1", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(told)) + told + bytes(10))
    with pytest.raises(BadInput, match=text):
        load(Source(dataset=str(path)))


def test_features_of_foreign_code_are_not_imported(tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "evilmod.Evil"}))
    (tmp_path / "evilmod.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match=r"names 'evilmod\.Evil'; expected features of tensorflow_datasets only"):
        load(Source(dataset="mine", data_dir=str(tmp_path)))


def test_a_signal_after_the_last_epoch_is_obeyed(command, files, tmp_path, monkeypatch):
    from train.program import Session

    run = Session.run

    def then_asked(self):
        run(self)
        self.notice.received = signal.SIGTERM

    monkeypatch.setattr(Session, "run", then_asked)
    data = files.npz(tmp_path / "set.npz")
    outcome = command(f"--dataset={data}", f"--output={tmp_path}", "--depth=8", "--epochs=1", "--run=mine")
    assert outcome.code == 42
    assert "asked to stop (SIGTERM): saved at step 8, not exported. Resume with: " in outcome.said[-1]
    assert list((tmp_path / "saved_models" / "mine").iterdir()) == []


def shell(line: str, cwd) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": python_path(), "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_help_may_be_cut_short_by_its_reader(tmp_path):
    done = shell('"$PYTHON" -m train --help | head -1', tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_run_whose_standard_error_is_closed_trains(files, tmp_path):
    files.npz(tmp_path / "set.npz")
    done = shell(f'"$PYTHON" -m train --dataset=set.npz {" ".join(SMALL)} 2>&-', tmp_path)
    assert (done.returncode, "epoch 1/1" in done.stdout) == (0, True)
    assert ROOT.exists() and np.load(tmp_path / "set.npz")["x_train"].dtype == np.uint8
