"""The scripts of the documentation, the benchmarks and the studies, at their smallest size."""

import csv
import importlib.util
import itertools
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import keras_resunits as kr
from benchmarks.planning.fitting import read
from benchmarks.planning.messages import of_network
from keras_resunits.zoo.networks import MODELS
from tests.support.forks import Forked
from tests.support.paths import ROOT, python_path
from tests.support.processes import Process


def run(*arguments, folder=ROOT):
    """Run a module or script and return what it prints."""
    forked = Forked(*map(str, arguments), cwd=folder, PYTHONPATH=python_path(), TF_CPP_MIN_LOG_LEVEL="3")
    outcome = Process(forked).ended(within=600)
    assert outcome.code == 0, outcome.err[-3000:]
    return outcome.out


@pytest.fixture
def study(monkeypatch, capsys):
    """Run a study in this process, with its runs of `python -m train` in forked ones; return what it prints."""

    def trained(command, env):
        outcome = Process(Forked(*command[2:], **env)).ended(within=600)
        print(outcome.out)
        return subprocess.CompletedProcess(command, outcome.code, outcome.out, outcome.err)

    def study(name, *flags):
        monkeypatch.setattr(sys, "argv", [name, *flags])
        capsys.readouterr()
        runpy.run_module(f"studies.{name}", run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.setattr("studies.runs.subprocess", SimpleNamespace(run=trained))
    return study


FAMILY_PAGES = ROOT / "docs" / "reference" / "families"


def counts(page):
    """The rows of a family's networks, by name."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    return {name.strip("`"): cells for name, *cells in rows}


def units(page):
    """Each network's slots, by its name."""
    rows = [line.split("|")[1:-1] for line in page.partition("## Their units")[2].splitlines()[4:]]
    return {name.strip(): [cell.strip() for cell in slots] for *slots, names in rows for name in names.split(",")}


def module_of(script, name):
    """A script as a module, among the imported ones as its dataclasses require."""
    spec = importlib.util.spec_from_file_location(name, script)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def draw_units():
    """`tools/draw_units.py` as a module."""
    return module_of(ROOT / "tools" / "draw_units.py", "draw_units")


@pytest.mark.parametrize("kind", ["orders", "gallery"])
def test_every_text_of_the_units_stands_in_its_box_and_no_box_on_another(draw_units, kind):
    figure = draw_units.picture(getattr(draw_units, kind)())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axes.patches if patch.get_gid() == "box"]
    texts = [text for text in axes.texts if text.get_gid() == "box"]
    others = [text for text in axes.texts if text.get_gid() != "box"]
    assert len(texts) >= len(boxes) > 40
    for text in texts:
        extent = text.get_window_extent(canvas.get_renderer())
        around = [box for box in boxes if box.x0 < extent.x0 < extent.x1 < box.x1]
        assert any(box.y0 < extent.y0 < extent.y1 < box.y1 for box in around), text.get_text()
    extents = [text.get_window_extent(canvas.get_renderer()) for text in others]
    for one, other in itertools.combinations([box.padded(-1) for box in [*boxes, *extents]], 2):
        assert not one.overlaps(other)
    for extent in [*boxes, *extents]:
        assert 0 <= extent.x0 < extent.x1 <= 1800 and 0 <= extent.y0 < extent.y1 <= figure.bbox.height


@pytest.mark.slow
def test_the_pictures_of_the_units_are_drawn(tmp_path):
    run("tools/draw_units.py", tmp_path / "units.png")
    with Image.open(tmp_path / "units.png") as drawn, Image.open(ROOT / "docs" / "images" / "units.png") as committed:
        assert drawn.size == committed.size


def test_each_network_is_on_its_familys_page_alone():
    rows = {page.stem: counts(page.read_text()) for page in FAMILY_PAGES.glob("*net*.md")}
    assert {name: family for family, of_family in rows.items() for name in of_family} == {
        name: entry.factory.__name__.lower() for name, entry in MODELS.items()
    }
    assert sorted(name for of_family in rows.values() for name in of_family) == kr.list_models()


