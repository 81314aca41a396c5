"""The variants of He et al. 2016, Tables 1 and 2, at one depth under one budget.

    python -m studies.he2016_tables --dataset=FOLDER --epochs=5 --output=OUT
    python -m studies.he2016_tables --dataset=FOLDER --epochs=5 --output=OUT --seeds=3 --only=resnet110_cifar
    python -m studies.he2016_tables --depth=110 --epochs=20 --learning_rate=0.01 --seeds=5 --output=OUT
    python -m studies.he2016_tables --dataset=FOLDER --depth=110 --epochs=2 --learning_rate=0.01 \
        --precision=mixed_bfloat16 --output=OUT                      the paper's depth and images: hours
    python -m studies.he2016_tables --epochs=1 --output=OUT          digits: the smoke version, minutes

The third is the paper's depth, on digits: an hour on two cores. Every run is `python -m train --model=NAME
--depth=20 ...`, one after the other. What OUT holds already of a budget (depth, epochs, learning rate, precision), as a
run or as a row of OUT/runs.csv, is not run again. So the study can be stopped and resumes, on another machine too, and
can be given more seeds where they are needed. Of what OUT holds of that budget it writes OUT/runs.csv (a row a run),
OUT/table.md and OUT/table.png. The picture of runs in a file takes a second:

    python -m studies.he2016_tables --rows=docs/results/shortcuts_and_orders.csv --picture=docs/images/study.png

The paper's errors are those of depth 110 after 164 epochs, on the lossless CIFAR-10; "fail" is more than 20 %. It warms
up for 400 steps at a rate of 0.01. Short runs of deep networks keep that rate: at 0.1 even the original fails. A run
that diverges (its loss becomes NaN) counts as an error of 100 %.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import Diverged, results, train, write_rows

DEPTH = 20
RATE = 0.1
PRECISION = "float32"
FAILS = 100.0  # percent: worse than all that the paper gives a figure of
MOVES = {  # from the paper's rank to ours: how it is drawn
    "ranks better here than in the paper": "#1b7f4d",
    "the same rank or the next": "#8a8a8a",
    "ranks worse here": "#c2541b",
}
COLUMNS = {  # of the picture: where, in inches from its left, and on which side of that
    "name": (2.5, "right"),
    "error": (3.05, "right"),
    "range": (4.05, "right"),
    "rank": (4.35, "right"),
    "ours": (4.5, "center"),
    "between": (5.625, "center"),
    "theirs": (6.75, "center"),
    "its rank": (6.9, "left"),
    "its error": (7.6, "right"),
    "its name": (7.75, "left"),
}


@dataclass(frozen=True)
class Variant:
    """A row of the paper's tables.

    Args:
        title: As the paper calls it.
        model: Its name in `keras_resunits.list_models()`; trained at another depth.
        table: The paper's.
        paper: The paper's error in percent, `None` for "fail".
    """

    title: str
    model: str
    table: int
    paper: float | None


@dataclass(frozen=True)
class Budget:
    """What all runs of a study share.

    Args:
        depth: Of the networks.
        epochs: Of each run; `None` for any.
        learning_rate: The highest.
        precision: Of the computation, as for `python -m train`.
    """

    depth: int = DEPTH
    epochs: int | None = None
    learning_rate: float = RATE
    precision: str = PRECISION

    def covers(self, row: dict[str, str]) -> bool:
        """Whether a row is of this budget. What a row does not say is the default."""
        rate, precision = float(row.get("learning_rate") or RATE), row.get("precision") or PRECISION
        given = int(row.get("depth") or DEPTH), rate, precision
        own = self.depth, self.learning_rate, self.precision
        return given == own and self.epochs in (None, int(row["epochs"]))

    def run_name(self, variant: Variant) -> str:
        """What a variant's runs are called, before the seed."""
        depth = "" if self.depth == DEPTH else f"-depth{self.depth}"
        rate = "" if self.learning_rate == RATE else f"-rate{self.learning_rate:g}"
        return variant.model + depth + rate + ("" if self.precision == PRECISION else f"-{self.precision}")


class Outcome(NamedTuple):
    """What a run ended with.

    Args:
        error: The test error in percent.
        loss: The training loss of the last epoch; NaN if it diverged, `None` where it is not known.
    """

    error: float
    loss: float | None


Runs = dict[Variant, dict[int, Outcome]]  # by variant and seed
Ranks = dict[Variant, tuple[int, int]]  # ours and the paper's
ROW = 0.27  # inches
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


def train_variant(variant: Variant, seed: int, budget: Budget, args: argparse.Namespace) -> Outcome:
    """One run, from where it stopped."""
    flags = (f"--dataset={args.dataset}", f"--model={variant.model}", f"--depth={budget.depth}")
    flags += (f"--epochs={budget.epochs}", f"--learning_rate={budget.learning_rate}", f"--seed={seed}")
    flags += (f"--precision={budget.precision}",)
    run = f"{budget.run_name(variant)}-{seed}"
    try:
        train(args.output, run, *flags)
    except Diverged:
        return Outcome(FAILS, math.nan)
    return outcome(results(args.output, run, budget.epochs))


