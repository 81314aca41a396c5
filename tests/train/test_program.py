"""The command line, in separate processes: from images to a served model."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from keras_resunits import ResNet
from tests.support.paths import ROOT
from tests.support.processes import finished
from train import program
from train.__main__ import resuming, run_main
from train.process.commands import python
from train.process.errors import BadInput, StorageError
from train.run.history import read_history
from train.settings.config import shows_characters
from train.settings.flags import GROUPS, defined
from train.settings.usage import page

RUN = "digits-preactresnet8"
NUMBERS = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "gradient_norm"}
MEASURED = {"images_per_second", "memory_gb"}  # different each time


def versions(output: Path, run: str) -> list[str]:
    return sorted(path.name for path in (output / "saved_models" / run).iterdir())


def assert_done(outcome) -> None:
    assert (outcome.code, outcome.said) == (0, []), outcome.err


@pytest.mark.slow
def test_a_run_leaves_all_its_files_the_next_takes_the_next_name_and_resume_continues(spawn, tmp_path):
    arguments = ["--depth=8", f"--output={tmp_path}"]
    first = spawn("-m", "train", *arguments, "--epochs=1")
    assert_done(first)
    folder = tmp_path / "runs" / RUN
    assert json.loads((folder / "config.json").read_text())["depth"] == 8
    history = read_history(folder / "history.csv")
    assert set(history) == NUMBERS | MEASURED
    assert history["epoch"] == [1]
    with Image.open(folder / "curves.png") as picture:
        assert picture.format == "PNG"
    assert [len(list((folder / "tensorboard" / split).glob("*tfevents*"))) for split in ("train", "validation")] == [
        1,
        1,
    ]
    assert (folder / "checkpoints" / "step-00000022" / "manifest.json").exists()
    assert versions(tmp_path, RUN) == ["1"]
    assert first.out.startswith(
        f"{RUN}: 75,482 parameters, 1,437 images, 22 steps an epoch, on the CPU\n  dataset         digits\n"
    )
    assert f"test accuracy {history['val_accuracy'][0]:.2%}\n" in first.out
    assert f"exported      {tmp_path}/saved_models/{RUN}/1 (its answers differ from the trained network's" in first.out
    (answer,) = re.findall(r"^try next +(.*)", first.out, re.MULTILINE)
    interpreter, *tried = shlex.split(answer)
    assert interpreter == python()
    asked = spawn(*tried)  # as printed
    assert (asked.code, asked.said) == (0, [])
    assert re.fullmatch(rf"{folder}/example\.png(  \d \d+\.\d%){{3}}\n", asked.out)
    with Image.open(folder / "example.png") as picture:
        assert (picture.format, picture.size, picture.mode) == ("PNG", (8, 8), "L")

    again = finished("train", *arguments, "--epochs=1", "--noexport")
    assert_done(again)
    assert "train.answer" not in again.out and (tmp_path / "runs" / f"{RUN}-2" / "example.png").exists()
    assert sorted(path.name for path in (tmp_path / "saved_models").iterdir()) == [RUN]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [RUN, f"{RUN}-2"]
    same = read_history(tmp_path / "runs" / f"{RUN}-2" / "history.csv")
    assert {name: same[name] for name in NUMBERS} == {name: history[name] for name in NUMBERS}  # the same seed
    (exports,) = re.findall(r"^exported +no; to export this state: \S+ (.*)", again.out, re.MULTILINE)
    exporting = finished("train", *shlex.split(exports)[2:])
    assert_done(exporting)
    assert versions(tmp_path, f"{RUN}-2") == ["1"] and "epoch 1/1" not in exporting.out

    more = finished("train", *arguments, "--epochs=2", "--resume", f"--run={RUN}")
    assert more.code == 0, more.err
    assert more.said == ["train: --epochs=2 instead of 1: the schedule is stretched accordingly."]
    longer = read_history(folder / "history.csv")
    assert longer["epoch"] == [1, 2]
    assert {name: values[0] for name, values in longer.items()} == {name: values[0] for name, values in history.items()}
    assert longer["loss"][1] < longer["loss"][0]
    assert "epoch 2/2" in more.out and "epoch 1/2" not in more.out
    assert versions(tmp_path, RUN) == ["1", "2"]
    assert json.loads((folder / "config.json").read_text())["epochs"] == 2


@pytest.mark.slow
def test_a_run_that_was_asked_to_stop_saves_prints_how_to_resume_and_resumes(tmp_path, files, command):
    """By SIGINT; SIGTERM, under every strategy: test_kills.py."""
    data = files.npz(tmp_path / "set.npz")
    arguments = ["--depth=8", f"--dataset={data}", f"--output={tmp_path}", "--batch_size=8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "train", *arguments, "--epochs=100000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.lstrip().startswith("epoch") and " 2/100000" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 42
    folder = tmp_path / "runs" / "set-preactresnet8"
    (step,) = re.findall(r"saved at step (\d+)", err)
    going_on = [*arguments, "--epochs=100000", "--run=set-preactresnet8", "--resume"]
    assert err.splitlines() == [
        f"train: asked to stop (SIGINT): saved at step {step}. Resume with: {python()} -m train {' '.join(going_on)}"
    ]
    assert (folder / "checkpoints" / f"step-{int(step):08}").is_dir()
    done = int(step) // 2
    outcome = command(*arguments, "--resume", f"--epochs={done + 2}", "--noexport")
    assert outcome.code == 0, outcome.err
    assert read_history(folder / "history.csv")["epoch"] == list(range(1, done + 3))


def test_a_second_sigint_ends_the_run_at_once(spawn, tmp_path):
    script = """