@pytest.mark.slow
def test_the_pages_of_the_families_are_the_generated_ones(tmp_path):
    run("tools/write_families.py", tmp_path, "*resnet20*")
    assert sorted(page.stem for page in tmp_path.iterdir()) == ["fullyconnectedresnet", "preactresnet", "resnet"]
    for page in tmp_path.iterdir():
        made, committed = page.read_text(), (FAMILY_PAGES / page.name).read_text()
        assert committed.partition("\n| name")[0] == made.partition("\n| name")[0]
        assert counts(made).items() <= counts(committed).items()
        assert units(made).items() <= units(committed).items()


def test_the_pages_tell_what_is_published_exactly_from_what_is_only_stated():
    cells = {name: row for page in FAMILY_PAGES.glob("*net*.md") for name, row in counts(page.read_text()).items()}
    for name, entry in MODELS.items():
        _, published, _, _, operations, _ = cells[name]
        exact = f"{entry.parameters:,}" if entry.parameters else ""
        assert published.partition('"')[0].strip() == (f"*{exact}*" if exact and entry.derived else exact)
        assert published.partition('"')[2].removesuffix('"') == entry.stated_parameters
        assert operations.partition('"')[2].removesuffix('"') == entry.stated_operations
    assert cells["wrn40_1_cifar"][1] == '"0.6M"'
    assert cells["resnet50"][4] == '3,877.95M "3.8e9 multiply-adds"'


PEERS = {
    "ours_remat": 'keras_resunits, `remat="auto"`',
    "stock_keras": "stock Keras layers",
    "bare_kernels": "TensorFlow's kernels alone",
    "native_torch": "native PyTorch, `channels_last`",
}


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("peers", [["native_torch"], pytest.param([*PEERS], marks=pytest.mark.long)], ids=len)
def test_the_benchmark_runs_the_contenders_on_one_network(tmp_path, peers):
    pytest.importorskip("torch")
    small = ("--rounds=1", "--steps=1", "--networks", "preact_bottleneck-11", "wide-10", "--precision=float32")
    table = run("benchmarks.training_step", *small, "--peers", *peers, folder=tmp_path)
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines() if "| float32 |" in line]
    titles = ["keras_resunits", *(PEERS[peer] for peer in peers)]
    assert rows == [[network, title] for network in ("preact_bottleneck-11", "wide-10") for title in titles]


