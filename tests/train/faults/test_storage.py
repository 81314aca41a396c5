"""Faults of disks and processes: the newest whole checkpoint or export is found, or one line reports why not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_resunits import PreActResNet, export_saved_model
from tests.support.forks import Forked
from tests.support.paths import ROOT
from tests.support.processes import begun
from tests.train.run.test_checkpoints import saved, small
from train.evaluate import entry
from train.evaluation.check import check_answers
from train.process.errors import BadInput, StorageError
from train.run.checkpoints import Position, newest_checkpoint, require_checkpoint
from train.run.folder import Run
from train.run.history import read_history

STATE, INDEX, MANIFEST = "state.data-00000-of-00001", "state.index", "manifest.json"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    path.write_bytes(b"\x00\xff no manifest")


def point_outside(path: Path) -> None:
    path.write_text(path.read_text().replace('"state.index"', '"../../state.index"'))


def another_step(path: Path) -> None:
    path.write_text(path.read_text().replace('"step": 3', '"step": 2'))


def another_key(path: Path) -> None:
    path.write_text(path.read_text().replace('"made_with"', '"made_vith"'))


DAMAGES = [
    (STATE, cut, "checksum"),
    (STATE, flip, "checksum"),
    (STATE, Path.unlink, "No such file"),
    (INDEX, cut, "checksum"),
    (INDEX, Path.unlink, "No such file"),
    (MANIFEST, empty, "manifest.json"),
    (MANIFEST, garble, "manifest.json"),
    (MANIFEST, Path.unlink, "manifest.json"),
    (MANIFEST, point_outside, "a file outside the folder"),
    (MANIFEST, another_step, "manifest.json: checksum"),
    (MANIFEST, another_key, "manifest.json: checksum"),
]


@pytest.mark.parametrize(("name", "damage", "why"), DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_restored(tmp_path, name, damage, why, capsys):
    saved(tmp_path, [1, 2, 3])
    damage(tmp_path / "step-00000003" / name)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-00000002"
    checkpoints, kernel = small(tmp_path)
    assert checkpoints.restore() == Position(epoch=2, step=2)
    assert (kernel.numpy() == 2).all()
    said = capsys.readouterr().err
    assert said.startswith(f"train: checkpoint {tmp_path}/step-00000003 is damaged (")
    assert why in said and said.endswith("; trying the one before.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad-step-00000003", "step-00000001", "step-00000002"]
    assert checkpoints.save(Position(step=3))  # again, beside the damaged one
    assert checkpoints.steps == [1, 2, 3]


@pytest.mark.parametrize("worker", [0, 1])
def test_where_all_are_damaged_no_run_starts_over_however_often_one_tries(tmp_path, worker):
    saved(tmp_path, [1, 2])
    for step in (1, 2):
        flip(tmp_path / f"step-{step:08}" / STATE)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"no usable checkpoint in .*Refusing to start over") as caught:
            small(tmp_path, worker=worker)[0].restore()
        assert caught.value.code == 4
    assert len(list(tmp_path.iterdir())) == 2  # for inspection


def test_what_killed_processes_left_is_cleaned_and_never_restored(tmp_path):
    saved(tmp_path, [1])
    for name in ("unfinished-0-2", "unfinished-1-2", "unfinished-step-00000009"):
        shutil.copytree(tmp_path / "step-00000001", tmp_path / name)
    checkpoints, _ = small(tmp_path)
    assert checkpoints.steps == [1]
    assert checkpoints.restore().step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


@pytest.fixture
def disk(tmp_path):
    """`disk("size=1m")` mounts a small disk of these options."""
    mounted = []

    def disk(options: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a small disk requires root")
        mounted.append(folder)
        return folder

    yield disk
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def fill(ballast: Path) -> None:
    """Write a file until its disk is full, even if others write and delete meanwhile."""
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_ends_the_run_at_the_third_save_and_harms_no_checkpoint(disk, capsys):
    folder = disk("size=256k")
    checkpoints = saved(folder, [1])
    fill(folder / "ballast")
    for step in (2, 3):
        assert not checkpoints.save(Position(step=step))
        said = f"train: disk full writing step {step} to {folder}; step 1 is intact. Continuing; "
        assert capsys.readouterr().err.startswith(said)
    with pytest.raises(StorageError, match=r"disk full writing step 4 .*, 3 times in a row; step 1 is intact\.$") as it:
        checkpoints.save(Position(step=4))
    assert it.value.code == 4
    assert sorted(path.name for path in folder.iterdir()) == ["ballast", "step-00000001"]
    assert small(folder)[0].restore().step == 1


def test_a_disk_that_was_full_for_a_moment_does_not_end_the_run(disk):
    folder = disk("size=256k")
    checkpoints, ballast = saved(folder, [1]), folder / "ballast"
    for step in (2, 4, 6):
        fill(ballast)
        assert not checkpoints.save(Position(step=step))
        ballast.unlink()
        assert checkpoints.save(Position(step=step + 1))
    assert checkpoints.steps == [3, 5, 7]


@pytest.mark.slow
def test_a_run_whose_disk_becomes_full_ends_in_one_line_and_resumes_when_there_is_space(disk, files, tmp_path, command):
    folder, ballast = disk("size=8m"), tmp_path / "disk" / "ballast"
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", "--run=mine", f"--output={folder}", "--resume", "--keep=1", "--noexport"]
    process = begun("train", *line, "--epochs=40", "--checkpoint_every=1")  # more than end while the disk is filled
    process.has_said("epoch  2/40")
    fill(ballast)
    outcome = process.ended()
    assert outcome.code == 4 and "Traceback" not in outcome.err, outcome.err
    assert re.search(
        r"^train: disk full writing step \d+ to .*, 3 times in a row; step \d+ is intact\.$", outcome.said[-1]
    )
    refused = command(*line)
    assert refused.code == 4 and "Traceback" not in refused.err, refused.err
    assert refused.said[-1].startswith("train: disk full writing ")
    ballast.unlink()
    ended = command(*line)
    assert ended.code == 0, ended.err
    assert "epoch 40/40" in ended.out and "epoch  1/40" not in ended.out


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_model_is_exported_costs_no_training(disk, files, tmp_path, command):
    folder, output = disk("size=64k"), tmp_path / "out"
    output.mkdir()
    (output / "saved_models").symlink_to(folder)
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", "--epochs=1", "--run=mine", f"--output={output}", "--resume"]
    outcome = command(*line)
    assert outcome.code == 4 and "Traceback" not in outcome.err, outcome.err
    assert re.match(
        r"train: disk full writing the export to \S+/mine, or checking it; the run is saved: free .*", outcome.said[-1]
    )
    assert list((folder / "mine").iterdir()) == []
    (output / "saved_models").unlink()
    ended = command(*line)
    assert ended.code == 0, ended.err
    assert "epoch 1/1" not in ended.out and (output / "saved_models" / "mine" / "1" / "saved_model.pb").exists()


@pytest.mark.slow
def test_an_evaluation_on_a_full_disk_is_reported_in_one_line(disk, files, tmp_path, capsys):
    folder = disk("size=64k")
    fill(folder / "ballast")
    model, data = tmp_path / "model.keras", files.npz(tmp_path / "set.npz")
    PreActResNet(8, (8, 8, 1), classes=2).save(model)
    assert entry.run([str(model), str(data), f"--output={folder}/found"]) == 4
    assert re.fullmatch(r"evaluate: disk full writing \S+/found\.\n", capsys.readouterr().err)
    assert [path.name for path in folder.iterdir()] == ["ballast"]


def test_a_disk_that_became_read_only_is_reported_and_read_from(disk, capsys):
    folder = disk("size=1m")
    checkpoints = saved(folder, [1])
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    assert not checkpoints.save(Position(step=2))
    assert "Read-only file system" in capsys.readouterr().err
    assert small(folder)[0].restore().step == 1
    with pytest.raises(BadInput, match=r"--output=.*cannot be written to \(Read-only file system\)\.$"):
        Run(folder, "mine").claim()


def test_a_file_where_the_folder_should_be_is_reported(tmp_path, capsys):
    (tmp_path / "checkpoints").write_text("")
    checkpoints, _ = small(tmp_path / "checkpoints")
    assert not checkpoints.save(Position(step=1))
    assert "writing step 1 to" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_do_not_train_one_run(tmp_path, command, files):
    script = f"""
