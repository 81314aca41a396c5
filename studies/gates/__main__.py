"""The gates of trained networks of several depths (Savarese et al. 2016, sec. 5).

    python -m studies.gates --epochs=20 --seeds=3 --output=OUT                         digits, minutes
    python -m studies.gates --epochs=1 --depths=8 --output=OUT                         the smoke version, seconds

Every run is `python -m train --model=GatedResNet`. What OUT holds already is not trained again. It writes OUT/gates.csv
(a row a run and unit), OUT/table.md and OUT/gates.png.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import finished, spread, trained, write_rows

HEAD = """\
| depth | units | runs | test error, % | mean gate, first third of the units | second | last | lowest gate |
|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--depths", default="20,38,56,110", help="6n + 2 each")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each depth")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    args = parser.parse_args()
    import keras_resunits as kr  # late: --help takes no seconds

    rows: list[dict] = []
    for depth in map(int, args.depths.split(",")):
        for seed in range(args.seeds):
            run = f"gated{depth}-{args.epochs}-{seed}"
            flags = (f"--dataset={args.dataset}", "--model=GatedResNet", f"--depth={depth}", f"--seed={seed}")
            error = finished(args.output, run, args.epochs, *flags)["test error %"]
            gates = kr.gates(trained(args.output, run, most=1)[0])
            same = {"depth": depth, "epochs": args.epochs, "seed": seed, "test error %": error}
            rows += [{**same, "unit": unit, "gate": gate} for unit, gate in gates.items()]
            write_rows(args.output / "gates.csv", rows)
            (args.output / "table.md").write_text(table(rows))
    draw(rows, args.output / "gates.png")
    print(table(rows))


def table(rows: list[dict]) -> str:
    """Means over the runs of a depth, as Markdown."""
    lines = []
    for depth in dict.fromkeys(row["depth"] for row in rows):
        chosen = [row for row in rows if row["depth"] == depth]
        runs = {seed: [row for row in chosen if row["seed"] == seed] for seed in {row["seed"] for row in chosen}}
        gates = [[row["gate"] for row in units] for units in runs.values()]
        third = len(gates[0]) // 3
        parts = (slice(third), slice(third, 2 * third), slice(2 * third, None))
        figures = [
            spread(units[0]["test error %"] for units in runs.values()),
            *(spread(statistics.mean(each[part]) for each in gates) for part in parts),
            spread(map(min, gates)),
        ]
        lines.append(f"| {depth} | {len(gates[0])} | {len(runs)} | {' | '.join(figures)} |\n")
    return HEAD + "".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """The gates over the units, a panel for each depth, a line for each run."""
    from matplotlib.figure import Figure

    from keras_resunits.analysis.drawing import COLOURS, finished

    depths = list(dict.fromkeys(row["depth"] for row in rows))
    figure = Figure((3.2 * len(depths), 3.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
    for depth, ax in zip(depths, panels, strict=True):
        for seed in dict.fromkeys(row["seed"] for row in rows if row["depth"] == depth):
            gates = [row["gate"] for row in rows if (row["depth"], row["seed"]) == (depth, seed)]
            ax.plot(gates, ".-", color=COLOURS[seed % len(COLOURS)], label=f"seed {seed}", linewidth=1)
        finished(ax, f"{depth} layers", "unit", "gate" if depth == depths[0] else "", legend=depth == depths[0])
        ax.axhline(1, color="0.6", linewidth=0.8, linestyle=":")  # where every gate starts
    panels[0].set_ylim(0, 1.05 * max(row["gate"] for row in rows))  # of all panels
    figure.savefig(path)


if __name__ == "__main__":
    main()