@pytest.mark.long
def test_the_input_benchmark_measures_every_row(tmp_path):
    needs = ("--needs_cifar=500", "--needs_imagenet=300")
    table = run(
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


@pytest.mark.long
@pytest.mark.parametrize("workers", [["1"], ["1", "2"]], ids=",".join)
def test_the_scaling_benchmark_splits_the_step_of_one_worker_and_of_two(workers, tmp_path):
    sizes = (f"--workers={','.join(workers)}", "--rounds=1", "--steps=2", "--depth=8", "--batch=8")
    rows = run("benchmarks.scaling", *sizes, folder=tmp_path).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == workers
    assert rows[0].split("|")[4].strip() == "100%"


@pytest.mark.long
def test_the_scaling_benchmark_writes_the_rows_that_the_plan_reads(tmp_path):
    sizes = ("--workers=1,2", "--statistics=synchronized,local", "--rounds=1", "--steps=2", "--depth=8", "--batch=8")
    run("benchmarks.scaling", *sizes, "--rows=rows.csv", folder=tmp_path)
    network = kr.PreActResNet(8)
    expected = [of_network(network, 2, kind) for kind in ("synchronized", "local")]
    rows = read(str(tmp_path / "rows.csv"))
    assert [(row.workers, row.statistics) for row in rows] == [(1, "none"), (2, "synchronized"), (2, "local")]
    assert [row.messages for row in rows] == [0, *map(len, expected)]
    assert [row.bytes for row in rows] == [0, *map(sum, expected)]


PLANS = (f"--rows={ROOT}/docs/results/scaling.csv", f"--rates={ROOT}/docs/results/measured.md")


@pytest.mark.slow
def test_the_page_on_imagenet_has_the_tables_and_the_picture_of_the_plan(tmp_path):
    tables = run("benchmarks.planning", tmp_path / "planning.png", *PLANS, folder=tmp_path).strip().split("\n\n")
    page = (ROOT / "docs" / "guide" / "imagenet.md").read_text()
    assert len(tables) == 5 and [table for table in tables if table not in page] == []
    with Image.open(tmp_path / "planning.png") as drawn, Image.open(ROOT / "docs/images/planning.png") as committed:
        assert drawn.size == committed.size


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--rows=no.csv"], "No such file or directory: 'no.csv'"),
        ([f"--rows={ROOT}/pyproject.toml"], "pyproject.toml must have rows with statistics, workers, cores"),
        ([f"--rates={ROOT}/README.md"], "README.md has no row of ImageNet for 'resized crop, flip'"),
        (["--sizes=8,12"], "12 accelerators do not fill hosts of 8"),
        (["--model=resnet51"], "resnet51"),
        (["--cores=0"], "cores must be a number above 0; got 0."),
        (["--sizes=8,x"], "argument --sizes: invalid integers value: '8,x'"),
    ],
)
def test_the_plan_refuses_what_it_cannot_read_in_one_line(tmp_path, flags, complaint):
    forked = Forked("benchmarks.planning", "planning.png", *PLANS, *flags, cwd=tmp_path, PYTHONPATH=python_path())
    outcome = Process(forked).ended(within=60)
    assert outcome.code == 2 and complaint in outcome.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_guards_benchmark_compares_the_session_with_the_bare_step(tmp_path):
    said = run("benchmarks.guards", "--rounds=1", "--steps=2", "--depth=8", "--batch=8", folder=tmp_path)
    assert [line.partition(" take")[0] for line in said.splitlines()[-2:]] == ["guarded steps", "a save"]


@pytest.mark.slow
def test_the_benchmark_of_answers_tells_the_ratio_and_what_convolutions_take(capsys):
    from benchmarks import serving
    from benchmarks.training_step.stock_keras import preact_bottleneck

    small = serving.Network(lambda: kr.PreActResNet(20, block="bottleneck"), lambda: preact_bottleneck(20), (2,))
    serving.compare(small, rounds=1, requests=1, forms=["float32"])
    said = capsys.readouterr().out
    assert re.search(
        r"batch 2: stock [\d.]+ ms\n    ours, float32: [\d.]+ ms, [\d.]+x \(.*\), \d+% convolutions\n", said
    )


@pytest.mark.peers
@pytest.mark.parametrize(
    ("family", "depth"), [("preact_bottleneck", 20), ("preact_basic", 20), ("wide", 16), ("dense", 22)]
)
def test_the_benchmarks_networks_are_of_one_size(family, depth):
    torch = pytest.importorskip("torch")
    from benchmarks.training_step import native_torch, ours, stock_keras

    mine, stock = (module.NETWORKS[family](depth) for module in (ours, stock_keras))
    native = native_torch.NETWORKS[family](depth)
    sizes = [sum(int(keras.ops.size(w)) for w in model.trainable_weights) for model in (mine, stock)]
    assert sizes == [sum(w.numel() for w in native.parameters())] * 2
    assert native(torch.zeros(2, 3, 24, 24)).shape == (2, 10)


@pytest.mark.peers
def test_the_benchmark_refuses_a_network_that_it_does_not_have(tmp_path):
    forked = Forked("benchmarks.training_step", "--networks=wide", cwd=tmp_path, PYTHONPATH=python_path())
    outcome = Process(forked).ended(within=60)
    assert outcome.code == 2 and "with a depth, as in wide-16; got wide" in outcome.err.splitlines()[-1]


