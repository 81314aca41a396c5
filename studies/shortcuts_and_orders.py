"""The variants of He et al. 2016, Tables 1 and 2, at depth 20 under one budget.

    python studies/shortcuts_and_orders.py --dataset=FOLDER --epochs=3 --seeds=1 --output=OUT
    python studies/shortcuts_and_orders.py --epochs=1 --output=OUT          digits: the smoke twin, minutes

Every run is `python -m train --model=NAME --depth=20 ...`, one after the other. What OUT holds already is not run
again, so the study can be stopped and goes on. It writes OUT/runs.csv (a row a run), OUT/table.md and OUT/table.png.
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

from train.curves import read_history

FAIL = 20.0  # percent: what the paper calls a failure
FAILS = 100.0  # percent: worse than all that it gives a figure of


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


def error(variant: Variant, seed: int, args: argparse.Namespace) -> float:
    """The last epoch's test error in percent of one run, trained unless it is there."""
    name = f"{variant.model}-{seed}"
    history = Path(args.output) / "runs" / name / "history.csv"
    if not history.exists() or len(read_history(history)["epoch"]) < args.epochs:
        flags = [f"--dataset={args.dataset}", f"--model={variant.model}", "--depth=20", f"--epochs={args.epochs}"]
        flags += [f"--seed={seed}", f"--run={name}", f"--output={args.output}", *["--resume"] * history.exists()]
        subprocess.run([sys.executable, "-m", "train", *flags], check=True)
    return 100 * (1 - read_history(history)["val_accuracy"][-1])


def paper(variant: Variant) -> str:
    """The paper's error as it prints it."""
    return "fail" if variant.paper is None else f"{variant.paper:.2f}"


def table(errors: dict[Variant, list[float]]) -> str:
    """Mean, spread and rank beside the paper's, as Markdown."""
    lines = [
        "| | table | error % | spread | rank | paper, depth 110 | its rank |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for number in (1, 2):
        rows = {v: e for v, e in errors.items() if v.table == number or v.title == "original"}
        ours = sorted(rows, key=lambda v: statistics.mean(rows[v]))
        theirs = sorted(FAILS if v.paper is None else v.paper for v in rows)  # those that fail share the last rank
        for variant, values in rows.items():
            spread = f"{max(values) - min(values):.2f}" if len(values) > 1 else ""
            rank = theirs.index(FAILS if variant.paper is None else variant.paper) + 1
            lines.append(
                f"| {variant.title} | {number} | {statistics.mean(values):.2f} | {spread} | {ours.index(variant) + 1} "
                f"| {paper(variant)} | {rank} |"
            )
    return "\n".join(lines) + "\n"


def picture(errors: dict[Variant, list[float]], path: Path) -> None:
    """Every run as a dot, beside the paper's figure."""
    figure, (ours, theirs) = plt.subplots(1, 2, figsize=(10, 5), sharey=True, layout="constrained")
    for y, (variant, values) in enumerate(errors.items()):
        ours.plot(values, [y] * len(values), "o", color="#3569b5")
        theirs.plot([FAIL if variant.paper is None else variant.paper], [y], "x" if variant.paper is None else "o")
    ours.set(title="depth 20, this study", xlabel="test error, %", yticks=range(len(errors)))
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
    chosen = [variant for variant in VARIANTS if fnmatch(variant.model, args.only)]
    errors: dict[Variant, list[float]] = {variant: [] for variant in chosen}
    for seed in range(args.seeds):
        for variant in chosen:
            errors[variant].append(error(variant, seed, args))
    with open(output / "runs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "model", "epochs", "seed", "test error %"])
        for variant, values in errors.items():
            writer.writerows([variant.title, variant.model, args.epochs, i, f"{v:.2f}"] for i, v in enumerate(values))
    (output / "table.md").write_text(table(errors))
    picture(errors, output / "table.png")
    print(table(errors))


if __name__ == "__main__":
    main()
