"""Units deleted, removed and exchanged, in residual networks and a plain one (Veit et al. 2016, sec. 4.1 and 4.2).

    python -m studies.lesions --epochs=20 --output=OUT                                           digits, minutes
    python -m studies.lesions --epochs=1 --depth=14 --plain_depth=14 --images=32 --output=OUT    the smoke version

A pre-activated, a gated and a plain network are trained by `python -m train`. On test images, the study measures the
error without each unit, with several removed by each criterion, and with units exchanged. What OUT holds already is not
trained again. It writes OUT/lesions.csv, OUT/removal.csv and OUT/reorder.csv (a row a measurement), OUT/table.md and
OUT/lesions.png. The plain network is shallower: as deep as the others it hardly learns (see `studies.degradation`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import finished, trained, write_rows

HEAD = """\
| network | test error, % | one unit deleted: median | highest | half of the units removed: best criterion | random |\
 exchanged at random |
|---|---:|---:|---:|---:|---:|---:|
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--depth", type=int, default=56, help="of the residual networks, 6n + 2")
    parser.add_argument("--plain_depth", type=int, default=20, help="of the plain network, 6n + 2")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=1000, help="test images that are measured on, at most")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    args = parser.parse_args()
    depths = {"PreActResNet": args.depth, "GatedResNet": args.depth, "PlainNet": args.plain_depth}
    found = {}
    for model, depth in depths.items():
        run = f"{model.lower()}{depth}-{args.epochs}"
        finished(args.output, run, args.epochs, f"--dataset={args.dataset}", f"--model={model}", f"--depth={depth}")
        found[f"{model}-{depth}"] = measured(args.output, run, args.images)
    for kind in ("lesions", "removal", "reorder"):
        write_rows(args.output / f"{kind}.csv", rows(found, kind))
    (args.output / "table.md").write_text(table(found))
    draw(found, args.output / "lesions.png")
    print(table(found))


def measured(output: Path, run: str, images: int) -> dict[str, Any]:
    """The three records of a run's network, on this many images at most."""
    from keras_resunits import analysis

    network = trained(output, run, images)
    return {
        "lesions": analysis.lesions(*network),
        "removal": analysis.removal(*network),
        "reorder": analysis.reorder(*network),
    }


def rows(found: Mapping[str, Mapping[str, Any]], kind: str) -> list[dict]:
    """The rows of one kind of record, of all networks; a criterion that a network lacks is left empty."""
    made = [{"network": name, **row} for name, records in found.items() for row in records[kind].rows]
    columns = dict.fromkeys(column for row in made for column in row)
    return [{column: row.get(column, "") for column in columns} for row in made]


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The errors in percent by network, as Markdown."""
    import numpy as np

    lines = []
    for name, records in found.items():
        removal, each = records["removal"], 100 * records["lesions"].arrays["error"]
        half = {by: 100 * removal.arrays[by][len(removal.rows) // 2] for by in removal.orders}
        by = min((by for by in half if by != "random"), key=half.__getitem__)
        cells = [100 * records["lesions"].whole, np.nanmedian(each), np.nanmax(each)]
        best = f"{half[by]:.1f} ({by})"
        last = [half["random"], 100 * records["reorder"].arrays["error"][-1]]
        figures = [*(f"{cell:.1f}" for cell in cells), best, *(f"{cell:.1f}" for cell in last)]
        lines.append(f"| {name} | {' | '.join(figures)} |\n")
    return HEAD + "".join(lines)


def draw(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A row of three pictures for each network."""
    from matplotlib.figure import Figure

    figure = Figure((13, 3.2 * len(found)), dpi=100, layout="constrained")
    for (name, records), axes in zip(found.items(), figure.subplots(len(found), 3, squeeze=False), strict=True):
        for record, ax in zip(records.values(), axes, strict=True):
            record.plot(ax)
            ax.set_ylim(0, 120)  # room for the legend
            ax.set_yticks(range(0, 101, 20))
        axes[0].set_ylabel(f"{name}\nerror, %")
    figure.savefig(path)


if __name__ == "__main__":
    main()
