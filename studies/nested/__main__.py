"""Nested families: a shallow pre-activated network, deepened and trained on, against deep ones from scratch.

    python -m studies.nested --epochs=24 --seeds=3 --output=OUT                        digits
    python -m studies.nested --epochs=2 --ways=20,14-20 --output=OUT                   the smoke version, seconds
    python -m studies.nested --epochs=24 --ways=56,20-56,20-38-56 --output=OUT         progressive deepening alone

A way is the depths that a network goes through: "56" is trained from scratch, "20-56" is trained at 20 layers and
deepened to 56 once, "20-38-56" twice. Every way has the same number of steps, in equal shares for its depths. Each
share has the whole schedule of the learning rate. `kr.surgery.deepen` adds units that are the identity at first.

Every share is a run of `python -m train`, and ways that begin alike share it. What OUT holds already is not run again.
It writes OUT/runs.csv (a row for each way and seed) and OUT/table.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import results, spread, train, write_rows

HEAD = "| way | runs | training loss | test error, % |\n|---|---:|---:|---:|\n"


def table(rows: list[dict]) -> str:
    """The means by way, as Markdown."""
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        runs = [row for row in rows if row["way"] == way]
        cells = [spread(row[name] for row in runs) for name in ("training loss", "test error %")]
        lines.append(f"| {way} | {len(runs)} | {' | '.join(cells)} |\n")
    return HEAD + "".join(lines)


def taken(way: list[int], seed: int, args: argparse.Namespace) -> dict[str, float]:
    """The figures at the end of a way; runs what is missing."""
    epochs, before, found = args.epochs // len(way), None, {}
    for i, depth in enumerate(way):
        run = "-".join(f"{each}x{epochs}" for each in way[: i + 1]) + f"-seed{seed}"
        done = results(args.output, run, epochs)
        if done is None:
            start = ("--model=PreActResNet", f"--depth={depth}")
            if before:
                start = (f"--initial_model={deepened(args.output, before, run, depth)}",)
            train(args.output, run, f"--dataset={args.dataset}", *start, f"--epochs={epochs}", f"--seed={seed}")
            done = results(args.output, run, epochs)
        before, found = run, done
    return found


def deepened(output: Path, before: str, run: str, depth: int) -> Path:
    """The file of the last network of a run, deepened."""
    path = output / f"{run}.keras"
    if not path.exists():
        from keras_resunits import surgery
        from train.evaluation.networks import checkpoint_network, chosen_checkpoint
        from train.process.files import whole
        from train.run.folder import Run

        old = Run(output, before)
        model = surgery.deepen(checkpoint_network(old, chosen_checkpoint(old)).model, depth=depth)
        with whole(path) as unfinished:
            model.save(unfinished)
    return path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--ways", default="38,20-38,56,20-56,20-38-56", help="depths, 6n + 2 each")
    parser.add_argument("--epochs", type=int, default=24, help="of a whole way; its number of depths divides it")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each way")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    args = parser.parse_args()
    ways = {way: [int(depth) for depth in way.split("-")] for way in args.ways.split(",")}
    if uneven := [way for way, depths in ways.items() if args.epochs % len(depths)]:
        parser.error(f"--epochs must be divisible by the number of depths of each way; {uneven[0]} has another")
    rows = []
    for seed in range(args.seeds):
        for way, depths in ways.items():
            rows.append({"way": way, "epochs": args.epochs, "seed": seed, **taken(depths, seed, args)})
            write_rows(args.output / "runs.csv", rows)
            (args.output / "table.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
