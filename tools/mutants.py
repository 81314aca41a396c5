"""Score the tests: change one place of a module, run the module's tests, and count the changes that they find.

    pip install cosmic-ray
    python tools/mutants.py OUT.csv --each=10            # ten random changes in each room; an hour on two cores
    python tools/mutants.py OUT.csv --rooms train/run    # only these rooms

A room is a folder of `keras_resunits/` or `train/`. A change is tried on its module's own tests. One that survives is
tried on the tests of its room, and in `keras_resunits/` on the laws. OUT.csv gets a row a change, and the score of each
room is printed at the end. The changes are cosmic-ray's, made in a copy of the committed tree.
"""

from __future__ import annotations

import argparse
import csv
import random
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
FIELDS = ("room", "module", "line", "operator", "outcome", "change")
# `|` stands in annotations, which nothing evaluates; another variable seldom makes a change that a person would
LEFT_OUT = ("core/ReplaceBinaryOperator_BitOr", "core/Variable")
LAWS = "tests/laws"
LIMIT_S = 600


def main() -> None:
    """Try the changes, write a row for each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the csv file to write")
    parser.add_argument("--each", type=int, default=10, help="changes in each room (default: 10)")
    parser.add_argument("--rooms", nargs="*", help="folders such as keras_resunits/units; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of changes (default: 0)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, tree], check=True)
        chosen = [each for room in asked.rooms or rooms(tree) for each in sample(tree, room, asked.each, asked.seed)]
        with asked.out.open("w", newline="") as file:
            rows = csv.DictWriter(file, FIELDS)
            rows.writeheader()
            tried = []
            for room, spec in tqdm(chosen, unit="change"):
                tried.append(judged(tree, room, spec))
                rows.writerow(tried[-1])
                file.flush()
    print(table(tried))


def rooms(tree: Path) -> list[str]:
    """The folders with modules, largest part first."""
    modules = [path for top in ("keras_resunits", "train") for path in (tree / top).rglob("*.py")]
    return sorted({str(path.parent.relative_to(tree)) for path in modules})


def sample(tree: Path, room: str, count: int, seed: int) -> Iterator[tuple[str, MutationSpec]]:
    """Random changes of a room's modules: each place equally likely, then each operator that fits there."""
    with use_db(":memory:") as found:
        init(sorted((tree / room).glob("*.py")), found, {})
        specs = [spec for item in found.work_items for spec in item.mutations]
    places: dict[tuple, list[MutationSpec]] = {}
    for spec in specs:
        if not spec.operator_name.startswith(LEFT_OUT):
            places.setdefault((spec.module_path, spec.start_pos), []).append(spec)
    draw = random.Random(f"{room} {seed}")
    for place in draw.sample(sorted(places), min(count, len(places))):
        yield room, draw.choice(places[place])


def judged(tree: Path, room: str, spec: MutationSpec) -> dict[str, object]:
    """Try one change on the module's tests; if it survives, on its room's, and in the library on the laws."""
    module = Path(spec.module_path).relative_to(tree)
    laws = [LAWS] if module.parts[0] == "keras_resunits" else []
    for tests in (own_tests(tree, module), [*room_tests(tree, module), *laws]):
        result = mutate_and_test([spec], command(tree, tests), LIMIT_S)
        if found := result.test_outcome != TestOutcome.SURVIVED:
            break
    lines = (result.diff or "").splitlines()
    changed = [line.strip() for line in lines if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    return {
        "room": room,
        "module": module,
        "line": spec.start_pos[0],
        "operator": spec.operator_name.removeprefix("core/"),
        "outcome": "found" if found else "survived",
        "change": " ".join(changed),
    }


def own_tests(tree: Path, module: Path) -> list[str]:
    """The test file of a module's name, or its room's; and the module's examples."""
    own = mirrored(module).with_name(f"test_{module.stem.lstrip('_')}.py")
    return [*([str(own)] if (tree / own).exists() else room_tests(tree, module)), str(module)]


def room_tests(tree: Path, module: Path) -> list[str]:
    """The folder of tests that mirrors a module's folder, or the nearest one above it."""
    folder = mirrored(module).parent
    while not list((tree / folder).glob("test_*.py")):
        folder = folder.parent
    return [str(path) for path in sorted(folder.glob("test_*.py"))] if folder == Path("tests") else [str(folder)]


def mirrored(module: Path) -> Path:
    """Where the tests of a module lie: those of `keras_resunits` at the top, those of `train` in a folder."""
    parts = module.parts[1:] if module.parts[0] == "keras_resunits" else module.parts
    return Path("tests", *parts)


def command(tree: Path, tests: Iterable[str]) -> str:
    """The command that runs tests in the copy, and stops at the first failure."""
    run = f"{shlex.quote(sys.executable)} -m pytest -x -q -p no:cacheprovider {shlex.join(tests)}"
    return f"sh -c {shlex.quote(f'cd {shlex.quote(str(tree))} && PYTHONPATH=. exec {run}')}"


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
