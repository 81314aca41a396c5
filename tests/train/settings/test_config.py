"""Flags become one resolved configuration."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields

import pytest
from absl import flags

from tests.support.configs import changed, picked
from train.process.errors import BadInput
from train.process.files import digest
from train.settings.config import Config, fingerprint_of, read
from train.settings.flags import command, defined
from train.settings.options import Section
from train.settings.resolving import _require_same_code, resolve
from train.settings.sections import Command


@pytest.fixture
def resolved(parse):
    """`resolved("--depth=8", ..., saved=path)`: the configuration of a command line."""

    def resolved(*arguments, saved=None) -> Config:
        parse(*arguments)
        return resolve(saved)

    return resolved


def test_every_flag_except_those_about_places_is_part_of_the_configuration(resolved):
    resolved()
    names = {flag.name for flag in defined()}
    places = {"output", "run", "strategy", "tpu", "cpu_devices", "startup_timeout", "worker_timeout"}
    assert names - set(Config().flat) == places | {"resume", "export", "remat", "jit_compile", "seeds"}


def test_the_defaults_are_those_that_runs_and_documents_rely_on():
    def given(values):
        return {name: value for name, value in values.items() if value is not None}

    numbers = {"crop_area": 0.08, "randaugment_ops": 2, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    numbers |= {"accumulate": 1, "keep": 3, "shuffle_rounds": 8, "seed": 0}
    numbers |= dict.fromkeys(("randaugment", "erasing", "mixup", "cutmix", "label_smoothing"), 0.0)
    names = {"dataset": "digits", "crop": "pad", "model": "PreActResNet", "precision": "float32", "schedule": "steps"}
    names |= {"on_nan": "stop"}
    assert given(Config().flat) == {**numbers, **names, "skip_bad_images": False, "nesterov": True, "smoke": False}
    places = {"resume": False, "export": "auto", "output": ".", "strategy": "auto", "tpu": "", "cpu_devices": 1}
    places["jit_compile"] = False
    assert given(asdict(Command())) == {**places, "startup_timeout": 300.0, "worker_timeout": 25.0}


def test_digits_and_other_sets_have_their_own_lengths(resolved):
    assert (resolved().recipe.epochs, resolved("--dataset=cifar10").recipe.epochs) == (40, 164)


def test_a_given_flag_overrides_the_default(resolved):
    config = resolved("--epochs=3", "--batch_size=7", "--pad=0", "--noflip", "--class_names=a,b")
    assert picked(config, "epochs", "batch_size", "pad", "flip") == (3, 7, 0, False)
    assert config.source.class_names == ["a", "b"]


def test_defaults_that_depend_on_the_data_are_filled_in_once_they_are_loaded(resolved):
    config = resolved("--dataset=cifar10")
    assert picked(config, "pad", "flip", "class_names", "batch_size") == (None, None, None, None)
    filled = config.resolved((32, 40, 3), 50, ["a", "b"])
    assert picked(filled, "pad", "flip", "class_names", "batch_size") == (4, True, ["a", "b"], 2)
    assert [config.resolved((side, side, 3), 50, ["a", "b"]).augmenting.pad for side in (8, 28, 224)] == [1, 4, 4]
    given = resolved("--pad=0", "--flip", "--batch_size=8").resolved((8, 8, 1), 50, ["a", "b"])
    assert picked(given, "pad", "flip", "batch_size") == (0, True, 8)


def test_a_resumed_run_keeps_the_path_that_it_started_with(resolved, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = ("--dataset=~/pets", "--data_dir=~/sets")
    begun = resolved(*flags)
    assert (begun.source.dataset, begun.source.data_dir) == (f"{tmp_path}/pets", f"{tmp_path}/sets")
    begun.save(tmp_path / "config.json")
    assert resolved(*flags, saved=tmp_path / "config.json") == begun


@pytest.mark.parametrize(
    ("dataset", "mirrored"),
    [
        ("digits", False),
        ("mnist", False),
        ("/some/where/mnist/", False),
        ("svhn_cropped", False),
        ("fashion_mnist", True),
        ("/usr/share/datasets/fashion-mnist", True),
        ("cifar10", True),
    ],
)
def test_sets_of_characters_are_not_mirrored(resolved, dataset, mirrored):
    assert resolved(f"--dataset={dataset}").resolved((32, 32, 3), 50, ["a", "b"]).augmenting.flip is mirrored


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--epochs=0", r"--epochs must be >= 1 and <= 1000000, got 0\."),
        ("--epochs=-1", r"--epochs must be >= 1 and <= 1000000, got -1\."),
        ("--batch_size=0", r"--batch_size must be >= 1, got 0\."),
        ("--learning_rate=-0.1", r"--learning_rate must be > 0, got -0\.1\."),
        ("--learning_rate=nan", r"--learning_rate must be .*got nan"),
        ("--learning_rate=inf", r"--learning_rate must be .*got inf"),
        ("--weight_decay=nan", r"--weight_decay must be .*got nan"),
        ("--momentum=nan", r"--momentum must be .*got nan"),
        ("--pad=-1", r"--pad must be >= 0, got -1\."),
        ("--clip_norm=0", r"--clip_norm must be > 0, got 0\.0\."),
        ("--clip_norm=nan", r"--clip_norm must be .*got nan"),
        ("--ema=1", r"--ema must be > 0 and < 1, got 1\.0\."),
        ("--warm_up=1", r"ascending from 0 to 1; got warm_up=1\.0, drops=\[0\.5, 0\.75\]"),
        ("--drops=0.5,0.5", r"ascending from 0 to 1; got warm_up=None, drops=\[0\.5, 0\.5\]"),
        ("--drops=0.5,1", r"ascending from 0 to 1"),
        ("--width=0", r"--width must be >= 1 and <= 100000, got 0\."),
        ("--momentum=1.5", r"--momentum must be >= 0 and <= 1, got 1\.5\."),
        ("--weight_decay=-1", r"--weight_decay must be >= 0, got -1\.0\."),
        ("--image_size=0", r"--image_size must be >= 1 and <= 65535, got 0\."),
        ("--depth=600000002", r"--depth must be <= 10000, got 600000002\."),
        ("--randaugment_ops=" + "1" * 23, r"--randaugment_ops must be >= 1 and <= 14, got 1{23}\."),
        ("--drop_factor=1", r"--drop_factor must be > 0 and < 1, got 1\.0\."),
        ("--seed=-1", r"--seed must be >= 0 and <= 4294967295, got -1\."),
    ],
)
def test_a_value_out_of_its_range_is_refused(resolved, argument, text):
    with pytest.raises(BadInput, match=text):
        resolved(argument)


BOUNDS = {
    "validation": ">= 0 and < 1",
    "image_size": ">= 1 and <= 65535",
    "pad": ">= 0",
    "crop_area": "> 0 and <= 1",
    "randaugment": ">= 0 and <= 30",
    "randaugment_ops": ">= 1 and <= 14",
    "erasing": ">= 0 and <= 1",
    "mixup": ">= 0",
    "cutmix": ">= 0",
    "label_smoothing": ">= 0 and <= 1",
    "depth": "<= 10000",
    "width": ">= 1 and <= 100000",
    "epochs": ">= 1 and <= 1000000",
    "batch_size": ">= 1",
    "sizes": ">= 1",
    "learning_rate": "> 0",
    "warm_up": ">= 0",
    "drop_factor": "> 0 and < 1",
    "momentum": ">= 0 and <= 1",
    "weight_decay": ">= 0",
    "clip_norm": "> 0",
    "accumulate": ">= 1",
    "ema": "> 0 and < 1",
    "patience": ">= 1",
    "seed": ">= 0 and <= 4294967295",
    "checkpoint_every": ">= 1",
    "keep": ">= 1",
    "top_k": ">= 1",
    "accuracy_tolerance": ">= 0 and <= 1",
    "seeds": ">= 2 and <= 1000",
    "cpu_devices": ">= 1 and <= 64",
    "startup_timeout": ">= 1",
    "worker_timeout": ">= 1",
}
BEYOND = {">=": -1e-9, ">": -1e-9, "<=": 1e-9, "<": 1e-9}


def test_every_bounded_number_has_these_bounds():
    options = [each for section in Section.__subclasses__() for each in fields(section)]
    all_bounds = {each.name: each.metadata["bounds"] for each in options}
    bounds = {name: each for name, each in all_bounds.items() if not (each.choices or each.unnamed)}
    assert {name: str(each) for name, each in bounds.items() if str(each) != "finite"} == BOUNDS
    for name, text in BOUNDS.items():
        for sign, written in re.findall(r"([<>]=?) (\S+)", text):
            edge = float(written)
            assert bounds[name].allows(edge) == ("=" in sign)
            assert not bounds[name].allows(edge + BEYOND[sign] * max(1, edge))


@pytest.mark.parametrize(
    "argument", ["--worker_timeout=nan", "--startup_timeout=0.5", "--cpu_devices=0", "--cpu_devices=10000000"]
)
def test_what_only_the_command_line_decides_has_bounds_too(parse, argument):
    parse(argument)
    name, value = argument.removeprefix("--").split("=")
    with pytest.raises(BadInput, match=rf"--{name} must be >= 1( and <= 64)?, got {value}\."):
        command()


def test_a_word_in_a_list_of_numbers_is_refused_when_it_is_parsed(parse):
    with pytest.raises(flags.IllegalFlagValueError, match="--drops=half: expected numbers, separated by commas"):
        parse("--drops=half")


@pytest.mark.parametrize("value", [-1, 0])
def test_a_saved_configuration_has_bounds_too(resolved, tmp_path, value):
    saved = tmp_path / "config.json"
    resolved().save(saved)
    saved.write_text(json.dumps({**json.loads(saved.read_text()), "keep": value}))  # not part of the fingerprint
    with pytest.raises(BadInput, match=rf"--keep must be >= 1, got {value}\."):
        resolved(saved=saved)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "digits-preactresnet20"),
        (["--dataset=cifar10", "--model=ResNet", "--depth=110"], "cifar10-resnet110"),
        (["--dataset=some/where/flowers/"], "flowers-preactresnet20"),
        (["--dataset=/data/small.npz"], "small-preactresnet20"),
        (["--dataset=cmaterdb/bangla:1.0.0"], "bangla-1.0.0-preactresnet20"),
    ],
)
def test_the_run_is_named_after_data_and_network(resolved, arguments, name):
    assert resolved(*arguments).default_run == name


def test_a_configuration_is_saved_as_json_that_makes_it_again(resolved, tmp_path):
    config = resolved("--depth=8", "--class_names=a,b", "--learning_rate=0.05")
    config.save(tmp_path / "config.json")
    assert read(tmp_path / "config.json") == config
    assert json.loads((tmp_path / "config.json").read_text())["fingerprint"] == config.fingerprint


def test_a_resumed_run_keeps_its_flags_and_may_have_more_epochs(resolved, tmp_path):
    saved = tmp_path / "config.json"
    begun = resolved("--depth=8", "--epochs=2", "--learning_rate=0.05", "--class_names=a,b")
    begun.save(saved)
    assert resolved(saved=saved) == begun
    more = resolved("--epochs=5", "--depth=8", saved=saved)
    assert picked(more, "epochs", "depth", "learning_rate") == (5, 8, 0.05)


def test_a_resumed_run_keeps_its_fault_flags_unless_given_others(resolved, tmp_path):
    saved = tmp_path / "config.json"
    begun = resolved("--keep=5", "--checkpoint_every=7", "--on_nan=skip")
    begun.save(saved)
    assert resolved(saved=saved) == begun
    other = resolved("--keep=1", "--on_nan=stop", saved=saved)
    assert picked(other, "keep", "checkpoint_every", "on_nan") == (1, 7, "stop")
    assert other.fingerprint == begun.fingerprint


def test_a_flag_against_the_resumed_run_is_refused(resolved, tmp_path):
    saved = tmp_path / "config.json"
    resolved("--depth=8").save(saved)
    with pytest.raises(BadInput, match=r"--depth=20, but the run to resume has depth=8 \(.*config\.json\)"):
        resolved("--depth=20", saved=saved)
    with pytest.raises(BadInput, match=r"^--depth=20, --ema=0\.9, but the run to resume has depth=8, ema=None \("):
        resolved("--depth=20", "--ema=0.9", saved=saved)
    with pytest.raises(BadInput, match=r"^--initial_model=\S*x\.keras, but the run .* has initial_model=None \("):
        resolved(f"--initial_model={tmp_path}/x.keras", saved=saved)


@pytest.mark.parametrize("content", ["", '{"depth": 8', "[]"])
def test_a_damaged_configuration_is_named_when_a_run_is_resumed(resolved, tmp_path, content):
    saved = tmp_path / "config.json"
    saved.write_text(content)
    with pytest.raises(BadInput, match=r"config\.json"):
        resolved(saved=saved)


def test_a_configuration_of_another_version_is_named_when_a_run_is_resumed(resolved, tmp_path):
    saved = tmp_path / "config.json"
    resolved().save(saved)
    saved.write_text(json.dumps({**json.loads(saved.read_text()), "droput": 0.5}))
    with pytest.raises(BadInput, match=r"config\.json.*droput"):
        resolved(saved=saved)


@pytest.mark.parametrize("change", [{"learning_rate": 0.5}, {"fingerprint": "0" * 12}, {"fingerprint": None}])
def test_a_configuration_that_was_changed_by_hand_is_detected_by_its_fingerprint(resolved, tmp_path, change):
    saved = tmp_path / "config.json"
    resolved("--depth=8").save(saved)
    saved.write_text(json.dumps({**json.loads(saved.read_text()), **change}))
    with pytest.raises(
        BadInput, match=r"config\.json was changed: its values have the fingerprint \w{12}, but it was written with"
    ):
        resolved(saved=saved)


def test_a_batch_larger_than_the_set_is_refused_except_in_a_smoke_version_that_did_not_set_it(resolved):
    for batch_size in ("--batch_size=64",), ("--batch_size=64", "--config=digits"):
        with pytest.raises(BadInput, match=r"--batch_size=64 is larger than the training set of 50 images"):
            resolved(*batch_size).resolved((8, 8, 1), 50, ["a", "b"])
    twin = changed(resolved("--config=digits", "--smoke"), batch_size=64)
    assert twin.resolved((8, 8, 1), 50, ["a", "b"]).recipe.batch_size == 50


def test_a_resumed_run_keeps_its_values_even_where_the_data_changed(resolved, tmp_path):
    saved = tmp_path / "config.json"
    begun = resolved("--crop=resized", "--batch_size=32").resolved((224, 224, 3), 50, ["a", "b"])
    assert begun.augmenting.pad == 0
    for config in begun, changed(begun, pad=4):  # as earlier versions saved it
        config.save(saved)
        again = resolved("--crop=resized", "--batch_size=32", saved=saved)
        assert again.resolved((224, 224, 3), 50, ["a", "b"], resumed=True) == again == config
    assert (
        again.resolved((2, 2, 3), 20, ["a", "b"], resumed=True).recipe.batch_size == 20
    )  # the data are compared elsewhere


def test_an_image_is_not_shifted_out_of_its_frame(resolved):
    assert resolved("--pad=7").resolved((8, 9, 1), 50, ["a", "b"]).augmenting.pad == 7
    with pytest.raises(BadInput, match=r"--pad=20000 must be less than an image's side; the images are \(8, 9\)"):
        resolved("--pad=20000").resolved((8, 9, 1), 50, ["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--schedule=cosine", "--drops=0.5"], r"--drops=\[0\.5\] has no effect with --schedule=cosine\."),
        (["--schedule=one_cycle", "--warm_up=0.1"], r"--warm_up=0\.1 has no effect with --schedule=one_cycle\."),
        (["--warm_up=0.5", "--drops=0.4"], r"ascending from 0 to 1; got warm_up=0\.5, drops=\[0\.4\]"),
    ],
)
def test_fractions_of_the_run_that_do_not_fit_are_refused(resolved, arguments, text):
    with pytest.raises(BadInput, match=text):
        resolved(*arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--crop_area=0.5"], r"^--crop_area=0\.5 has no effect with --crop=pad\.$"),
        (["--crop_area=0.08"], r"^--crop_area=0\.08 has no effect with --crop=pad\.$"),  # though it is the default
        (["--randaugment_ops=3"], r"^--randaugment_ops=3 has no effect without --randaugment\.$"),
        (["--pad=4", "--crop=resized"], r"^--pad=4 has no effect with --crop=resized\.$"),
        (["--padding=reflect", "--crop=resized"], r"^--padding=reflect has no effect with --crop=resized\.$"),
        (["--drop_factor=0.2", "--schedule=cosine"], r"^--drop_factor=0\.2 has no effect with --schedule=cosine\.$"),
        (["--merge=branch_only", "--shortcut=projection"], r"--shortcut=projection .* with --merge=branch_only\.$"),
        (["--nesterov", "--optimizer=nadam"], r"--nesterov=True has no effect with --optimizer=nadam\.$"),
    ],
)
def test_a_flag_without_effect_beside_the_others_is_refused(resolved, arguments, text):
    with pytest.raises(BadInput, match=text):
        resolved(*arguments)


def test_a_flag_that_asks_for_nothing_and_has_no_effect_is_reported(resolved, capsys):
    resolved("--pad=0", "--crop=resized", "--nonesterov", "--optimizer=nadam")
    assert capsys.readouterr().err.splitlines() == [
        "train: --pad=0 has no effect with --crop=resized.",
        "train: --nonesterov has no effect with --optimizer=nadam.",
    ]


def test_flags_beside_what_they_require_are_taken(resolved, capsys):
    arguments = ("--crop=resized", "--crop_area=0.3", "--randaugment=9", "--randaugment_ops=3")
    assert picked(resolved(*arguments), "crop_area", "randaugment_ops") == (0.3, 3)
    resolved("--merge=add", "--shortcut=projection", "--optimizer=sgd", "--nonesterov", "--padding=reflect", "--pad=2")
    assert capsys.readouterr().err == ""


def test_a_value_of_an_experiment_that_a_flag_makes_idle_is_reported(resolved, capsys):
    config = resolved("--config=imagenet_resnet50", "--schedule=cosine")
    assert config.recipe.schedule == "cosine"
    assert capsys.readouterr().err.startswith("train: drops=[0.333")


def test_a_run_begun_with_an_idle_flag_resumes(resolved, tmp_path):
    saved = tmp_path / "config.json"
    begun = changed(resolved(), randaugment_ops=3)  # as earlier versions took it
    begun.save(saved)
    assert resolved("--randaugment_ops=3", saved=saved) == begun


def test_options_of_this_version_change_no_fingerprint_of_an_earlier_run(resolved):
    flat = resolved("--depth=8").flat
    added = ("padding", "drop_factor", "optimizer")
    assert fingerprint_of(flat) == fingerprint_of({name: flat[name] for name in flat if name not in added})


def test_a_run_too_short_for_one_update_is_refused(resolved):
    config = resolved("--accumulate=13", "--epochs=2", "--batch_size=8")
    with pytest.raises(BadInput, match=r"--accumulate=13 batches are more than the run has"):
        config.resolved((8, 8, 1), 50, ["a", "b"])  # 6 batches an epoch
    assert config.resolved((8, 8, 1), 56, ["a", "b"]).recipe.accumulate == 13


def test_a_run_started_before_a_flag_existed_has_its_default(resolved, tmp_path):
    saved = tmp_path / "config.json"
    resolved("--depth=8").save(saved)
    later = ("schedule", "accumulate", "ema", "fingerprint")
    old = {name: value for name, value in json.loads(saved.read_text()).items() if name not in later}
    saved.write_text(json.dumps({**old, "fingerprint": fingerprint_of(old)}))
    assert (read(saved).recipe.schedule, read(saved).recipe.accumulate, read(saved).recipe.ema) == ("steps", 1, None)
    assert resolved(saved=saved) == resolved("--depth=8")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", "many", "int"),
        ("epochs", True, "int"),
        ("epochs", None, "int"),
        ("mixup", "x", "float"),
        ("drops", [1, "x"], r"list\[float\] \| None"),
        ("flip", 1, r"bool \| None"),
    ],
)
def test_a_saved_configuration_with_values_of_a_wrong_type_is_damaged(resolved, tmp_path, name, value, wanted):
    saved = tmp_path / "config.json"
    resolved("--depth=8").save(saved)
    saved.write_text(json.dumps({**json.loads(saved.read_text()), name: value}))
    got = re.escape(repr(value))
    with pytest.raises(BadInput, match=rf"config\.json is damaged: expected {wanted} for {name}; got {got}\."):
        resolved(saved=saved)


def test_the_essentials_and_what_differs_from_the_defaults_are_printed(resolved):
    config = resolved("--depth=8", "--mixup=0.2").resolved((8, 8, 1), 1437, list("0123456789"))
    lines = str(config).splitlines()
    assert lines == [
        "  dataset         digits",
        "  pad             1",
        "  flip            False",
        "  mixup           0.2",
        "  model           PreActResNet",
        "  depth           8",
        "  epochs          40",
        "  batch_size      64",
        "  learning_rate   0.1",
        "  seed            0",
        f"  fingerprint     {config.fingerprint}",
    ]
    assert "  class_names     ['a', 'b']" in str(resolved("--class_names=a,b")).splitlines()


@pytest.mark.parametrize("arguments", [["--warm_up=0.8"], ["--warm_up=0.5"]])
def test_a_warm_up_beyond_the_default_drops_is_refused(resolved, arguments):
    with pytest.raises(BadInput, match=r"ascending from 0 to 1; got warm_up=0\.\d, drops=\[0\.5, 0\.75\]"):
        resolved(*arguments)


def test_no_drops_are_none_to_apply(parse):
    with pytest.raises(flags.IllegalFlagValueError, match="--drops=: expected numbers, separated by commas"):
        parse("--drops=")


def test_what_is_exported_is_recorded_changes_no_fingerprint_and_may_change_on_resume(resolved, tmp_path):
    saved = tmp_path / "config.json"
    begun = resolved("--top_k=2", "--head=logits", "--formats=onnx,litert")
    assert begun.fingerprint == resolved().fingerprint
    begun.save(saved)
    assert read(saved).serving.given == {"top_k": 2, "head": "logits", "formats": ["onnx", "litert"]}
    again = resolved("--top_k=3", saved=saved).serving
    assert (again.top_k, again.head) == (3, "logits")
    with pytest.raises(BadInput, match=r"--formats must be one of onnx, .*, got \['onnx', 'tflite'\]"):
        resolved("--formats=onnx,tflite")


def test_a_file_with_objects_is_the_one_that_the_run_began_with(tmp_path):
    path = tmp_path / "units.py"
    path.write_text("halved = 1")
    own = digest(path)
    for saved in ({}, {"code": None}, {"code": {"other.py": "0" * 64}}, {"code": {"units.py": own}}):
        _require_same_code({"units.py": path}, saved)
    line = rf"units\.py is not the file that the run began with: its SHA-256 is {own[:12]}\.\.\., .* copy 000000000000"
    with pytest.raises(BadInput, match=line):
        _require_same_code({"units.py": path}, {"code": {"units.py": "0" * 64}})
