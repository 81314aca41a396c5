"""Degradation: plain and residual networks of growing depth (He et al. 2015, Fig. 1 and 6).

    python -m studies.degradation --epochs=20 --output=OUT               digits, one seed
    python -m studies.degradation --epochs=1 --depths=8 --output=OUT     the smoke version, seconds

A plain network that is deep enough has a higher *training* error than a shallow one. A pre-activated one has not.
Every run is `python -m train`. What OUT holds already is not run again, so the study can be stopped and resumes, and
can be given more seeds. It writes OUT/runs.csv (a row a run) and OUT/table.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import finished, spread, write_rows

MODELS = ("PlainNet", "PreActResNet")
HEAD = (
    "| network | depth | runs | training loss | training error, % | test error, % |\n|---|---:|---:|---:|---:|---:|\n"
)


def table(rows: list[dict]) -> str:
    """The means by network and depth, as Markdown."""
    lines = []
    for model, depth in dict.fromkeys((row["model"], row["depth"]) for row in rows):
        runs = [row for row in rows if (row["model"], row["depth"]) == (model, depth)]
        cells = [spread(row[name] for row in runs) for name in ("training loss", "training error %", "test error %")]
        lines.append(f"| {model} | {depth} | {len(runs)} | {' | '.join(cells)} |\n")
    return HEAD + "".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--depths", default="20,56,110", help="6n + 2 each")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each network")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    args = parser.parse_args()
    rows = []
    for seed in range(args.seeds):
        for depth in map(int, args.depths.split(",")):
            for model in MODELS:
                run = f"{model.lower()}{depth}-{args.epochs}-{seed}"
                flags = (f"--dataset={args.dataset}", f"--model={model}", f"--depth={depth}", f"--seed={seed}")
                found = finished(args.output, run, args.epochs, *flags)
                rows.append({"model": model, "depth": depth, "epochs": args.epochs, "seed": seed, **found})
                write_rows(args.output / "runs.csv", rows)
                (args.output / "table.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