import sys, time
from pathlib import Path
from train.run.folder import Run
with Run(Path({str(tmp_path)!r}), "mine").claimed():
    print("claimed", flush=True)
    time.sleep(600)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "claimed\n"
        data = files.npz(tmp_path / "set.npz")
        line = [f"--dataset={data}", "--depth=8", "--epochs=1", f"--output={tmp_path}", "--run=mine", "--resume"]
        before = sorted(tmp_path.rglob("*"))
        outcome = command(*line)
        assert outcome.code == 2
        (said,) = outcome.said
        assert said.startswith(f"train: --run=mine: {tmp_path}/runs/mine is in use by process {holder.pid} on ")
        assert sorted(tmp_path.rglob("*")) == before
    finally:
        holder.kill()
        holder.wait()
    with Run(tmp_path, "mine").claimed():  # a killed process holds nothing
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "started", [("train",), pytest.param(("train.launch", "--workers=2", "--"), marks=pytest.mark.long)], ids=len
)
def test_a_run_whose_output_and_errors_go_to_a_full_disk_still_trains_and_exports(tmp_path, files, started):
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", "--epochs=1", "--run=mine", f"--output={tmp_path}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", *started, *line], cwd=ROOT, stdout=full, stderr=full)
        assert done.returncode == 0
        refused = subprocess.run([sys.executable, "-m", *started, *line], cwd=ROOT, stdout=full, stderr=full)
        assert refused.returncode == 2  # because the run exists
    assert read_history(tmp_path / "runs" / "mine" / "history.csv")["epoch"] == [1]
    assert (tmp_path / "saved_models" / "mine" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize(("rows", "said"), [(None, False), (0, True), (1, True)], ids=["none", "begun", "an epoch"])
def test_a_run_without_checkpoints_reports_that_its_first_epoch_starts_again(tmp_path, capsys, rows, said):
    history = tmp_path / "history.csv"
    if rows is not None:
        history.write_text("epoch\n" * (1 + rows))
    require_checkpoint(history, tmp_path / "checkpoints", step=0)
    line = f"train: no checkpoint in {tmp_path / 'checkpoints'}: the first epoch starts again.\n"
    assert capsys.readouterr().err == line * said


def test_a_closed_standard_error_is_no_error():
    code = "import sys; from train.process.files import outlive_full_disks as go; sys.stderr = None; go()"
    code += "; print('lost', file=sys.stderr, flush=True); print('kept')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr


def test_a_run_without_a_record_of_its_data_reports_that_it_cannot_compare_them(tmp_path, capsys):
    with Run(tmp_path, "mine").claimed():
        run = Run(tmp_path, "mine")
        run.require_same_data({"images": 16})
        run.checkpoints.mkdir()
        (run.checkpoints / "step-00000001").mkdir()
        assert not capsys.readouterr().err
        run.history.write_text("epoch\n0\n")
        run.data.unlink()
        run.require_same_data({"images": 17})
        missing = f"train: {run.data} is missing: the data cannot be compared with those that the run started with.\n"
        assert capsys.readouterr().err == missing
        with pytest.raises(BadInput, match="images was 17, is 16"):
            run.require_same_data({"images": 16})


@pytest.mark.slow
def test_a_run_that_was_moved_resumes(tmp_path, command, files):
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", "--run=mine", "--noexport"]
    assert command(*line, "--epochs=1", f"--output={tmp_path / 'here'}").code == 0
    (tmp_path / "here").rename(tmp_path / "there")
    outcome = command(*line, "--epochs=2", f"--output={tmp_path / 'there'}", "--resume")
    assert outcome.code == 0, outcome.err
    assert "epoch 2/2" in outcome.out and "epoch 1/2" not in outcome.out
    assert not (tmp_path / "here").exists()


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_the_newest_checkpoint_whole(tmp_path):
    rng, last = np.random.default_rng(0), 0
    for _ in range(4):
        process = Forked("tests.support.saver", str(tmp_path))
        announced = [int(process.stdout.readline()) for _ in range(3)]
        time.sleep(rng.uniform(0, 0.2))  # within one of the saves that follow at once
        process.kill()
        code = process.wait()
        announced += [int(line) for line in process.stdout]
        err = process.stderr.read()
        assert code == -signal.SIGKILL, err
        assert announced[0] == last + 1, err
        checkpoints, kernel = small(tmp_path, units=500_000)
        last = checkpoints.restore().step
        assert last in (announced[-1], announced[-1] + 1)  # renamed, and killed before it could report it
        assert (kernel.numpy() == last).all()
        assert not list(tmp_path.glob("bad-*")) and not list(tmp_path.glob("unfinished-*"))


def little_model() -> keras.Model:
    images = keras.Input((4, 4, 1))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))


