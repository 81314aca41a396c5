"""What each part of `train/configs/fast_cifar.py` gives: the recipe, and runs of equal time without one part each.

    python -m studies.fast_cifar --dataset=FOLDER --output=OUT                  CIFAR-10, three seeds of the recipe
    python -m studies.fast_cifar --dataset=SMALL --depth=8 --epochs=1 --seeds=1 --output=OUT     minutes

Runs without a part have the epochs that take as long as the recipe's on the machine of the results' page. Every run is
`python -m train`; what OUT holds already is not run again. OUT/runs.csv has a row for each run, OUT/table.md the means.
`python -m studies.fast_cifar.in_torch FOLDER` is the recipe in PyTorch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scipy.special import softmax

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import finished, spread, trained, write_rows
from train.configs.fast_cifar import config

VARIANTS = {  # name, epochs, flags
    "full": (config()["epochs"], ()),
    "full size": (16, ("--sizes=32",)),
    "float32": (15, ("--precision=float32",)),
    "steps": (config()["epochs"], ("--schedule=steps", "--learning_rate=0.1")),
    "label smoothing": (config()["epochs"], ("--label_smoothing=0.1",)),
    "averages": (config()["epochs"], ("--ema=0.998",)),
}
COLUMNS = ("test accuracy %", "mirrored %")


def accuracies(output: Path, run: str) -> tuple[float, ...]:
    """Percent of test images that a run's network classifies rightly: as they are, and with their mirror images."""
    model, images, labels = trained(output, run, most=1_000_000)
    one, other = (softmax(model.predict(each, 500, verbose=0), -1) for each in (images, images[:, :, ::-1]))
    return tuple(100 * float((answers.argmax(-1) == labels).mean()) for answers in (one, one + other))


def table(rows: list[dict]) -> str:
    """The means by variant, as Markdown."""
    lines = [f"| | epochs | runs | {' | '.join(COLUMNS)} |", "|---|---:|---:|" + "---:|" * len(COLUMNS)]
    for name in dict.fromkeys(row["variant"] for row in rows):
        runs = [row for row in rows if row["variant"] == name]
        cells = [spread(row[column] for row in runs) for column in COLUMNS]
        lines.append(f"| {name} | {runs[0]['epochs']} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="as for `python -m train`")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    parser.add_argument("--only", default=",".join(VARIANTS), help=f"of {', '.join(VARIANTS)}; separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="runs of the recipe; one of each other")
    parser.add_argument("--epochs", type=int, help="of every run, in place of the study's")
    parser.add_argument("--depth", type=int, default=config()["depth"])
    args = parser.parse_args()
    if unknown := [name for name in args.only.split(",") if name not in VARIANTS]:
        parser.error(f"--only must be of {', '.join(VARIANTS)}; got {unknown[0]}")
    rows: list[dict] = []
    for name in args.only.split(","):
        epochs, flags = VARIANTS[name]
        epochs = args.epochs or epochs
        for seed in range(args.seeds if name == "full" else 1):
            run = f"{name.replace(' ', '_')}-{seed}"
            line = ("--config=fast_cifar", f"--dataset={args.dataset}", f"--depth={args.depth}", f"--seed={seed}")
            finished(args.output, run, epochs, *line, *flags)
            found = accuracies(args.output, run)
            rows.append({"variant": name, "epochs": epochs, "seed": seed, **dict(zip(COLUMNS, found, strict=True))})
            write_rows(args.output / "runs.csv", rows)
            (args.output / "table.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
