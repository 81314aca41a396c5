"""The scripts of the documentation, the benchmarks and the studies, at their smallest size."""

import os
import shutil
import subprocess
import sys

import keras
import pytest
from PIL import Image

import keras_resunits as kr
from keras_resunits.zoo.networks import MODELS
from tests.support.paths import ROOT


def run(*arguments, folder=ROOT):
    """Run a script and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("flags", [(), ("--gallery",)], ids=["orders", "gallery"])
def test_the_pictures_of_the_units_are_drawn(tmp_path, flags):
    run("tools/draw_units.py", *flags, tmp_path / "units.png")
    with Image.open(tmp_path / "units.png") as picture:
        assert picture.width > 1000


def test_the_table_of_the_families_is_the_generated_one():
    committed = (ROOT / "docs" / "families.md").read_text().splitlines()
    named = {line.split("`")[1] for line in committed if line.startswith("| `")}
    assert named == set(kr.list_models())
    for line in run("tools/write_families.py", "-", "*resnet20*").splitlines()[2:]:
        assert line in committed


def test_the_table_distinguishes_exact_figures_from_stated_ones():
    committed = (ROOT / "docs" / "families.md").read_text().splitlines()
    cells = {line.split("`")[1]: [cell.strip() for cell in line.split("|")] for line in committed if "| `" in line}
    for name, entry in MODELS.items():
        published, operations = cells[name][8], cells[name][11]
        exact = f"{entry.parameters:,}" if entry.parameters else ""
        assert published.partition('"')[0].strip() == (f"*{exact}*" if exact and entry.derived else exact)
        assert published.partition('"')[2].removesuffix('"') == entry.stated_parameters
        assert operations.partition('"')[2].removesuffix('"') == entry.stated_operations
    assert cells["wrn40_1_cifar"][8] == '"0.6M"'
    assert cells["resnet50"][11] == '3,877.95M "3.8e9 multiply-adds"'


@pytest.mark.peers
@pytest.mark.slow
def test_the_benchmark_runs_the_contenders_on_one_network(tmp_path):
    pytest.importorskip("torch")
    small = ("--rounds=1", "--steps=1", "--depth=11", "--precision=float32")
    table = run(
        "-m",
        "benchmarks.training_step",
        *small,
        "--peers",
        "stock_keras",
        "bare_kernels",
        "native_torch",
        folder=tmp_path,
    )
    rows = [line for line in table.splitlines() if "| float32 |" in line]
    assert [row.split("|")[1].strip() for row in rows] == [
        "keras_resunits",
        "stock Keras layers",
        "TensorFlow's kernels alone",
        "native PyTorch, `channels_last`",
    ]


@pytest.mark.long
def test_the_input_benchmark_measures_every_row(tmp_path):
    needs = ("--needs_cifar=500", "--needs_imagenet=300")
    table = run(
        "-m",
        "benchmarks.input_pipeline",
        "--rounds=1",
        "--seconds=0.01",
        "--jpegs=4",
        "--batch=4",
        *needs,
        folder=tmp_path,
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[1] for row in rows if row[:1] == ["ImageNet"]][:3] == [
        "test view: paper",
        "test view: central",
        "test view: ten_crop",
    ]
    assert {row[4] for row in rows if row[:1] == ["CIFAR"]} == {"500"}


@pytest.mark.parametrize("workers", [["1"], pytest.param(["1", "2"], marks=pytest.mark.long)], ids=",".join)
def test_the_scaling_benchmark_splits_the_step_of_one_worker_and_of_two(workers, tmp_path):
    sizes = (f"--workers={','.join(workers)}", "--rounds=1", "--steps=2", "--depth=8", "--batch=8")
    rows = run("-m", "benchmarks.scaling", *sizes, folder=tmp_path).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == workers
    assert rows[0].split("|")[3].strip() == "100%"


def test_the_guards_benchmark_compares_the_session_with_the_bare_step(tmp_path):
    said = run("-m", "benchmarks.guards", "--rounds=1", "--steps=2", "--depth=8", "--batch=8", folder=tmp_path)
    assert [line.partition(" take")[0] for line in said.splitlines()[-2:]] == ["guarded steps", "a save"]


@pytest.mark.peers
def test_the_benchmarks_networks_have_the_same_size():
    torch = pytest.importorskip("torch")
    from benchmarks.training_step import native_torch, stock_keras

    ours = sum(keras.ops.size(w) for w in kr.PreActResNet(20, block="bottleneck").trainable_weights)
    stock = sum(keras.ops.size(w) for w in stock_keras.preact_resnet(20).trainable_weights)
    native = sum(w.numel() for w in native_torch.PreActResNet(20).parameters())
    assert int(ours) == int(stock) == native
    assert isinstance(native_torch.PreActResNet(11), torch.nn.Module)


@pytest.mark.slow
def test_the_study_trains_a_variant_and_resumes_where_it_stopped(tmp_path):
    study = ("-m", "studies.he2016_tables", "--epochs=1", f"--output={tmp_path}", "--only=resnet110_cifar")
    history = tmp_path / "runs" / "resnet110_cifar-0" / "history.csv"
    history.parent.mkdir(parents=True)
    history.touch()  # as left by a run that was stopped in its first epoch
    assert "| original | 1 |" in run(*study)
    written = history.stat().st_mtime_ns
    run(*study)
    assert history.stat().st_mtime_ns == written
    rows = (tmp_path / "runs.csv").read_text()
    assert rows.startswith("title,model,epochs,seed,test error %\noriginal,")
    shutil.rmtree(tmp_path / "runs")  # another machine, which has only the rows
    assert "| original | 1 | 1 |" in run(*study)
    assert not (tmp_path / "runs").exists() and (tmp_path / "runs.csv").read_text() == rows


@pytest.mark.long
def test_the_study_of_interrupted_runs_finds_that_a_killed_run_ends_like_another(tmp_path):
    last = run(
        "-m", "studies.interrupted_runs", "--ways=one-device", "--epochs=1", f"--output={tmp_path}"
    ).splitlines()[-1]
    way, undisturbed, accuracy, step, *killed = (cell.strip() for cell in last.split("|")[1:-1])
    assert way == "one device" and killed == [undisturbed, accuracy, "equal"]
    assert 0 <= int(step) <= 23
