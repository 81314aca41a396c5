"""docs/guide/train.md matches the program."""

from __future__ import annotations

import re
import shlex

import pytest
from absl import flags

from tests.support.configs import picked
from tests.support.paths import ROOT
from train.evaluate import parse as parse_evaluate
from train.process.errors import BadInput
from train.settings.experiments import names
from train.settings.flags import command
from train.settings.resolving import resolve
from train.step.network import network
from train.step.optimizer import optimizer

PAGE = (ROOT / "docs" / "guide" / "train.md").read_text()
COMMANDS = [line.strip().split("  #")[0] for line in PAGE.splitlines() if line.startswith("    python -m ")]


def arguments(program: str) -> list[list[str]]:
    return [shlex.split(line.removeprefix(f"{program} ")) for line in COMMANDS if line.startswith(f"{program} ")]


@pytest.mark.parametrize("line", arguments("python -m train"), ids=" ".join)
def test_the_pages_commands_are_valid(line, parse, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    experiment = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    (tmp_path / "my_experiment.py").write_text(experiment)
    (tmp_path / "units.py").write_text("halved = half_dropped = None\n")
    parse(*line)
    values = resolve().flat | vars(command())
    for argument in line:
        name, _, value = argument.removeprefix("--").partition("=")
        assert (
            not value
            or name in ("config", "run")
            or str(values[name]).strip("[]").replace(" ", "").replace("','", ",").strip("'")
            == str(float(value) if isinstance(values[name], float) else value)
        )


def test_the_experiment_on_the_page_runs_and_so_does_its_smoke_version(parse, tmp_path):
    path = tmp_path / "wide.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1))
    parse(f"--config={path}")
    assert picked(resolve(), "width", "depth", "schedule", "dataset") == (4, 20, "one_cycle", "cifar10")
    parse(f"--config={path}", "--smoke")
    assert (resolve().network.width, resolve().recipe.epochs) == (2, 2)


@pytest.mark.parametrize("line", arguments("python -m train.evaluate"), ids=" ".join)
def test_the_pages_evaluations_are_valid(line):
    assert parse_evaluate(line).model == line[0]
    with pytest.raises(BadInput):
        parse_evaluate([*line, "--no_such_flag"])


def test_the_objects_on_the_page_make_a_network(parse, tmp_path):
    path = tmp_path / "halved.py"
    path.write_text(next(text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "halved" in text))
    parse(f"--config={path}")
    config = resolve()
    made = config.realized(config.files)
    model = network(made.network, (32, 32, 3), 10)
    assert any(layer.name == "scale" for layer in model._flatten_layers())
    assert optimizer(made.recipe, 10, model).weight_decay == 0.05
    assert [len(each) for each in (made.augmenting.augment, made.recipe.callbacks)] == [1, 1]


def test_every_flag_and_experiment_on_the_page_exists():
    known = set(flags.FLAGS) | {"noexport", "normalize", "split", "logdir", "help", "mean", "std", "flips", "state"}
    assert set(re.findall(r"--(\w+)", PAGE)) <= known
    table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(names()) <= table