import os, signal
from train.run.signals import noticed
with noticed() as notice:
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        print(bool(notice), flush=True)
        os.kill(os.getpid(), number)
"""
    outcome = spawn("-c", script)
    assert outcome.out.split() == ["False", "True", "True"]
    assert outcome.err.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.slow
@pytest.mark.parametrize("precision", [pytest.param("mixed_bfloat16", marks=pytest.mark.long), "mixed_float16"])
def test_half_precision_trains_and_exports(command, files, tmp_path, precision):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=32))
    outcome = command(
        f"--dataset={data}",
        "--depth=8",
        "--epochs=1",
        "--batch_size=8",
        f"--precision={precision}",
        f"--output={tmp_path}",
    )
    assert (outcome.code, outcome.said) == (0, [])
    assert versions(tmp_path, "set-preactresnet8") == ["1"]
    assert np.isfinite(read_history(tmp_path / "runs" / "set-preactresnet8" / "history.csv")["val_loss"][0])


def test_every_choice_of_network_and_recipe_reaches_the_run(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(shape=(9, 12, 3)))
    choices = (
        "--model=ResNet --depth=11 --block=bottleneck --order=bn_after_add --shortcut=projection_always --stem=cifar"
    )
    recipe = (
        "--width=2 --nonesterov --noflip --pad=0 --seed=5 --run=mine --class_names=dark,light --epochs=1 --noexport"
    )
    outcome = command(f"--dataset={data}", *choices.split(), *recipe.split(), f"--output={tmp_path}")
    assert (outcome.code, outcome.said) == (0, [])
    expected = ResNet(
        11, (9, 12, 3), 2, block="bottleneck", order="bn_after_add", shortcut="projection_always", stem="cifar", width=2
    )
    assert outcome.out.startswith(
        f"mine: {expected.count_params():,} parameters, 16 images, 8 steps an epoch, on the CPU\n"
    )


def test_a_folder_of_images_is_trained_on_and_bad_ones_are_skipped_and_named(command, files, tmp_path):
    root = files.image_folder(tmp_path / "pets", train=8, shape=(8, 8, 3))
    (root / "train" / "cat" / "3.png").write_bytes(b"no image")
    outcome = command(
        f"--dataset={root}", "--skip_bad_images", "--depth=8", "--epochs=1", "--noexport", f"--output={tmp_path}"
    )
    assert outcome.code == 0
    (said,) = outcome.said
    assert said.startswith(f"skipped 1 unreadable image ({root}/train/cat/3.png: ")
    assert "pets-preactresnet8: 75,250 parameters, 15 images" in outcome.out


def test_help_shows_the_programs_own_flags_at_once_and_is_not_an_error(spawn):
    began = time.monotonic()
    outcome = spawn("-m", "train", "--help")
    assert time.monotonic() - began < 3  # TensorFlow is not imported for it
    assert outcome.said == []
    assert outcome.out.startswith("Train a residual network on images")
    shown = [line.split(":")[0].strip() for line in outcome.out.splitlines() if line.startswith("  --")]
    names = [name.removeprefix("--").removeprefix("[no]") for name in shown]
    assert names == [flag.name for flag in defined()]
    headings = [line for line in outcome.out.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [f"{heading}:" for heading in GROUPS.values()] and set(GROUPS) <= set(names)
    assert "/__main__.py" not in outcome.out
    assert outcome.code == 0


def test_the_helps_notes_say_what_a_flag_takes():
    text = " ".join(page().split())
    assert "(a comma separated list of onnx, openvino, openvino_int8, litert, litert_int8)" in text
    assert "contains digit, mnist, svhn or omniglot, and not fashion." in text
    named = {name: shows_characters(name) for name in ("digit", "mnist", "svhn", "omniglot", "fashion_mnist")}
    assert named == {"digit": True, "mnist": True, "svhn": True, "omniglot": True, "fashion_mnist": False}


def test_full_help_is_not_an_error_either(command):
    outcome = command("--helpfull")
    assert (outcome.code, outcome.said) == (0, [])
    assert "--dataset" in outcome.out and "only_check_args" in outcome.out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("no such file\nat all"), 2, "train: no such file at all\n"),
        (StorageError("no room"), 4, "train: no room\n"),
        (KeyboardInterrupt(), 130, "train: interrupted.\n"),
        (
            ModuleNotFoundError("No module named 'PIL'", name="PIL"),
            2,
            "train: No module named 'PIL': pip install 'keras_resunits[train]'.\n",
        ),
        (None, 0, ""),
    ],
)
def test_an_error_of_the_user_is_one_line_and_a_code(error, code, line, monkeypatch, capsys):
    def work() -> None:
        if error:
            raise error

    monkeypatch.setattr("train.__main__.main", work)
    with flagsaver.flagsaver():
        assert run_main(["train", "--epochs=1"]) == code
    assert capsys.readouterr() == ("", line)


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    def work() -> None:
        raise ModuleNotFoundError("no module", name="nowhere")

    monkeypatch.setattr("train.__main__.main", work)
    with flagsaver.flagsaver(), pytest.raises(ModuleNotFoundError):
        run_main(["train"])


RESULTS = {"val_accuracy": 0.5}
AVERAGED = RESULTS | {"val_ema_accuracy": 0.75}


@pytest.mark.parametrize(
    ("results", "epoch", "exported", "told"),
    [
        (RESULTS, 4, True, "validation accuracy 50.00%"),
        (RESULTS, 3, True, "validation accuracy 50.00%, of the best epoch, 3"),
        (AVERAGED, 4, True, "validation accuracy 50.00% (75.00% averaged: exported)"),
        (AVERAGED, 4, False, "validation accuracy 50.00% (75.00% averaged)"),
        (
            RESULTS | {"test_accuracy": 0.25},
            4,
            True,
            "validation accuracy 50.00%\ntest accuracy 25.00%, evaluated once",
        ),
    ],
)
def test_the_result_is_that_of_the_state_that_is_exported(results, epoch, exported, told):
    session = SimpleNamespace(position=SimpleNamespace(epoch=epoch), epochs_done=4)
    assert program.outcome(results, "validation", session, exported) == told


def test_the_resuming_command_is_the_one_that_started_the_run(parse, monkeypatch):
    run = SimpleNamespace(name="resumed")
    for argv, going in (
        (["--run", "resumed", "--epochs=3", "--resume"], "train --run resumed --epochs=3 --resume"),
        (["--epochs=3", "--resume=true"], "train --epochs=3 --run=resumed --resume"),
    ):
        parse(*argv)
        monkeypatch.setattr(sys, "argv", ["train", *argv])
        assert resuming(run.name) == f"{python()} -m {going}"
        with monkeypatch.context() as launched:
            launched.setenv("KERAS_RESUNITS_LAUNCHED", f"{python()} -m train.launch --workers=2 --")
            assert resuming(run.name) == f"{python()} -m {going.replace('train ', 'train.launch --workers=2 -- ', 1)}"


def test_a_run_cannot_end_before_the_epochs_that_it_has_done(tmp_path, files, command):
    arguments = ["--depth=8", f"--dataset={files.npz(tmp_path / 'set.npz')}", f"--output={tmp_path}", "--noexport"]
    assert command(*arguments, "--epochs=2").code == 0
    outcome = command(*arguments, "--epochs=1", "--resume")
    assert outcome.code == 2
    assert outcome.said[-1] == "train: --epochs=1, but the run to resume has already done 2."


def test_a_run_does_not_resume_with_other_data(tmp_path, files, command):
    data = files.npz(tmp_path / "set.npz")
    arguments = ["--depth=8", f"--dataset={data}", f"--output={tmp_path}", "--noexport"]
    assert command(*arguments, "--epochs=1").code == 0
    files.npz(data, y_train=1 - files.arrays()["y_train"])
    outcome = command(*arguments, "--epochs=2", "--resume")
    assert outcome.code == 2
    assert re.search(r"--resume: the data are not those that the run started with: digest was '", outcome.said[-1])
