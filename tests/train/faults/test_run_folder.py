"""Every file of a run, damaged in every way: each command answers with the right number, or says what it found."""

from __future__ import annotations

import random
import re
import shutil
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

import pytest

from tests.support.forks import Forked
from tests.train.conftest import Files
from train.evaluate import entry as evaluate

FILES = (  # of a run that ended and was exported
    "runs/mine/config.json",
    "runs/mine/data.json",
    "runs/mine/history.csv",
    "runs/mine/network.txt",
    "runs/mine/model.keras",
    "runs/mine/curves.png",
    "runs/mine/example.png",
    "runs/mine/lock",
    "runs/mine/tensorboard/*",
    "runs/mine/checkpoints/*/manifest.json",
    "runs/mine/checkpoints/*/state.index",
    "runs/mine/checkpoints/*/state.data-*",
    "saved_models/mine/1/MODEL.md",
    "saved_models/mine/1/assets.extra/tf_serving_warmup_requests",
    "saved_models/mine/1/batching_params.pbtxt",
    "saved_models/mine/1/manifest.sha256",
    "saved_models/mine/1/metadata.json",
    "saved_models/mine/1/saved_model.pb",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two exported runs of different seeds, `mine` and `other`, and their data."""
    output = tmp_path_factory.mktemp("trained")
    data = Files.npz(output / "set.npz", **Files.arrays(train=32, test=24, classes=3))
    line = (f"--dataset={data}", "--depth=8", "--epochs=2", "--keep=1", f"--output={output}")
    runs = [Forked("train", *line, f"--run={name}", f"--seed={seed}") for seed, name in enumerate(("mine", "other"))]
    for run in runs:
        assert run.wait(300) == 0, run.stderr.read()
    return output


@pytest.fixture
def own(trained, tmp_path):
    """A copy of both runs; the data stay in place."""
    for part in ("runs", "saved_models"):
        shutil.copytree(trained / part, tmp_path / part)
    return tmp_path


def deleted(path: Path, other: Path) -> None:
    path.unlink()


def emptied(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def exchanged(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def replaced(path: Path, other: Path) -> None:
    """A folder cannot be read as a file, whoever asks; permissions do not keep the superuser out."""
    path.unlink()
    path.mkdir()


DAMAGES = (deleted, emptied, truncated, exchanged, replaced)


def resumed(own: Path, command) -> tuple[int, str, str]:
    outcome = command("--run=mine", f"--output={own}", "--resume", "--noexport")
    return outcome.code, outcome.out, "\n".join(outcome.said)


def exported(own: Path, command) -> tuple[int, str, str]:
    outcome = command("--run=mine", f"--output={own}", "--resume", "--export")
    return outcome.code, outcome.out, "\n".join(outcome.said)


def evaluated(own: Path, command, capsys) -> tuple[int, str, str]:
    capsys.readouterr()
    code = evaluate.run([str(own / "runs" / "mine"), f"--output={own}"])
    return (code, *capsys.readouterr())


COMMANDS = ("resume", "export", "evaluate")


def answer(name: str, own: Path, command, capsys) -> tuple[int, str, str]:
    """The exit code of a command, what it prints, and its lines on stderr."""
    if name == "evaluate":
        return evaluated(own, command, capsys)
    return (resumed if name == "resume" else exported)(own, command)


def accuracy(text: str) -> str | None:
    found = re.search(r"^(?:test )?accuracy +([\d.]+%)", text, re.MULTILINE)
    return found and found[1]


def found(own: Path, pattern: str) -> Path:
    (path,) = [path for path in own.rglob("*") if path.is_file() and fnmatch(str(path.relative_to(own)), pattern)][:1]
    return path


@pytest.mark.slow
def test_the_matrix_holds_every_file_of_a_run(own):
    names = [str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()]
    mine = [name for name in names if name.split("/")[1] == "mine"]
    assert [name for name in mine if not any(fnmatch(name, pattern) for pattern in FILES)] == []
    assert [pattern for pattern in FILES if not any(fnmatch(name, pattern) for name in mine)] == []


def check(case, own, command, capsys) -> None:
    """Damage one file; the answer is right, or one line says which file is damaged and what was done."""
    pattern, damage, asked = case
    _, before, _ = answer("evaluate", own, command, capsys)
    path = found(own, pattern)
    other = found(own, pattern.replace("/mine/", "/other/"))
    damage(path, other)
    code, out, err = answer(asked, own, command, capsys)
    assert "Traceback" not in err
    assert code in (0, 2, 4), err
    if code:
        assert len(err.splitlines()) == 1, err
    elif accuracy(out):
        assert accuracy(out) == accuracy(before) or path.name in err or path.parent.name in err


MATRIX = list(product(FILES, DAMAGES, COMMANDS))


def of(case) -> str:
    pattern, damage, asked = case
    return f"{Path(pattern).name}-{damage.__name__}-{asked}"


@pytest.mark.slow
@pytest.mark.parametrize("case", random.Random(0).sample(MATRIX, 6), ids=of)
def test_a_sample_of_damaged_files(case, own, command, capsys):
    check(case, own, command, capsys)


@pytest.mark.long
@pytest.mark.parametrize("case", MATRIX, ids=of)
def test_every_damaged_file(case, own, command, capsys):
    check(case, own, command, capsys)
