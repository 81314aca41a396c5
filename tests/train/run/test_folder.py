"""The folders of a run: names, numbers, and checks before any work."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from train.process.errors import BadInput
from train.run.folder import Run, new_run, old_run


def begin(output, name: str) -> Run:
    run = Run(output, name)
    run.claim()
    run.config.write_text("{}")
    return run


FILES = {
    "config": "config.json",
    "network": "network.txt",
    "data": "data.json",
    "history": "history.csv",
    "gates": "gates.csv",
    "curves": "curves.png",
    "example": "example.png",
    "initial": "initial.keras",
    "model": "model.keras",
    "checkpoints": "checkpoints",
    "tensorboard": "tensorboard",
}


def test_a_runs_files_are_in_its_folder_and_its_exports_beside_those_of_others(tmp_path):
    run = Run(tmp_path, "mine")
    assert run.folder == tmp_path / "runs" / "mine" and Run.at(run.folder) == run
    assert {name: getattr(run, name).relative_to(run.folder) for name in FILES} == {
        name: Path(file) for name, file in FILES.items()
    }
    assert run.saved_models == tmp_path / "saved_models" / "mine"


def test_a_name_that_is_taken_is_numbered(tmp_path):
    names = [begin(tmp_path, new_run(str(tmp_path), None, "digits").name).name for _ in range(3)]
    assert names == ["digits", "digits-2", "digits-3"]


def test_resume_takes_the_last_numbered_run_or_the_named_one(tmp_path):
    for name in ("digits", "digits-2", "digits-3", "other"):
        begin(tmp_path, name)
    assert old_run(str(tmp_path), None, "digits").name == "digits-3"
    assert old_run(str(tmp_path), "digits", "digits").name == "digits"
    assert old_run(str(tmp_path), None, "other").name == "other"


def test_a_given_name_that_is_taken_is_refused(tmp_path):
    begin(tmp_path, "mine")
    with pytest.raises(BadInput, match=r"--run=mine already exists in .*runs/mine; pass --resume"):
        new_run(str(tmp_path), "mine", "digits")


def test_resume_without_a_name_requires_an_existing_run(tmp_path):
    Run(tmp_path, "digits").claim()  # killed before it wrote anything
    with pytest.raises(BadInput, match=r"--resume: there is no run 'digits' in .*runs"):
        old_run(str(tmp_path), None, "digits")


@pytest.mark.parametrize("find", [new_run, old_run])
def test_a_folder_that_tensorflow_would_take_for_a_pattern_is_refused(tmp_path, find):
    with pytest.raises(BadInput, match=r"--output"):
        find(str(tmp_path / "a[1]"), None, "digits")


def test_resume_with_a_name_starts_a_missing_run_so_that_one_command_serves_for_both(tmp_path):
    assert old_run(str(tmp_path), "mine", "digits") == Run(tmp_path, "mine")


def test_a_run_whose_configuration_is_missing_is_neither_started_again_nor_resumed(tmp_path):
    run = begin(tmp_path, "mine")
    (run.checkpoints / "step-00000001").mkdir(parents=True)
    run.config.unlink()
    with pytest.raises(BadInput, match=r"--run=mine already exists in "):
        new_run(str(tmp_path), "mine", "digits")
    assert new_run(str(tmp_path), None, "mine").name == "mine-2"
    for name in ("mine", None):
        with pytest.raises(BadInput, match=r"--resume: .*mine/config\.json is missing, so these flags"):
            old_run(str(tmp_path), name, "mine")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"splits": {"train": 8, "validation": 4, "test": 4}}, (False, True, "validation")),
        ({"splits": {"train": 8, "test": 4}}, (False, False, "test")),
        ({"images": 8}, (True, False, "test")),
        (None, (False, False, "test")),
    ],
)
def test_the_split_that_is_watched_is_told_by_the_data_that_began_the_run(tmp_path, data, expected):
    run = begin(tmp_path, "mine")
    run.data.unlink(missing_ok=True)
    if data is not None:
        run.data.write_text(json.dumps(data))
    assert (run.earlier, run.selects, run.watched) == expected


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "/mine"])
def test_a_name_that_is_not_a_folder_name_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match="--run="):
        new_run(str(tmp_path / "output"), name, "digits")
    with pytest.raises(BadInput, match="--run="):
        old_run(str(tmp_path / "output"), name, "digits")


def test_claim_makes_the_folders_and_leaves_nothing_else(tmp_path):
    run = Run(tmp_path / "new" / "output", "mine")
    run.claim()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "new",
        "new/output",
        "new/output/runs",
        "new/output/runs/mine",
        "new/output/saved_models",
        "new/output/saved_models/mine",
    ]


def test_claim_names_the_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "saved_models").write_text("a file")
    with pytest.raises(BadInput, match=r"--output=.*saved_models/mine cannot be written to \(Not a directory\)"):
        Run(tmp_path, "mine").claim()
    assert [path.name for path in tmp_path.iterdir()] == ["saved_models"]


def test_an_exported_version_is_found_by_its_state_in_its_own_note_or_in_that_of_earlier_versions(tmp_path):
    run = Run(tmp_path, "mine")
    run.claim()
    for version, state in {"2": "b", "8": None, "9": None, "10": "a", "91": None}.items():
        folder = run.saved_models / version
        folder.mkdir()
        (folder / "saved_model.pb").write_text("")
        if state:
            (folder / "metadata.json").write_text(json.dumps({"state": state}))
    (run.folder / "exported.json").write_text(json.dumps({"version": "9", "state": "c"}))
    found = {state: run.exported_version(state=state) for state in "abcd"}
    assert {state: path and path.name for state, path in found.items()} == {"a": "10", "b": "2", "c": "9", "d": None}
    assert run.exported_version() == run.saved_models / "10"  # the newest of which anything is known
    for version in ("9", "10"):
        (run.saved_models / version / "saved_model.pb").unlink()
    assert run.exported_version(state="a") is run.exported_version(state="c") is None


DATA = {"train_count": 24, "class_names": ["cat", "dog"], "digest": "0123456789ab"}


def test_a_run_resumes_only_with_the_data_that_it_started_with(tmp_path):
    run = Run(tmp_path, "mine")
    run.claim()
    run.require_same_data({**DATA, "train_count": 3})  # of a run that never saved anything
    run.require_same_data(DATA)
    (run.checkpoints / "step-00000001").mkdir(parents=True)
    run.require_same_data(DATA)
    with pytest.raises(BadInput, match=r"^--resume: the data are not .*: train_count was 24, is 48; digest was '0123"):
        run.require_same_data({**DATA, "train_count": 48, "digest": "ab9876543210"})
    run.data.write_text("garbage")
    with pytest.raises(BadInput, match=r"data\.json cannot be read: .*Remove it to continue without comparing\."):
        run.require_same_data(DATA)


def test_unfinished_files_of_killed_processes_are_removed_by_the_next(tmp_path):
    run = Run(tmp_path, "mine")
    run.claim()
    (run.saved_models / ".unfinished-99999" / "variables").mkdir(parents=True)
    (run.folder / ".unfinished-4242-config.json").write_text("{")
    (run.saved_models / "1").mkdir()
    with run.claimed():
        assert [path.name for path in run.saved_models.iterdir()] == ["1"]
        assert [path.name for path in run.folder.iterdir()] == ["lock"]


def test_a_run_in_use_is_refused_with_the_process_that_uses_it(tmp_path):
    run = Run(tmp_path, "mine")
    with run.claimed():
        run.config.write_text("{}")
        with pytest.raises(BadInput, match=rf"^--run=mine: .*runs/mine is in use by process {os.getpid()} on \S+\.$"):
            run.claimed().__enter__()
        held = (run.folder / "lock").read_text()
        assert held.startswith(f"process {os.getpid()} on ")
    with run.claimed():  # free again
        assert (run.folder / "lock").read_text() == held
        assert sorted(path.name for path in run.folder.iterdir()) == ["config.json", "lock"]


def test_an_error_leaves_no_empty_folders_and_removes_nothing_else(tmp_path):
    run = Run(tmp_path / "output", "mine")
    with pytest.raises(KeyboardInterrupt), run.claimed():
        raise KeyboardInterrupt
    assert not run.output.exists()
    with pytest.raises(KeyboardInterrupt), run.claimed():
        run.config.write_text("{}")
        raise KeyboardInterrupt
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.json", "lock"]
    with run.claimed():
        pass
    assert run.saved_models.exists()


@contextmanager
def without_rights(folder):
    """As a user without read permission for the folder."""
    user = os.geteuid()
    folder.chmod(0)
    if user == 0:  # root, whom nothing is forbidden
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


@pytest.mark.parametrize("find", [new_run, old_run])
def test_a_folder_without_read_permission_is_named(tmp_path, find):
    with without_rights(tmp_path):
        run = find(str(tmp_path / "out"), "mine", "digits")
        with pytest.raises(BadInput, match=r"--output=.*out: .*mine cannot be written to \(Permission denied\)\."):
            run.claim()