def outcome(last: dict[str, float]) -> Outcome:
    """Of a finished run's last epoch."""
    return Outcome(last["test error %"], last["training loss"])


def held(output: Path, budget: Budget) -> Runs:
    """All finished runs of a budget that OUT holds."""
    found = noted(output / "runs.csv", budget)
    for variant in VARIANTS:
        name = budget.run_name(variant)
        for folder in (output / "runs").glob(f"{name}-*"):
            seed = folder.name.removeprefix(f"{name}-")
            if seed.isdecimal() and (last := results(output, folder.name, budget.epochs)):
                found.setdefault(variant, {})[int(seed)] = outcome(last)
    return in_order(found)


def noted(path: Path, budget: Budget) -> Runs:
    """The runs that a file of rows has of a budget."""
    if not path.exists():
        return {}
    found: Runs = {}
    variants = {variant.model: variant for variant in VARIANTS}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if row["model"] in variants and budget.covers(row):
                loss = float(row["training loss"]) if row.get("training loss") else None
                found.setdefault(variants[row["model"]], {})[int(row["seed"])] = Outcome(
                    float(row["test error %"]), loss
                )
    return found


def in_order(runs: Runs) -> Runs:
    """The same, in the order of the paper's tables and by seed."""
    return {variant: dict(sorted(runs[variant].items())) for variant in VARIANTS if variant in runs}


def errors(runs: Runs, variant: Variant) -> list[float]:
    """The test errors of a variant's runs, in percent."""
    return [run.error for run in runs[variant].values()]


def training_loss(runs: Runs, variant: Variant) -> str:
    """The mean of the runs whose training loss is known; empty where none is."""
    known = [run.loss for run in runs[variant].values() if run.loss is not None]
    return f"{statistics.mean(known):.2f}" if known else ""


def paper(variant: Variant) -> str:
    """The paper's error as it prints it."""
    return "fail" if variant.paper is None else f"{variant.paper:.2f}"


def ranks(runs: Runs, number: int) -> Ranks:
    """`(ours, the paper's)` of one table's variants, the best first; in the paper, failures share the last rank."""
    rows = [variant for variant in runs if variant.table == number or variant.title == "original"]
    ours = sorted(rows, key=lambda variant: statistics.mean(errors(runs, variant)))
    theirs = sorted(map(published, rows))
    return {variant: (i, theirs.index(published(variant)) + 1) for i, variant in enumerate(ours, 1)}


def published(variant: Variant) -> float:
    """The paper's error, 100 % where it fails."""
    return FAILS if variant.paper is None else variant.paper


