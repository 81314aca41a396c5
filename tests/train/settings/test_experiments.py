"""Experiments are Python files; flags override them; each has a smoke version that trains."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from tests.catalog import long_but
from tests.support.configs import changed, picked
from train.configs._smoke_images import CLASSES, COUNTS, smoke_arrays, smoke_folder
from train.process.errors import BadInput
from train.run.history import read_history
from train.settings.config import DECIDES_NO_NUMBER, Config, read
from train.settings.experiments import FOLDER, experiment, names
from train.settings.options import is_reference
from train.settings.resolving import resolve
from train.step.network import check_network


@pytest.fixture
def mine(tmp_path):
    """`mine("return {...}")` writes an experiment of one's own and returns its path."""

    def mine(body: str, name: str = "mine") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(f"def config():\n    {body}\n")
        return path

    return mine


def test_the_expected_experiments_exist():
    wanted = {"digits", "fashion_mnist", "imagenet_resnet50"}
    wanted |= {"cifar10_preactresnet164", "cifar10_resnet110", "cifar10_wrn28_10"}
    assert wanted <= set(names())


@pytest.mark.parametrize("name", names())
def test_an_experiment_states_its_command_time_and_result(name):
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert f"\nCommand: python -m train --config={name}\n" in docstring
    for field in ("Time", "Result"):
        (line,) = [line for line in docstring.splitlines() if line.startswith(f"{field}: ")]
        assert "TODO" not in line and any(digit in line for digit in "0123456789")


@pytest.mark.parametrize("name", names())
def test_the_smoke_version_is_the_experiment_except_for_its_size(name, parse):
    whole, smoke = experiment(name), experiment(name, smoke=True)
    assert whole.keys() <= smoke.keys()
    size = {"dataset", "image_size", "class_names", "depth", "width", "block", "epochs", "batch_size"}
    objects = {key: value.replace(":smoke().", ":config().") for key, value in smoke.items() if is_reference(value)}
    assert {key for key, value in (smoke | objects).items() if value != whole.get(key)} <= size
    parse(f"--config={name}", "--smoke")
    resolved = resolve()
    check_network(resolved.realized(resolved.files).network)


@pytest.mark.slow
@pytest.mark.parametrize("name", long_but(["digits", "imagenet_resnet50"], {name: name for name in names()}))
def test_the_smoke_version_trains(name, command, tmp_path):
    outcome = command(f"--config={name}", "--smoke", "--noexport", f"--output={tmp_path}")
    assert (outcome.code, outcome.said) == (0, []), outcome.err
    run = tmp_path / "runs" / f"{name}-smoke"
    assert np.isfinite(read_history(run / "history.csv")["val_loss"]).all()
    saved = read(run / "config.json")
    assert (saved.config, saved.smoke) == (name, True)
    assert f"  fingerprint     {saved.fingerprint}\n  all values      " in outcome.out


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("cifar10_preactresnet164", {"model": "PreActResNet", "depth": 164}),
        ("cifar10_resnet110", {"model": "ResNet", "depth": 110}),
        (
            "cifar10_wrn28_10",
            {
                "model": "wrn28_10_cifar",
                "weight_decay": 5e-4,
                "epochs": 200,
                "warm_up": 0.0,
                "drops": [60 / 200, 120 / 200, 160 / 200],
                "drop_factor": 0.2,
            },
        ),
        (
            "imagenet_resnet50",
            {
                "dataset": "imagenet2012",
                "image_size": 224,
                "model": "ResNet",
                "depth": 50,
                "epochs": 90,
                "batch_size": 256,
                "warm_up": 0.0,
                "drops": [30 / 90, 60 / 90],
                "pad": None,
            },
        ),
    ],
)
def test_the_papers_experiments_have_the_papers_values(parse, name, paper):
    usual = {"dataset": "cifar10", "epochs": 164, "batch_size": 128, "weight_decay": 1e-4, "pad": 4}
    wanted = {**usual, "learning_rate": 0.1, "momentum": 0.9, "schedule": "steps", "flip": True, **paper}
    parse(f"--config={name}")
    assert dict(zip(wanted, picked(resolve(), *wanted), strict=True)) == wanted


SMALL = {"epochs": 2, "batch_size": 16}


