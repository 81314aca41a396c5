"""Score the tests: change one place of a module, run the module's tests, and count the changes that they find.

    pip install cosmic-ray
    nice python tools/mutants.py OUT.csv --each=10            # ten random changes in each room
    nice python tools/mutants.py OUT.csv --rooms train/run    # only this room

A room is a folder of `keras_resunits/` or `train/`. A change is tried on its module's examples and tests: the test file
of the module's name, or of its folder's, or those of its room. Tests marked `long` stay out, and those marked `slow`
too unless `--slow` is given. So a change that survives may still be found by them, or by another room's tests.

OUT.csv gets a row a change, with the test that found it. At the end these tests run without a change, and must pass.
The score of each room is printed. A change whose tests take longer than `LIMIT_S` does not count as found. The changes
are cosmic-ray's, made in a copy of the committed tree. Each run of tests is forked from a process with Keras imported.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import keras  # noqa: F401  (and TensorFlow with it, once for all runs of tests)
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
FIELDS = ("room", "module", "line", "operator", "outcome", "test", "change")
# `|` stands in annotations, which nothing evaluates; another variable seldom makes a change that a person would
LEFT_OUT = ("core/ReplaceBinaryOperator_BitOr", "core/Variable")
# tests that lie elsewhere than their module's or folder's name tells
ELSEWHERE = {
    "keras_resunits/__main__.py": ["tests/zoo/test_networks.py"],
    "keras_resunits/analysis/__main__.py": ["tests/analysis/test_report.py", "tests/train/process/test_commands.py"],
    "keras_resunits/converters/__main__.py": ["tests/converters/test_command.py"],
    "keras_resunits/layers": ["tests/layers", "tests/models/test_residual.py", "tests/laws/test_config.py"],
    "keras_resunits/layers/modes.py": ["tests/analysis/test_traces.py"],
    "keras_resunits/layers/parts.py": ["tests/analysis/test_describe.py"],
    "keras_resunits/layers/pullback.py": ["tests/analysis/test_traces.py"],
    "keras_resunits/layers/randomness.py": ["tests/units/test_tails.py"],
    "keras_resunits/layers/recomputation.py": ["tests/models/test_rematerialized.py"],
    "keras_resunits/layers/redrawing.py": ["tests/analysis/test_shattering.py"],
    "keras_resunits/layers/words.py": ["tests/analysis/test_describe.py"],
    "keras_resunits/models": ["tests/models", "tests/zoo/test_networks.py"],
    "keras_resunits/serving/client.py": ["tests/client/test_client.py"],
    "keras_resunits/serving/kit": ["tests/serving/test_kit.py", "tests/serving/test_version.py"],
    **{
        f"keras_resunits/serving/{name}.py": ["tests/serving/test_decoding.py"]
        for name in ("gifs", "headers", "orientation", "views")
    },
    **{
        f"keras_resunits/serving/{name}.py": ["tests/serving/test_graph.py"]
        for name in ("affine", "chains", "folding", "nodes", "rules", "tracing")
    },
    "keras_resunits/surgery": ["tests/surgery", "tests/laws/test_surgery.py"],
    "keras_resunits/units": ["tests/units", "tests/models/test_residual.py", "tests/laws/test_config.py"],
    "keras_resunits/units/bodies.py": ["tests/units/test_bodies.py", "tests/units/test_orders.py"],
    "keras_resunits/units/orders": [
        f"tests/{name}.py" for name in ("units/test_orders", "units/test_tails", "laws/test_config", "test_arguments")
    ],
    "keras_resunits/units/shortcuts.py": ["tests/units/test_shortcuts.py", "tests/units/test_gates.py"],
    "keras_resunits/units/unit.py": ["tests/units/test_unit.py", "tests/models/test_residual.py"],
    "train/__main__.py": [
        f"tests/train/{name}.py" for name in ("test_program", "test_balance", "faults/test_bad_input")
    ],
    "train/answer.py": ["tests/train/evaluation/test_answer.py"],
    "train/benchmark.py": ["tests/serving/test_benchmark.py", "tests/train/process/test_commands.py"],
    "train/cluster/strategy.py": ["tests/train/cluster/test_strategy.py", "tests/train/cluster/test_workers.py"],
    "train/compress.py": ["tests/train/test_compress.py", "tests/train/process/test_commands.py"],
    "train/configs": ["tests/train/settings/test_experiments.py"],
    "train/curves.py": ["tests/train/run/test_history.py"],
    "train/data/batches.py": ["tests/train/data/test_batches.py", "tests/train/data/test_streaming.py"],
    "train/data/datasets": [
        f"tests/train/data/test_{name}.py" for name in ("datasets", "layouts", "streaming", "tables")
    ],
    "train/data/datasets/tfds.py": [
        f"tests/train/{name}.py" for name in ("data/test_datasets", "data/test_streaming", "faults/test_paths")
    ],
    "train/evaluate.py": [
        f"tests/train/{name}.py"
        for name in ("process/test_commands", "evaluation/test_evaluate", "evaluation/test_tables")
    ],
    "train/evaluation/calibration.py": ["tests/train/evaluation/test_tables.py"],
    "train/evaluation/exporting.py": ["tests/train/evaluation/test_export.py"],
    "train/evaluation/inputs.py": ["tests/train/evaluation/test_predict.py"],
    "train/evaluation/keeping.py": ["tests/train/evaluation/test_export.py"],
    "train/evaluation/networks.py": [
        f"tests/train/{name}.py" for name in ("evaluation/test_evaluate", "test_conversion", "test_fine_tuning")
    ],
    "train/evaluation/predicting.py": ["tests/train/evaluation/test_predict.py"],
    "train/evaluation/submission.py": ["tests/train/evaluation/test_predict.py"],
    "train/export.py": ["tests/train/evaluation/test_export.py"],
    "train/launch.py": [
        f"tests/train/{name}.py" for name in ("cluster/test_strategy", "process/test_commands", "test_launch")
    ],
    "train/library.py": ["tests/train/test_library.py", "tests/test_packaging.py"],
    "train/predict.py": ["tests/train/evaluation/test_predict.py", "tests/train/process/test_commands.py"],
    "train/process/commands.py": [
        f"tests/train/{name}.py" for name in ("process/test_commands", "test_program", "test_launch")
    ],
    "train/process/errors.py": ["tests/train/process", "tests/train/faults/test_bad_input.py"],
    "train/process/files.py": ["tests/train/faults/test_storage.py", "tests/train/faults/test_paths.py"],
    "train/process/machine.py": ["tests/train/step/test_activations.py", "tests/train/data/test_streaming.py"],
    "train/run/checkpoints.py": ["tests/train/run/test_checkpoints.py", "tests/train/faults/test_storage.py"],
    "train/run/folder.py": [
        f"tests/train/{name}.py"
        for name in ("run/test_folder", "faults/test_paths", "test_fine_tuning", "test_own_objects")
    ],
    "train/run/session.py": [
        f"tests/train/{name}.py" for name in ("run/test_session", "run/test_selection", "step/test_activations")
    ],
    "train/run/signals.py": ["tests/train/test_program.py", "tests/train/faults/test_kills.py"],
    "train/settings/conversion.py": ["tests/train/test_conversion.py"],
    "train/settings/references.py": ["tests/train/test_own_objects.py", "tests/train/settings/test_config.py"],
    "train/settings/resolving.py": [
        f"tests/train/{name}.py"
        for name in ("settings/test_config", "settings/test_experiments", "test_own_objects", "test_fine_tuning")
    ],
    "train/settings/usage.py": ["tests/train/test_program.py"],
    "train/step/conversion.py": ["tests/train/test_conversion.py"],
    "train/step/initial.py": ["tests/train/test_fine_tuning.py"],
    "train/step/network.py": [
        f"tests/train/{name}.py" for name in ("step/test_network", "test_own_objects", "test_remat")
    ],
    "train/step/optimizer.py": [
        f"tests/train/{name}.py" for name in ("step/test_optimizer", "step/test_loss_scale", "test_own_objects")
    ],
    "train/step/parts.py": ["tests/train/test_fine_tuning.py"],
    "train/step/trainer.py": [
        f"tests/train/{name}.py" for name in ("step/test_trainer", "step/test_targets", "test_balance")
    ],
    "train/step/weighting.py": ["tests/train/test_balance.py"],
}
OF_ALL = (  # of every module
    *("tests/test_records.py", "tests/test_defaults.py"),
    *("tests/laws/test_registration.py", "tests/laws/test_wrong_objects.py"),
)
SURVIVED = 42  # the exit code of tests that all passed: a change can end their process with any of the program's codes
LIMIT_S = 300


def main() -> None:
    """Try the changes, write a row for each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the csv file to write")
    parser.add_argument("--each", type=int, default=10, help="changes in each room (default: 10)")
    parser.add_argument("--rooms", nargs="*", help="folders such as keras_resunits/units; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of changes (default: 0)")
    parser.add_argument("--slow", action="store_true", help="try what the quick tests do not find on slow ones too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, tree], check=True)
        chosen = [each for room in asked.rooms or rooms(tree) for each in sample(tree, room, asked.each, asked.seed)]
        random.Random(asked.seed).shuffle(chosen)  # so that the rows of a stopped run are a fair sample too
        with asked.out.open("w", newline="") as file:
            rows = csv.DictWriter(file, FIELDS)
            rows.writeheader()
            tried = []
            for room, spec in tqdm(chosen, unit="change"):
                tried.append(judged(tree, room, spec, asked.slow))
                rows.writerow(tried[-1])
                file.flush()
        finders = sorted({row["test"] for row in tried if row["test"]})
        _, broken = ran(tree, ["-m", "", *finders], limit=None) if finders else ("", [])
    print(table(tried))
    if broken:
        sys.exit(f"without a change these fail too, so the rows that name them tell nothing: {', '.join(broken)}.")


def rooms(tree: Path) -> list[str]:
    """The folders with modules."""
    modules = [path for top in ("keras_resunits", "train") for path in (tree / top).rglob("*.py")]
    return sorted({str(path.parent.relative_to(tree)) for path in modules})


def sample(tree: Path, room: str, count: int, seed: int) -> Iterator[tuple[str, MutationSpec]]:
    """Random changes of a room's modules: each place equally likely, then each operator that fits there."""
    with use_db(":memory:") as found:
        init(sorted((tree / room).glob("*.py")), found, {})
        specs = [spec for item in found.work_items for spec in item.mutations]
    places: dict[tuple, list[MutationSpec]] = {}
    for spec in specs:
        if not spec.operator_name.startswith(LEFT_OUT) and not of_strict(spec):
            places.setdefault((spec.module_path, spec.start_pos), []).append(spec)
    draw = random.Random(f"{room} {seed}")
    drawn = (draw.choice(places[place]) for place in draw.sample(sorted(places), len(places)))
    yield from islice(((room, spec) for spec in drawn if parses(spec)), count)


def of_strict(spec: MutationSpec) -> bool:
    """Whether it makes `strict=False` of a `zip`'s `strict=True`: an assertion, which nothing that works can fail."""
    row, column = spec.start_pos
    before = Path(spec.module_path).read_text().splitlines()[row - 1][:column]
    return spec.operator_name == "core/ReplaceTrueWithFalse" and before.endswith("strict=")


def operator_of(spec: MutationSpec) -> Operator:
    """The operator that makes a change."""
    return get_operator(spec.operator_name)(**spec.operator_args)


def parses(spec: MutationSpec) -> bool:
    """Whether there is a changed module, and it is Python: with another operator, the `**` of `{**options}` is not."""
    try:
        ast.parse(mutate_code(Path(spec.module_path).read_text(), operator_of(spec), spec.occurrence))
    except (SyntaxError, AttributeError):  # cosmic-ray cannot replace a dotted exception in a tuple
        return False
    return True


def judged(tree: Path, room: str, spec: MutationSpec, slow: bool) -> dict[str, object]:
    """Try one change on the tests of its module."""
    module = Path(spec.module_path).relative_to(tree)
    with use_mutation(spec.module_path, operator_of(spec), spec.occurrence) as (before, after):
        tests = ["-x", *own_tests(tree, module)]
        outcome, failed = ran(tree, tests, LIMIT_S)
        if slow and outcome == "survived":
            outcome, failed = ran(tree, ["-m", "slow", *tests], LIMIT_S)
    old, new = before.splitlines(), after.splitlines()
    changed = [f"- {was.strip()} + {now.strip()}" for was, now in zip(old, new, strict=False) if was != now]
    return {
        "room": room,
        "module": module,
        "line": spec.start_pos[0],
        "operator": spec.operator_name.removeprefix("core/"),
        "outcome": outcome,
        "test": next(iter(failed), ""),
        "change": changed[0] if changed else "",
    }


def ran(tree: Path, arguments: list[str], limit: float | None) -> tuple[str, list[str]]:
    """Run tests in the copy: "found", "survived" or "timed out", and the tests that failed."""
    with tempfile.TemporaryDirectory() as scratch:
        process = multiprocessing.get_context("fork").Process(target=run_pytest, args=(tree, arguments, scratch))
        process.start()
        process.join(limit)
        ended = process.exitcode
        with suppress(ProcessLookupError):  # nothing is left
            os.killpg(process.pid, signal.SIGKILL)  # and what the tests started
        process.join()
        noted = Path(scratch, "cache/v/cache/lastfailed")  # by pytest, unless the process died
        failed = list(json.loads(noted.read_text())) if noted.exists() else []
    return ("timed out" if ended is None else "survived" if ended == SURVIVED else "found"), failed


def run_pytest(tree: Path, arguments: list[str], scratch: str) -> None:
    """In a forked process: `python -m pytest`, in a process group of its own."""
    os.setsid()
    with open(os.path.join(scratch, "output"), "w") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.chdir(tree)
    sys.dont_write_bytecode = True  # two changes within a second would share it
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    sys.path.insert(0, str(tree))
    places = ("-o", f"cache_dir={scratch}/cache", f"--basetemp={scratch}/tests")
    sys.argv = ["pytest", *places, *arguments]
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        sys.exit(SURVIVED if end.code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1)


def own_tests(tree: Path, module: Path) -> list[str]:
    """A module's examples, and the test file of its name, or of its folder's, or those of its room."""
    mirror = mirrored(module)
    folder = mirror.parent
    choices = (
        ELSEWHERE.get(str(module)),
        [str(mirror.with_name(f"test_{module.stem.lstrip('_')}.py"))],
        ELSEWHERE.get(str(module.parent)),
        [str(folder.with_name(f"test_{folder.name}.py"))],
        room_tests(tree, module),
    )
    own = next(tests for tests in choices if tests and all((tree / each).exists() for each in tests))
    return [str(module), *OF_ALL, *own]


def room_tests(tree: Path, module: Path) -> list[str]:
    """The test files in the folder that mirrors a module's folder, or in the nearest one above it that has some."""
    folder = mirrored(module).parent
    while not (files := sorted((tree / folder).glob("test_*.py"))):
        folder = folder.parent
    return [str(path.relative_to(tree)) for path in files]


def mirrored(module: Path) -> Path:
    """Where the tests of a module lie: those of `keras_resunits` at the top, those of `train` in a folder."""
    parts = module.parts[1:] if module.parts[0] == "keras_resunits" else module.parts
    return Path("tests", *parts)


def table(tried: Iterable[dict[str, object]]) -> str:
    """The score of each room, and of all, as Markdown."""
    tried = list(tried)
    made = Counter(row["room"] for row in tried)
    found = Counter(row["room"] for row in tried if row["outcome"] == "found")
    lines = [f"| {room} | {found[room]} of {made[room]} | {found[room] / made[room]:.0%} |" for room in sorted(made)]
    total = f"| all | {found.total()} of {made.total()} | {found.total() / made.total():.0%} |"
    return "\n".join(["| room | found | score |", "|---|---:|---:|", *lines, total])


if __name__ == "__main__":
    main()
