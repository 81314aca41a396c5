"""The command that makes a trained network smaller: rank its units, drop the least important, train on, export."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields, replace

from .process.commands import Entry, Parser, command, positive
from .process.errors import BadInput
from .process.files import digest, stored, whole
from .process.startup import importing, require_tensorflow_backend
from .run.folder import Run, new_run
from .settings.config import Config, read
from .settings.sections import Command, Network

INTRODUCTION = """Make a trained network smaller: rank its units, drop the least important, train on, export.

    {compress} digits-gatedresnet20 --by=gate --budget=0.7
        drop units of a run, by name or folder, until 70 % of its multiply-adds are left; train 5 epochs, export

Units are ranked on validation images, or on training images where there is no validation split.
Writes runs/NAME/ and saved_models/NAME/ beside those of the run. The pruned network is runs/NAME/initial.keras;
accuracy and latency on the way are in runs/NAME/pruning.csv and pruning.png.
Exit codes: those of the training command.
"""
RANKING, MEASURING = 512, 2000
"""The most images that units are ranked on, and that accuracy is measured on."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog=command("compress"),
        description=INTRODUCTION.format(compress=command("compress")).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="RUN", help="the run whose network is pruned, in its best or last state, as it is exported")
    add("--by", default="ratio", help="the importance of a unit: gate, lesion, ratio (default), taylor or random")
    add("--budget", type=float, default=0.7, metavar="B", help="share of the multiply-adds to keep; 0.7 by default")
    add("--epochs", type=positive, default=5, metavar="N", help="epochs of training afterwards; 5 by default")
    add("--learning_rate", type=float, metavar="R", help="its highest rate; by default a tenth of the run's")
    add("--run", metavar="NAME", help="the name of the new run; by default RUN-pruned")
    return parser.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Prune the run's network, train on from it, and print what each step cost and kept."""
    require_tensorflow_backend()
    with importing():
        from keras_resunits import surgery
        from keras_resunits.surgery.costs import table

        from .data.datasets import load
        from .evaluation.classifiers import near_runs, run_folder
        from .evaluation.exporting import one_line
        from .evaluation.networks import checkpoint_network, chosen_checkpoint
        from .evaluation.tables import write_table
        from .program import train

    folder = run_folder(arguments.model)
    old = Run.at(folder) if folder else None
    checkpoint = chosen_checkpoint(old) if old else None
    if old is None or checkpoint is None:
        raise BadInput(f"{arguments.model} must be a run with a checkpoint.{near_runs(arguments.model)}")
    config = read(old.config)
    new = new_run(str(old.output), arguments.run, f"{old.name}-pruned")
    path = old.folder / f"{new.name}.keras"
    tuning = tuned(config, str(path), arguments.epochs, arguments.learning_rate)
    tuning = replace(tuning, files=old.code_files(config.code, {}))
    trained = checkpoint_network(old, checkpoint)
    data = load(config.source, config.augmenting.streamed, config.recipe.seed, earlier=old.earlier)
    ranking = examples(data.testing_on("validation" if data.selects else "train"), RANKING, trained.preprocessing)
    with one_line(f"--by={arguments.by} --budget={arguments.budget:g}"):
        pruned = surgery.prune(
            trained.model, arguments.by, budget=arguments.budget, images=ranking[0], labels=ranking[1]
        )
    print(f"{trained.title}: dropped {', '.join(pruned.dropped) or 'nothing'}", flush=True)
    with stored(str(path)), whole(path) as unfinished:
        pruned.model.save(unfinished)
    again = f"{command('train')} {shlex.join([f'--output={old.output}', f'--run={new.name}', '--resume'])}"
    try:
        train(
            replace(tuning, initial_digest=digest(path), initial_copy=None),
            new,
            Command(output=str(old.output), run=new.name),
            again,
        )
    finally:
        if new.initial.exists() or not new.begun:  # a run has its copy once it trains
            path.unlink()
    last = chosen_checkpoint(new)
    assert last is not None  # it has just been trained
    images, labels = examples(data, MEASURING, trained.preprocessing)
    network = checkpoint_network(new, last).model
    curve = surgery.pruning_curve(trained.model, pruned.dropped, images, labels, tuned=network)
    rows, picture = new.pruning
    write_table(rows, list(curve.rows[0]), [[*row.values()] for row in curve.rows])
    with whole(picture) as unfinished:
        curve.plot().figure.savefig(unfinished)
    print(f"\n{table(curve.costs)}\nmeasured on {len(labels):,} {data.tested} images")
    print(f"curve         {picture}, {rows.name}")


def tuned(config: Config, path: str, epochs: int, rate: float | None) -> Config:
    """The configuration of training on: the run's, from a file, with fewer epochs and a lower rate.

    Raises:
        BadInput: for a rate that is not positive.
    """
    own = dict.fromkeys(("freeze", "rates"))  # their patterns are of the whole network
    network = {each.name: None for each in fields(Network)} | {"precision": "float32", "initial_model": path}
    recipe = {"epochs": epochs, "learning_rate": config.recipe.learning_rate / 10 if rate is None else rate}
    return Config.of({**config.flat, **own, **network, **recipe})


def examples(data, count: int, preprocessing):
    """Up to `count` of the test images, spread over all of them and normalised, and their labels."""
    import numpy as np

    from .data.batches import test_batches

    every = -(-data.test_count // count)
    images, labels, begin = [], [], 0
    for batch, classes, weights in test_batches(data, 128).as_numpy_iterator():
        chosen = [place for place in range(-begin % every, len(batch), every) if weights[place] > 0]
        images.append(batch[chosen])
        labels.append(classes[chosen])
        begin += len(batch)
    pixels = np.concatenate(images).astype("float32")
    if pixels.ndim > 4:
        raise BadInput("networks are not pruned on ten crops of each image: train with another --test_view.")
    return np.asarray(preprocessing(pixels)), np.concatenate(labels).astype("int64")


entry = Entry("compress", parse, main)

if __name__ == "__main__":
    entry()