@pytest.mark.parametrize(
    ("name", "images", "small"),
    [
        ("digits", "digits", {"depth": 8, "epochs": 1}),
        ("fashion_mnist", "28x28x1.npz", {"depth": 8, **SMALL}),
        ("cifar10_preactresnet164", "32x32x3.npz", {"depth": 11, "block": "bottleneck", **SMALL}),
        ("cifar10_resnet110", "32x32x3.npz", {"depth": 8, "block": None, **SMALL}),
        ("cifar10_wrn28_10", "32x32x3.npz", {"depth": 10, "width": 1, **SMALL}),
        ("imagenet_resnet50", "jpeg-80", {"depth": 18, "image_size": 64, "epochs": 1, "batch_size": 16}),
    ],
)
def test_the_smoke_version_is_this_small(name, images, small):
    smoke = experiment(name, smoke=True)
    assert Path(smoke["dataset"]).name == images
    assert {key: smoke[key] for key in small} == small


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"),
    [("cifar10_preactresnet164", 1_703_258), ("cifar10_resnet110", 1_727_962), ("cifar10_wrn28_10", 36_479_194)],
)
def test_the_papers_cifar_networks_have_the_papers_parameters(parse, name, published):
    from train.step.network import network

    parse(f"--config={name}")
    model = network(resolve().network, (32, 32, 3), 10)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == published


@pytest.mark.parametrize(("name", "epochs", "batch"), [("digits", 40, 64), ("fashion_mnist", 15, 128)])
def test_the_measured_experiments_are_those_of_the_documents(parse, name, epochs, batch):
    parse(f"--config={name}")
    expected = (name, "PreActResNet", 20, epochs, batch)
    assert picked(resolve(), "dataset", "model", "depth", "epochs", "batch_size") == expected


def test_flags_override_the_experiment_even_with_their_own_default(parse):
    parse("--config=imagenet_resnet50", "--batch_size=64", "--warm_up=0.05", "--schedule=steps", "--noflip")
    config = resolve()
    assert picked(config, "batch_size", "warm_up", "flip") == (64, 0.05, False)
    assert picked(config, "model", "depth", "epochs", "drops") == ("ResNet", 50, 90, [30 / 90, 60 / 90])
    assert config.default_run == "imagenet_resnet50"


def test_an_experiment_of_ones_own_is_a_path(parse, mine):
    path = mine("return {'depth': 8, 'learning_rate': 1, 'class_names': ['a', 'b'], 'drops': [0.5], 'pad': None}")
    parse(f"--config={path}")
    config = resolve()
    assert picked(config, "depth", "learning_rate", "class_names", "drops") == (8, 1.0, ["a", "b"], [0.5])
    assert config.default_run == "mine"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return {'learning_rat': 1}", r"there is no flag 'learning_rat'\. Did you mean 'learning_rate'\?"),
        ("return {'output': '.'}", r"'output' is for the command line only"),
        ("return {'strategy': 'mirrored'}", r"'strategy' is for the command line only"),
        (
            "return {'schedule': 'cosin'}",
            r"schedule='cosin': expected steps, cosine, one_cycle, keras:NAME or FILE\.py:NAME",
        ),
        ("return {'epochs': 'many'}", r"epochs='many': invalid literal"),
        ("return {'epochs': 0}", r"--epochs must be >= 1 and <= 1000000, got 0"),
        ("return {'depth': [20]}", r"depth=\[20\]: "),
        ("return {'drops': ['late']}", r"mine\.py: drops=\['late'\]: expected numbers, separated by commas\."),
        ("return {'export': False}", r"mine\.py: 'export' is for the command line only\."),
        ("return {1: 2}", r"mine\.py: there is no flag 1\."),
        ("return 1 / 0", r"ZeroDivisionError in .*mine\.py: division by zero"),
        ("raise SystemExit(3)", r"SystemExit in .*mine\.py: 3"),
        ("return (", r"SyntaxError in .*mine\.py: "),
        ("return 3", r"TypeError in .*mine\.py: "),
    ],
)
def test_a_bad_experiment_is_answered_in_one_line(body, line, mine, command, tmp_path):
    outcome = command(f"--config={mine(body)}", f"--output={tmp_path / 'output'}")
    assert outcome.code == 2
    (said,) = outcome.said
    assert re.search(line, said), said
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--config=cifar10_resnet101"], r"unknown experiment 'cifar10_resnet101'\. Did you mean 'cifar10_resnet110'"),
        (["--config=nowhere/mine.py"], r"--config=nowhere/mine\.py: there is no such file"),
        (["--smoke"], r"--smoke requires --config"),
    ],
)
def test_a_missing_experiment_is_named(parse, arguments, line):
    parse(*arguments)
    with pytest.raises(BadInput, match=line):
        resolve()


