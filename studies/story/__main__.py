"""The story in one picture: gradients of five networks, before training and after (He et al. 2016, Eq. 4 to 8).

    python -m studies.story --depth=110 --epochs=20 --output=OUT               digits, minutes
    python -m studies.story --depth=8 --epochs=1 --output=OUT                  the smoke version, a minute

Plain, scaled by 0.5, exclusively gated, original and pre-activated networks are trained by `python -m train`, and
measured on test images before and after. What OUT holds already is not trained again. It writes OUT/rows.csv (a row
a network and unit), OUT/table.md and OUT/story.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `studies`, from whatever folder it is started

from studies.runs import finished, trained, write_rows

NETWORKS = {
    "plain": ("--model=PlainNet",),
    "0.5 scaling": ("--model=ResNet", "--shortcut=constant_scaling"),
    "exclusive gating": ("--model=ResNet", "--merge=exclusive_gating"),
    "original": ("--model=ResNet",),
    "pre-activation": ("--model=PreActResNet",),
}
IMAGES = 64
HEAD = """\
| network | test error, % | gradient at the first unit, before | after | direct term, before | after |
|---|---:|---:|---:|---:|---:|
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--depth", type=int, default=110, help="6n + 2")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning_rate", type=float, default=0.01, help="short runs of deep networks fail at 0.1")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="separated by commas; default: all")
    parser.add_argument("--output", type=Path, required=True, help="the folder that gets everything")
    args = parser.parse_args()
    names = args.networks.split(",")
    if unknown := set(names) - set(NETWORKS):
        parser.error(f"--networks must be among {', '.join(NETWORKS)}; got {', '.join(sorted(unknown))}")
    runs = {name: f"{name.replace(' ', '-')}-{args.depth}-{args.epochs}" for name in names}
    flags = (f"--dataset={args.dataset}", f"--depth={args.depth}", f"--learning_rate={args.learning_rate}")
    ended = {name: finished(args.output, run, args.epochs, *NETWORKS[name], *flags) for name, run in runs.items()}
    draw(args.output, runs, {name: figures["test error %"] for name, figures in ended.items()})


def draw(output: Path, runs: dict[str, str], errors: dict[str, float]) -> None:
    """Measure the networks before training and after, and write the table and the picture."""
    import keras
    from matplotlib.figure import Figure

    from keras_resunits import analysis

    after = {name: trained(output, run, IMAGES) for name, run in runs.items()}
    images, labels = next(iter(after.values()))[1:]
    keras.utils.set_random_seed(0)
    fresh = {name: type(model).from_config(model.get_config()) for name, (model, *_) in after.items()}
    found = {
        "before training": analysis.compare(fresh, images, labels),
        "after training": analysis.compare({name: model for name, (model, *_) in after.items()}, images, labels),
    }
    rows = [{"when": when, **row} for when, each in found.items() for row in each.rows]
    write_rows(output / "rows.csv", rows)
    text = table(found, errors)
    (output / "table.md").write_text(text)
    figure = Figure((3 * len(runs), 3 * len(found)), dpi=100, layout="constrained")
    axes = figure.subplots(len(found), len(runs), sharex=True, sharey="row", squeeze=False)
    for (when, each), row in zip(found.items(), axes, strict=True):
        each.plot(row)
        row[0].set_ylabel(f"{when}\nnorm over that at the end")
    figure.savefig(output / "story.png")
    print(text)


def table(found, errors: dict[str, float]) -> str:
    """Gradient and direct term at the first unit, in shares of the gradient at the end, as Markdown."""
    lines = []
    for name, error in errors.items():
        arrays = [each.networks[name].arrays for each in found.values()]
        shares = [each[what][0] / each["gradient"][-1] for what in ("gradient", "direct") for each in arrays]
        lines.append(f"| {name} | {error:.2f} | {' | '.join(f'{share:.2g}' for share in shares)} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    main()