@pytest.mark.slow
def test_the_study_trains_a_variant_and_resumes_where_it_stopped(study, tmp_path):
    asked = ("he2016_tables", "--epochs=1", f"--output={tmp_path}", "--only=resnet110_cifar")
    history = tmp_path / "runs" / "resnet110_cifar-0" / "history.csv"
    history.parent.mkdir(parents=True)
    history.touch()  # as left by a run that was stopped in its first epoch
    assert "| original | 1 |" in study(*asked)
    written = history.stat().st_mtime_ns
    study(*asked)
    assert history.stat().st_mtime_ns == written
    rows = (tmp_path / "runs.csv").read_text()
    columns = "title,model,depth,epochs,learning_rate,precision,seed,training loss,test error %\n"
    assert rows.startswith(f"{columns}original,resnet110_cifar,20,1,0.1,float32,0,")
    shutil.rmtree(tmp_path / "runs")  # another machine, which has only the rows
    assert "| original | 1 | 1 |" in study(*asked)
    assert not (tmp_path / "runs").exists() and (tmp_path / "runs.csv").read_text() == rows
    assert "depth8-0" in study(*asked, "--depth=8")  # runs of another depth are others
    assert "original,resnet110_cifar,8,1,0.1,float32,0," in (tmp_path / "runs.csv").read_text()


@pytest.mark.slow
def test_a_run_that_diverges_counts_as_an_error_of_100_percent(study, tmp_path):
    asked = ("he2016_tables", "--epochs=1", "--depth=8", "--learning_rate=1e9", f"--output={tmp_path}")
    assert "| original | 1 | 1 | nan | 100.00 |" in study(*asked, "--only=resnet110_cifar")
    assert "resnet110_cifar,8,1,1e+09,float32,0,nan,100\n" in (tmp_path / "runs.csv").read_text()


@pytest.mark.slow
def test_the_study_of_degradation_trains_each_depth_once(study, tmp_path):
    asked = ("degradation", "--epochs=1", "--depths=8", f"--output={tmp_path}")
    table = study(*asked).splitlines()
    assert [line.split("|")[1:4] for line in table[-3:-1]] == [
        [" PlainNet ", " 8 ", " 1 "],
        [" PreActResNet ", " 8 ", " 1 "],
    ]
    rows = (tmp_path / "runs.csv").read_text()
    assert rows.startswith("model,depth,epochs,seed,training loss,training error %,test error %\nPlainNet,8,1,0,")
    history = tmp_path / "runs" / "plainnet8-1-0" / "history.csv"
    written = history.stat().st_mtime_ns
    assert "epoch" not in study(*asked) and history.stat().st_mtime_ns == written
    assert (tmp_path / "runs.csv").read_text() == rows


@pytest.mark.slow
def test_the_study_of_nested_families_deepens_and_trains_on(study, tmp_path):
    asked = ("nested", "--epochs=2", "--ways=14-20", f"--output={tmp_path}")
    assert study(*asked).splitlines()[-2].startswith("| 14-20 | 1 |")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["14x1-20x1-seed0", "14x1-seed0"]
    origins = [unit.origin for unit in keras.saving.load_model(tmp_path / "14x1-20x1-seed0.keras").layers[2:11]]
    assert origins == ["unit000", "unit001", None, "unit002", "unit003", None, "unit004", "unit005", None]
    assert "epoch" not in study(*asked)


@pytest.mark.slow
def test_the_study_of_lesions_measures_each_network(study, tmp_path):
    asked = ("lesions", "--epochs=1", "--depth=14", "--plain_depth=14", "--images=32", f"--output={tmp_path}")
    table = study(*asked)
    names = ["PreActResNet-14", "GatedResNet-14", "PlainNet-14"]
    assert [line.split("|")[1].strip() for line in table.splitlines()[-4:-1]] == names
    assert (tmp_path / "table.md").read_text() == table[table.index("| network") : -1]
    for kind, each in {"lesions": 6, "removal": 5, "reorder": 21}.items():
        with open(tmp_path / f"{kind}.csv", newline="") as file:
            assert Counter(row["network"] for row in csv.DictReader(file)) == dict.fromkeys(names, each)
    assert (tmp_path / "lesions.png").stat().st_size > 10_000
    assert "epoch" not in study(*asked)