def test_an_experiment_without_a_smoke_version_has_none(parse, mine):
    parse(f"--config={mine('return {}')}", "--smoke")
    with pytest.raises(BadInput, match=r"mine\.py has no smoke\(\)"):
        resolve()


def test_a_resumed_run_keeps_its_values_though_the_experiments_file_has_changed(parse, mine, tmp_path, capsys):
    path, saved = mine("return {'depth': 8}"), tmp_path / "config.json"
    parse(f"--config={path}")
    resolve().save(saved)
    mine("return {'depth': 14}")
    parse(f"--config={path}", "--resume")
    capsys.readouterr()
    assert resolve(saved).network.depth == 8
    said = f"train: --config={path} has depth=14: the run keeps the depth=8 that it started with.\n"
    assert capsys.readouterr().err == said
    parse(f"--config={path}", "--resume", "--depth=8")
    assert resolve(saved).network.depth == 8
    assert not capsys.readouterr().err


def test_the_fingerprint_is_the_hash_of_all_values_that_determine_the_results():
    config = changed(Config(), epochs=1, batch_size=8)
    decides = {k: v for k, v in json.loads(json.dumps(config.flat)).items() if v is not None}
    for name in DECIDES_NO_NUMBER:
        decides.pop(name, None)
    text = json.dumps(dict(sorted(decides.items())))
    assert config.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert changed(config, class_names=["a"], config="x", data_dir="/d", smoke=True).fingerprint == config.fingerprint
    changes = {"seed": 1, "learning_rate": 0.2, "ema": 0.9, "drops": [0.5], "dataset": "cifar10", "nesterov": False}
    fingerprints = {changed(config, **{name: value}).fingerprint for name, value in changes.items()}
    assert len(fingerprints | {config.fingerprint}) == len(changes) + 1


def test_equal_configurations_have_equal_fingerprints_however_they_are_asked_for(parse):
    parse("--config=digits")
    by_name = resolve()
    parse("--dataset=digits", "--depth=20", "--epochs=40", "--batch_size=64")
    assert resolve().fingerprint == by_name.fingerprint


def test_smoke_images_are_of_two_classes_and_train_and_test_share_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # not those that an earlier test has written
    arrays = np.load(smoke_arrays(28, channels=1))
    assert arrays["x_train"].shape == (64, 28, 28, 1) and arrays["x_test"].shape == (16, 28, 28, 1)
    assert arrays["y_train"].tolist() == [0] * 32 + [1] * 32
    colour = np.load(smoke_arrays(28))["x_train"]
    assert colour.shape == (64, 28, 28, 3)
    assert (arrays["x_train"] == colour.mean(-1, keepdims=True).round()).all()
    train = {image.tobytes() for image in arrays["x_train"]}
    assert len(train) == 64 and not train & {image.tobytes() for image in arrays["x_test"]}


def test_smoke_images_are_of_the_left_halves_to_train_and_of_the_right_to_test(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    arrays = np.load(smoke_arrays(28))
    for label, name in enumerate(CLASSES):
        photograph = load_sample_image(f"{name}.jpg")
        for split, half in zip(COUNTS, np.split(photograph, 2, axis=1), strict=True):
            rows = np.lib.stride_tricks.sliding_window_view(half, (28, 3), (1, 2))[:, :, 0]
            known = {row.tobytes() for line in rows for row in line}
            crops = arrays[f"x_{split}"][arrays[f"y_{split}"] == label]
            assert all(crop[0].tobytes() in known for crop in crops)


def test_smoke_photographs_are_of_five_shapes_and_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = Path(smoke_folder(80))
    photographs = sorted(root.rglob("*.jpg"))
    written = [path.stat().st_mtime_ns for path in photographs]
    folders = Counter(str(path.parent.relative_to(root)) for path in photographs)
    assert folders == {f"{split}/{name}": n for split, n in COUNTS.items() for name in CLASSES}
    sizes = Counter(Image.open(path).size for path in root.glob("test/china/*.jpg"))
    assert sizes == {(80, 80): 2, (80, 79): 2, (80, 78): 2, (80, 77): 1, (80, 76): 1}
    assert smoke_folder(80) == str(root)
    assert [path.stat().st_mtime_ns for path in photographs] == written