def table(runs: Runs) -> str:
    """Training loss; mean, spread and rank of the test errors beside the paper's, as Markdown."""
    lines = [
        "| | table | runs | training loss | mean error % | lowest to highest | rank | paper, depth 110 | its rank |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for number in (1, 2):
        ranked = ranks(runs, number)
        for variant in (variant for variant in runs if variant in ranked):
            values = errors(runs, variant)
            spread = f"{min(values):.2f} to {max(values):.2f}" if len(values) > 1 else ""
            ours, theirs = ranked[variant]
            lines.append(
                f"| {variant.title} | {number} | {len(values)} | {training_loss(runs, variant)} "
                f"| {statistics.mean(values):.2f} | {spread} | {ours} | {paper(variant)} | {theirs} |"
            )
    return "\n".join(lines) + "\n"


def picture(runs: Runs, path: Path, depth: int = DEPTH) -> None:
    """A slope chart of each table: our ranks and errors on the left, the paper's on the right."""
    tables = {number: ranked for number in (1, 2) if (ranked := ranks(runs, number))}
    height, row = 0.7 + sum(0.5 + ROW * len(ranked) for ranked in tables.values()) + 0.3, 0.85
    figure = Figure(figsize=(10.0, height), dpi=120)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10), ylim=(height, 0))
    axes.axis("off")
    write(axes, 0.25, {"name": f"this study, depth {depth}", "its name": "the paper, depth 110"}, fontweight="bold")
    write(axes, 0.25, {"between": "ranked by test error"})
    heads = {"error": "error, %", "range": "range of runs", "rank": "rank", "its rank": "rank", "its error": "error, %"}
    write(axes, 0.52, heads, fontsize=8, color="0.4")
    for number, ranked in tables.items():
        write(axes, row, {"between": f"He et al. 2016, Table {number}"}, fontweight="bold")
        draw_slopes(axes, row + 0.32, runs, ranked)
        row += 0.5 + ROW * len(ranked)
    keys = [Line2D([], [], color=colour, lw=2) for colour in MOVES.values()]
    figure.legend(keys, MOVES, loc="lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path)


def draw_slopes(axes: Axes, top: float, runs: Runs, ranked: Ranks) -> None:
    """A line for each variant from its place here to its place in the paper, where those that fail keep our order."""
    there = sorted(ranked, key=lambda variant: (published(variant), ranked[variant]))
    ours, theirs = COLUMNS["ours"][0], COLUMNS["theirs"][0]
    if failing := [place for place, variant in enumerate(there) if variant.paper is None]:
        middle = top + ROW * (failing[0] + failing[-1]) / 2
        axes.axhspan(top + ROW * (failing[0] - 0.47), top + ROW * (failing[-1] + 0.47), 0.667, 1, color="#f6e3da", lw=0)
        axes.text(9.93, middle, "above 20 %", ha="right", va="center", rotation=90, fontsize=8, color="#a0522d")
    for place, (variant, (rank, its_rank)) in enumerate(ranked.items()):
        y, its_y = top + ROW * place, top + ROW * there.index(variant)
        axes.plot([ours, theirs], [y, its_y], "o-", color=MOVES[move(variant, rank, its_rank)], lw=1.8, ms=5)
        values = errors(runs, variant)
        write(axes, y, {"name": variant.title, "error": f"{statistics.mean(values):.2f}", "rank": f"{rank}"})
        if len(values) > 1:
            write(axes, y, {"range": f"{min(values):.2f} to {max(values):.2f}"}, fontsize=8, color="0.4")
        write(axes, its_y, {"its rank": f"{its_rank}", "its error": paper(variant), "its name": variant.title})


def write(axes: Axes, y: float, cells: dict[str, str], **style) -> None:
    """Texts into columns of a row."""
    for column, text in cells.items():
        x, side = COLUMNS[column]
        axes.text(x, y, text, ha=side, va="center", **{"fontsize": 9.5, **style})


def move(variant: Variant, rank: int, its_rank: int) -> str:
    """What a rank here is beside the one in the paper; of those that fail there, none is worse for a rank below it."""
    better, same, worse = MOVES
    if abs(rank - its_rank) <= 1 or (variant.paper is None and rank > its_rank):
        return same
    return better if rank < its_rank else worse


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--depth", type=int, default=DEPTH, help="6n + 2; 20 by default, 110 in the paper")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning_rate", type=float, default=RATE, help="the highest; the paper's 0.1 by default")
    parser.add_argument("--precision", default=PRECISION, help="as for `python -m train`")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each variant")
    parser.add_argument("--only", default="*", help="wildcards for the models, separated by commas; all by default")
    parser.add_argument("--output", type=Path, help="the folder that gets everything")
    parser.add_argument("--rows", type=Path, help="instead of training: a runs.csv to draw")
    parser.add_argument("--picture", type=Path, help="with --rows: the PNG file to write")
    args = parser.parse_args()
    if (args.output is None) == (args.rows is None) or (args.rows is None) != (args.picture is None):
        parser.error("either --output, or --rows and --picture")
    for wildcard in args.only.split(","):
        if not any(fnmatch(variant.model, wildcard) for variant in VARIANTS):
            parser.error(f"--only={wildcard} matches none of the study's models")
    if args.output:
        study(Budget(args.depth, args.epochs, args.learning_rate, args.precision), args)
    elif runs := noted(args.rows, Budget(args.depth, None, args.learning_rate, args.precision)):
        picture(runs, args.picture, args.depth)
    else:
        parser.error(f"{args.rows} has no runs of the study of depth {args.depth} at rate {args.learning_rate:g}")


def study(budget: Budget, args: argparse.Namespace) -> None:
    """Train what is missing, and write down all that there is after each run."""
    runs = held(args.output, budget)
    chosen = [variant for variant in VARIANTS if any(fnmatch(variant.model, each) for each in args.only.split(","))]
    for seed in range(args.seeds):
        for variant in chosen:
            if seed not in runs.get(variant, {}):
                runs.setdefault(variant, {})[seed] = train_variant(variant, seed, budget, args)
                write_rows(args.output / "runs.csv", rows(in_order(runs), budget))
    runs = in_order(runs)
    write_rows(args.output / "runs.csv", rows(runs, budget))
    (args.output / "table.md").write_text(table(runs))
    picture(runs, args.output / "table.png", args.depth)
    print(table(runs))


def rows(runs: Runs, budget: Budget) -> list[dict]:
    """A row for each run."""
    own = {"depth": budget.depth, "epochs": budget.epochs, "learning_rate": budget.learning_rate}
    own["precision"] = budget.precision
    return [
        {"title": variant.title, "model": variant.model, **own, "seed": seed}
        | {"training loss": run.loss, "test error %": run.error}
        for variant, each in runs.items()
        for seed, run in each.items()
    ]


if __name__ == "__main__":
    main()
