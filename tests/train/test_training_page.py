"""docs/guide/train.md matches the program."""

from __future__ import annotations

import re

import pytest
from absl import flags

from tests.support.configs import picked
from tests.support.paths import ROOT
from train.evaluate import parse as parse_evaluate
from train.process.errors import BadInput
from train.settings.experiments import names
from train.settings.resolving import resolve

PAGE = (ROOT / "docs" / "guide" / "train.md").read_text()
COMMANDS = [line.strip().split("  #")[0] for line in PAGE.splitlines() if line.startswith("    python -m ")]


def arguments(program: str) -> list[list[str]]:
    return [line.removeprefix(f"{program} ").split() for line in COMMANDS if line.startswith(f"{program} ")]


@pytest.mark.parametrize("line", arguments("python -m train"), ids=" ".join)
def test_the_pages_commands_are_valid(line, parse, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    experiment = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    (tmp_path / "my_experiment.py").write_text(experiment)
    parse(*line)
    values = resolve().flat
    for argument in line:
        name, _, value = argument.removeprefix("--").partition("=")
        assert (
            not value
            or name in ("config", "run")
            or str(values[name]).strip("[]").replace(" ", "")
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


def test_every_flag_and_experiment_on_the_page_exists():
    known = set(flags.FLAGS) | {"noexport", "normalize", "split", "logdir", "help", "mean", "std"}
    assert set(re.findall(r"--(\w+)", PAGE)) <= known
    table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(names()) <= table