@pytest.mark.slow
def test_the_study_of_gates_has_a_row_for_each_unit(study, tmp_path):
    table = study("gates", "--epochs=1", "--depths=8", f"--output={tmp_path}")
    assert table.splitlines()[-2].startswith("| 8 | 3 | 1 | ")
    with open(tmp_path / "gates.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["unit"] for row in rows] == ["unit000", "unit001", "unit002"]
    assert float(table.split("|")[-2]) == pytest.approx(min(float(row["gate"]) for row in rows), abs=0.006)
    assert (tmp_path / "gates.png").stat().st_size > 5_000


@pytest.mark.slow
def test_the_story_is_told_before_training_and_after(study, tmp_path):
    table = study("story", "--depth=8", "--epochs=1", "--networks=plain,pre-activation", f"--output={tmp_path}")
    plain, residual = ([cell.strip() for cell in line.split("|")] for line in table.splitlines()[-3:-1])
    assert (plain[1], residual[1]) == ("plain", "pre-activation")
    assert plain[5:7] == ["0", "0"] and all(0 < float(share) < 1 for share in residual[5:7])
    with open(tmp_path / "rows.csv", newline="") as file:
        assert Counter(row["when"] for row in csv.DictReader(file)) == {"before training": 8, "after training": 8}
    assert (tmp_path / "story.png").stat().st_size > 10_000


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes, 128 images for training and 8 for tests, of 32x32."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 128), ("test", 8)):
        for number in range(count):
            path = tmp_path / "photos" / split / ("cat", "dog")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.mark.slow
def test_the_study_of_the_fast_recipe_leaves_out_a_part_at_a_time(study, photos, tmp_path):
    asked = ("fast_cifar", f"--dataset={photos}", "--depth=8", "--epochs=1", "--seeds=1", "--only=full,full size")
    head, _, full, without = study(*asked, f"--output={tmp_path}").splitlines()[-5:-1]
    assert head.startswith("| | epochs | runs |") and full.startswith("| full | 1 | 1 |")
    assert without.startswith("| full size | 1 | 1 |")
    saved = [tmp_path / "runs" / run / "config.json" for run in ("full-0", "full_size-0")]
    assert [json.loads(path.read_text())["sizes"] for path in saved] == [[16, 24, 32], [32]]


@pytest.mark.peers
@pytest.mark.long
def test_the_fast_recipe_trains_in_pytorch(photos):
    pytest.importorskip("torch")
    last = run("studies.fast_cifar.in_torch", photos, "--epochs=2", "--depth=8", "--batch=8").splitlines()[-1]
    assert re.match(r"epoch 2/2  loss \d\.\d+  test accuracy \d+\.\d+%  mirrored ", last)


@pytest.mark.peers
@pytest.mark.long
def test_the_benchmark_of_pytorchs_workers_measures_each_number(tmp_path):
    pytest.importorskip("torch")
    small = ("--rounds=1", "--steps=1", "--depth=8", "--batch=4")
    rows = run("benchmarks.torch_workers", *small, folder=tmp_path).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["1", "2"]


def test_the_study_of_nested_families_refuses_epochs_that_do_not_divide(tmp_path):
    command = [sys.executable, "-m", "studies.nested", "--epochs=3", "--ways=14-20", f"--output={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "must be divisible by the number of depths of each way; 14-20" in done.stderr


@pytest.mark.parametrize(
    ("rows", "picture", "budget"),
    [
        ("shortcuts_and_orders.csv", "study.png", ()),
        ("tables_depth110.csv", "study110.png", ("--depth=110", "--learning_rate=0.01")),
        (
            "tables_depth110_cifar.csv",
            "study110_cifar.png",
            ("--depth=110", "--learning_rate=0.01", "--precision=mixed_bfloat16"),
        ),
    ],
)
def test_the_studys_picture_is_drawn_from_the_committed_rows(tmp_path, rows, picture, budget):
    rows = ROOT / "docs" / "results" / rows
    run(ROOT / "studies" / "he2016_tables", f"--rows={rows}", *budget, f"--picture={picture}", folder=tmp_path)
    with Image.open(tmp_path / picture) as drawn, Image.open(ROOT / "docs" / "images" / picture) as committed:
        assert drawn.size == committed.size


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--output=out", "--rows=runs.csv"), "either --output, or --rows and --picture"),
        (("--rows=runs.csv",), "either --output, or --rows and --picture"),
        (("--rows=runs.csv", "--picture=study.png"), "runs.csv has no runs of the study"),
        (("--output=out", "--only=resnet110_cifar,resnet*11"), "--only=resnet*11 matches none of the study's models"),
    ],
)
def test_the_study_refuses_flags_that_do_not_go_together(tmp_path, flags, complaint):
    done = subprocess.run(
        [sys.executable, ROOT / "studies" / "he2016_tables", *flags], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and complaint in done.stderr


def test_the_studys_picture_has_every_rank_and_failure(tables):
    runs = tables.noted(ROOT / "docs" / "results" / "shortcuts_and_orders.csv", tables.Budget())
    ranked = {variant.title: places for variant, places in tables.ranks(runs, 1).items()}
    assert ranked["shortcut-only gating, bias -6"] == (1, 2) and ranked["original"] == (2, 1)
    assert {title: place for title, (_, place) in ranked.items() if place == 8} == {
        "constant scaling 0.5": 8,
        "exclusive gating, bias 0": 8,
        "constant scaling 0 (plain)": 8,
        "dropout shortcut 0.5": 8,
    }
    axes = Figure().subplots()
    tables.draw_slopes(axes, 0.0, runs, tables.ranks(runs, 1))
    texts = [text.get_text() for text in axes.texts]
    assert [texts.count("fail"), texts.count("8.70"), texts.count("original"), len(axes.lines)] == [4, 1, 2, 11]


@pytest.fixture
def tables():
    """`studies/he2016_tables` as a module."""
    return module_of(ROOT / "studies" / "he2016_tables" / "__main__.py", "he2016_tables")


@pytest.mark.long
def test_the_study_of_interrupted_runs_finds_that_a_killed_run_ends_as_another(tmp_path):
    last = run("studies.interrupted_runs", "--ways=one-device", "--epochs=1", f"--output={tmp_path}").splitlines()[-1]
    way, undisturbed, accuracy, step, *killed = (cell.strip() for cell in last.split("|")[1:-1])
    assert way == "one device" and killed == [undisturbed, accuracy, "equal"]
    assert 0 <= int(step) <= 23


@pytest.mark.long
def test_the_memory_benchmark_measures_and_draws_every_row(tmp_path):
    sizes = ("--depths=8", "--remat=none,2", "--rounds=1", "--steps=1", "--batch=8")
    rows = run("benchmarks.remat", tmp_path / "remat.png", *sizes, folder=tmp_path).splitlines()[2:]
    assert [[cell.strip() for cell in row.split("|")[1:3]] for row in rows] == [["8", "none"], ["8", "2"]]
    with Image.open(tmp_path / "remat.png") as drawn:
        assert drawn.size == (1500, 600)


@pytest.mark.long
def test_the_benchmark_of_exports_measures_a_network(tmp_path):
    (row,) = run("benchmarks.export", "--depths=11", "--rounds=1", folder=tmp_path).splitlines()[2:]
    depth, who, *figures = (cell.strip() for cell in row.split("|")[1:-1])
    assert (depth, who) == ("11", "keras_resunits") and all(float(figure) > 0 for figure in figures)
