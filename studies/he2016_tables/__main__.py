"""The variants of He et al. 2016, Tables 1 and 2, at depth 20 under one budget.

    python -m studies.he2016_tables --dataset=FOLDER --epochs=5 --output=OUT
    python -m studies.he2016_tables --dataset=FOLDER --epochs=5 --output=OUT --seeds=3 --only=resnet110_cifar
    python -m studies.he2016_tables --epochs=1 --output=OUT          digits: the smoke twin, minutes

Every run is `python -m train --model=NAME --depth=20 ...`, one after the other. What OUT holds already, as a run or as
a row of OUT/runs.csv, is not run again: the study can be stopped and goes on, on another machine too, and can be given
more seeds where they are wanted. Of all that OUT holds it writes OUT/runs.csv (a row a run), OUT/table.md and
OUT/table.png.

The paper's errors are those of depth 110 after 164 epochs, on the lossless CIFAR-10; "fail" is more than 20 %.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from train.run.history import read_history

FAIL = 20.0  # percent: what the paper calls a failure
FAILS = 100.0  # percent: worse than all that it gives a figure of
COLOR = "#3569b5"


@dataclass(frozen=True)
class Variant:
    """A row of the paper's tables.

    Args:
        title: As the paper calls it.
        model: Its name in `keras_resunits.list_models()`; trained at depth 20.
        table: The paper's.
        paper: The paper's error in percent, `None` for "fail".
    """

    title: str
    model: str
    table: int
    paper: float | None


VARIANTS = [
    Variant("original", "resnet110_cifar", 1, 6.61),
    Variant("constant scaling 0 (plain)", "resnet110_constant_scaling0", 1, None),
    Variant("constant scaling 0.5", "resnet110_constant_scaling", 1, None),
    Variant("constant scaling 0.5, branch 0.5", "resnet110_frozen_gating", 1, 12.35),
    Variant("exclusive gating, bias 0", "resnet110_exclusive_gating0", 1, None),
    Variant("exclusive gating, bias -6", "resnet110_exclusive_gating", 1, 8.70),
    Variant("exclusive gating, bias -7", "resnet110_exclusive_gating7", 1, 9.81),
    Variant("shortcut-only gating, bias 0", "resnet110_shortcut_gating0", 1, 12.86),
    Variant("shortcut-only gating, bias -6", "resnet110_shortcut_gating", 1, 6.91),
    Variant("1x1 conv shortcut", "resnet110_conv_1x1", 1, 12.22),
    Variant("dropout shortcut 0.5", "resnet110_dropout", 1, None),
    Variant("BN after addition", "resnet110_bn_after_add", 2, 8.17),
    Variant("ReLU before addition", "resnet110_relu_before_add", 2, 7.84),
    Variant("ReLU-only pre-activation", "resnet110_relu_only_pre_act", 2, 6.71),
    Variant("full pre-activation", "preactresnet110_cifar", 2, 6.37),
]


def run_name(variant: Variant, seed: int) -> str:
    """What its run is called."""
    return f"{variant.model}-{seed}"


def error(history: Path, epochs: int) -> float | None:
    """The last epoch's test error in percent of one run, `None` of one that has not come that far."""
    if not history.exists() or len(read_history(history).get("epoch", ())) < epochs:
        return None
    return 100 * (1 - read_history(history)["val_accuracy"][-1])


def train(variant: Variant, seed: int, args: argparse.Namespace) -> None:
    """One run, from where it stopped."""
    flags = [f"--dataset={args.dataset}", f"--model={variant.model}", "--depth=20", f"--epochs={args.epochs}"]
    flags += [f"--seed={seed}", f"--run={run_name(variant, seed)}", f"--output={args.output}"]
    subprocess.run([sys.executable, "-m", "train", *flags, "--resume", "--noexport"], check=True)


def held(output: Path, epochs: int) -> dict[Variant, dict[int, float]]:
    """The errors of all finished runs that OUT holds, by variant and seed."""
    found: dict[Variant, dict[int, float]] = {}
    for variant in VARIANTS:
        runs = noted(output / "runs.csv", variant, epochs)
        for folder in (output / "runs").glob(f"{variant.model}-*"):
            if (value := error(folder / "history.csv", epochs)) is not None:
                runs[int(folder.name.rpartition("-")[2])] = value
        if runs:
            found[variant] = runs
    return found


def noted(path: Path, variant: Variant, epochs: int) -> dict[int, float]:
    """The errors by seed that a file of rows has of a variant."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == variant.model and int(row["epochs"]) == epochs]
    return {int(row["seed"]): float(row["test error %"]) for row in rows}


def paper(variant: Variant) -> str:
    """The paper's error as it prints it."""
    return "fail" if variant.paper is None else f"{variant.paper:.2f}"


def table(errors: dict[Variant, dict[int, float]]) -> str:
    """Mean, spread and rank beside the paper's, as Markdown."""
    lines = [
        "| | table | runs | mean error % | lowest to highest | rank | paper, depth 110 | its rank |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    means = {variant: statistics.mean(runs.values()) for variant, runs in errors.items()}
    for number in (1, 2):
        rows = [v for v in errors if v.table == number or v.title == "original"]
        ours = sorted(rows, key=means.__getitem__)
        theirs = sorted(FAILS if v.paper is None else v.paper for v in rows)  # those that fail share the last rank
        for variant in rows:
            values = errors[variant].values()
            spread = f"{min(values):.2f} to {max(values):.2f}" if len(values) > 1 else ""
            rank = theirs.index(FAILS if variant.paper is None else variant.paper) + 1
            lines.append(
                f"| {variant.title} | {number} | {len(values)} | {means[variant]:.2f} | {spread} "
                f"| {ours.index(variant) + 1} | {paper(variant)} | {rank} |"
            )
    return "\n".join(lines) + "\n"


def picture(errors: dict[Variant, dict[int, float]], path: Path) -> None:
    """Every run as a dot, beside the paper's figure."""
    figure, (ours, theirs) = plt.subplots(1, 2, figsize=(10, 5), sharey=True, layout="constrained")
    for y, (variant, runs) in enumerate(errors.items()):
        ours.plot(list(runs.values()), [y] * len(runs), "o", color=COLOR, alpha=0.6)
        fails = variant.paper is None
        theirs.plot([FAIL if fails else variant.paper], [y], "x" if fails else "o", color=COLOR)
    ours.set(title="depth 20, this study (a dot a run)", xlabel="test error, %", yticks=range(len(errors)))
    ours.set_yticklabels([variant.title for variant in errors])
    ours.invert_yaxis()
    theirs.set(title="depth 110, the paper (x: fails, above 20 %)", xlabel="test error, %")
    for axes in (ours, theirs):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each variant")
    parser.add_argument("--only", default="*", help="a wildcard for the models; all by default")
    parser.add_argument("--output", required=True, help="the folder that gets everything")
    args = parser.parse_args()
    output = Path(args.output)
    there = held(output, args.epochs)
    for seed in range(args.seeds):
        for variant in VARIANTS:
            if fnmatch(variant.model, args.only) and seed not in there.get(variant, {}):
                train(variant, seed, args)
    errors = held(output, args.epochs)
    with open(output / "runs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "model", "epochs", "seed", "test error %"])
        for variant, runs in errors.items():
            writer.writerows([variant.title, variant.model, args.epochs, i, f"{runs[i]:.2f}"] for i in sorted(runs))
    (output / "table.md").write_text(table(errors))
    picture(errors, output / "table.png")
    print(table(errors))


if __name__ == "__main__":
    main()
