"""Plan ImageNet on 8 to 256 accelerators: fit the model of a step to local workers, predict, draw.

    python -m benchmarks.scaling --workers=1,2,3,4 --statistics=synchronized,local --rows=docs/results/scaling.csv
    python -m benchmarks.planning docs/images/planning.png --page=docs/guide/imagenet.md

Nothing is measured here: the rows are those of `benchmarks.scaling`, the rates of decoding those in the table that
`benchmarks.input_pipeline` printed. Five tables come out: the measured steps beside the model, its constants, what they
predict for more such workers, the cores that a host needs, and a network's step on accelerators.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import fields

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import train  # noqa: F401, I001 -- says how TensorFlow starts

import keras

from benchmarks.planning import decoding, fitting, page, tables
from benchmarks.planning.messages import of_network
from benchmarks.planning.picture import Plans, draw
from benchmarks.planning.step import Cluster, Step, predicted
from keras_resunits import PreActResNet, create

HELP = {
    "accelerators": "of a host",
    "cores": "of a host",
    "images": "a second that one accelerator trains",
    "inside": "GB/s between the accelerators of a host",
    "between": "Gbit/s of a host to the others",
    "hop": "microseconds from one accelerator to the next",
    "decode": "images a second a core; by default as --rates has it",
}


def plans(model: keras.Model, sizes: list[int], batches: list[int], cluster: Cluster) -> Plans:
    """The steps to draw, by statistics and images a device, then by devices."""

    def step(size: int, kind: str, batch: int) -> Step:
        return predicted(of_network(model, size, kind), size, batch, cluster)

    return {(kind, batch): {n: step(n, kind, batch) for n in sizes} for batch in batches for kind in tables.KINDS}


def integers(text: str) -> list[int]:
    """Integers above 0, separated by commas."""
    numbers = [int(each) for each in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(f"{text} has a number below 1.")
    return numbers


def cluster_of(args: argparse.Namespace, decode: float) -> Cluster:
    """The cluster of the flags, with this rate of decoding where none is given."""
    given = {field.name: getattr(args, field.name) for field in fields(Cluster)}
    return Cluster(**{**given, "decode": decode if args.decode is None else args.decode})


def arguments() -> argparse.ArgumentParser:
    """The flags; the cluster's are its fields."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("picture", help="the file to draw")
    parser.add_argument("--rows", default="docs/results/scaling.csv", help="of benchmarks.scaling")
    parser.add_argument("--rates", default="docs/results/measured.md", help="the file with the input's table")
    parser.add_argument("--page", help="the .md file whose tables of the same columns are replaced")
    parser.add_argument("--model", default="resnet50", help="a network's name")
    parser.add_argument("--sizes", type=integers, default="8,16,32,64,128,256", help="numbers of accelerators")
    parser.add_argument("--batches", type=integers, default="256,64", help="images each; the table has the first")
    for field in fields(Cluster):
        default = None if field.name == "decode" else field.default
        parser.add_argument(f"--{field.name}", type=type(field.default), default=default, help=HELP[field.name])
    return parser


def main() -> None:
    """The command line."""
    parser = arguments()
    args = parser.parse_args()
    try:
        rates, rows = decoding.rates(args.rates), fitting.read(args.rows)
        cluster = cluster_of(args, rates[decoding.PLAIN])
        model, found = create(args.model), fitting.fitted(rows)
        made = [
            tables.fit(rows),
            tables.constants(found),
            tables.more_workers(found, PreActResNet(rows[0].depth), args.sizes),
            tables.decoding(rates, cluster.images),
            tables.plan(model, args.sizes, args.batches[0], cluster),
        ]
        draw(args.picture, plans(model, args.sizes, args.batches, cluster), cluster.cores)
        if args.page:
            page.put(args.page, made)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print("\n\n".join(made))


if __name__ == "__main__":
    main()