def require_served(root: Path, versions: list[str]) -> None:
    """The versions that a server sees are these, and their files are those of their manifests."""
    assert sorted(path.name for path in root.iterdir() if not path.name.startswith(".")) == versions
    for version in (root / each for each in versions if each != "kit"):
        line = ["sha256sum", "--check", "--strict", "--quiet", "manifest.sha256"]
        assert subprocess.run(line, cwd=version).returncode == 0


EXPORTER = """
import sys
from train.process.startup import importing
with importing():
    import keras
from keras_resunits import PreActResNet, export_saved_model
from tests.support.dying import dying_in_the_export
from tests.train.faults.test_storage import little_model

model = little_model()
print(export_saved_model(model, sys.argv[1]), flush=True)
if sys.argv[2] == "before the rename":
    sys.addaudithook(dying_in_the_export)
while True:
    export_saved_model(model, sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the rename", pytest.param("while it writes", marks=pytest.mark.long)])
def test_a_process_killed_while_it_exports_leaves_only_whole_versions(tmp_path, moment):
    line = [sys.executable, "-c", EXPORTER, tmp_path, moment]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline().endswith(b"/1\n")  # the first is whole; others follow at once
    unfinished = tmp_path / f".unfinished-{process.pid}"
    if moment == "while it writes":
        while not unfinished.exists():
            assert process.poll() is None
        process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    if moment == "before the rename":
        assert (unfinished / "saved_model.pb").is_file()
    model = little_model()
    version = export_saved_model(model, tmp_path)
    versions = sorted((path for path in tmp_path.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    assert [path.name for path in versions] == [str(i + 1) for i in range(len(versions))]
    assert versions[-1] == version
    images = np.zeros((2, 4, 4, 1), np.uint8)
    assert check_answers(version, model, lambda x: x, images) < 1e-5
    require_served(tmp_path, sorted(each.name for each in versions))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "name", "versions"),
    [
        ("open", "manifest.sha256", ["7"]),  # not yet complete
        ("os.rename", "7", ["7", "8"]),  # published, the older one not yet removed
        ("os.remove", "saved_model.pb", ["8"]),  # while the older one is removed
        ("os.rename", ".unfinished-", ["7"]),  # complete, not yet published
    ],
    ids=["documents", "removal", "half removed", "publishing"],
)
def test_an_export_killed_at_any_step_leaves_whole_versions(event, name, versions, tmp_path):
    export_saved_model(little_model(), tmp_path / "served", batch_sizes=(1,)).rename(tmp_path / "served" / "7")
    process = Forked("tests.support.dying_export", str(tmp_path / "served"), event, name)
    assert process.wait(120) == -signal.SIGKILL
    require_served(tmp_path / "served", versions)


def test_an_export_that_fails_leaves_no_version_and_an_existing_one_is_never_overwritten(disk):
    folder = disk("size=2m")
    model = little_model()
    first = export_saved_model(model, folder)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert export_saved_model(model, folder).name == "2"
    fill(folder / "ballast")
    with pytest.raises(Exception, match=r"(?i)no space|exhausted"):
        export_saved_model(model, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "ballast"]
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_damaged_checkpoints_end_the_program_with_its_exit_code(tmp_path, command, files):
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", f"--output={tmp_path}", "--run=mine", "--noexport"]
    assert command(*line, "--epochs=1").code == 0
    for state in (tmp_path / "runs" / "mine" / "checkpoints").rglob("state.index"):
        os.truncate(state, 3)
    outcome = command(*line, "--epochs=2", "--resume")
    assert outcome.code == 4
    assert outcome.said[-1].startswith("train: no usable checkpoint in ")
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_a_finished_run_reports_it_and_one_without_checkpoints_is_not_started_again(tmp_path, command, files):
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", f"--output={tmp_path}", "--run=mine", "--epochs=2", "--resume"]
    assert command(*line).code == 0
    again = command(*line)
    assert (again.code, list((tmp_path / "saved_models" / "mine").iterdir())) == (0, [tmp_path / "saved_models/mine/1"])
    assert re.search(r"^nothing left to do: \S+/mine/1 is the export of this state", again.out, re.MULTILINE)
    run = tmp_path / "runs" / "mine"
    history = (run / "history.csv").read_text()
    shutil.rmtree(run / "checkpoints")
    outcome = command(*line)
    assert outcome.code == 4
    wanted = r"train: no checkpoint in \S+/mine/checkpoints, but \S+history\.csv has 2 epochs\. Refusing to start over"
    assert re.match(wanted, outcome.said[-1])
    assert (run / "history.csv").read_text() == history
