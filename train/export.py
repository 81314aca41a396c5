"""The command that exports a run, or a `.keras` file, for serving."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .process.commands import Entry, Parser, add_state, command, positive, separated
from .process.errors import BadInput
from .process.files import local, stored
from .process.startup import importing, require_tensorflow_backend
from .settings.sections import Serving, Source

INTRODUCTION = """Export a run, or a .keras file, for TensorFlow Serving.

    {export} digits-preactresnet20
        a run, by name or folder: its best state if it has a validation split, else the last
    {export} resnet20.keras --mean=cifar10 --class_names=plane,car,bird,cat,deer,dog,frog,horse,ship,truck
        a .keras file, with the statistics of its weights
    {export} digits-preactresnet20 --keep=3 --kit
        ... and keep three versions, with configurations of servers beside them
    {export} digits-preactresnet20 --formats=onnx,openvino,litert_int8 --serving_precision=bfloat16
        ... and files for other runtimes, and a SavedModel that computes in bfloat16

Writes the next version to saved_models/NAME/, or to --output.
Exit codes: 0 done; 2 a mistake in the arguments or files; 4 the disk is full. Errors are reported in one line.
"""


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line, and check what can be checked without reading files."""
    parser = Parser(
        prog=command("export"),
        description=INTRODUCTION.format(export=command("export")).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="RUN|MODEL.keras", help="the network to export, or a trained one by name")
    add("--output", metavar="DIR", help="the folder of versions; by default saved_models/NAME, beside a run's runs/")
    add_state(parser)
    add(
        "--class_names",
        type=separated,
        metavar="A,B,...",
        help="names of the classes; by default those of the run, or 0,1,...",
    )
    read: dict[str, Callable[[str], Any]] = {
        "top_k": positive,
        "formats": separated,
        "accuracy_tolerance": float,
    }
    for each in fields(Serving):
        many, choices = each.name == "formats", each.metadata["bounds"].choices
        add(
            f"--{each.name}",
            type=read.get(each.name, str),
            choices=None if many else choices or None,
            metavar="A,B,..." if many else None if choices else "N",
            help=f"{each.metadata['help']} A run's own setting is its default.",
        )
    add("--dataset", metavar="DATA", help="images for --formats or --serving_precision of a .keras file")
    add(
        "--batch_sizes",
        type=_sizes,
        metavar="1,2,...",
        help="the batch sizes of a server; by default powers of 2 up to 32",
    )
    add("--keep", type=positive, metavar="N", help="remove all but the N newest versions; by default keep all")
    add("--kit", action="store_true", help="write configurations of servers to DIR/kit")
    add(
        "--normalize",
        choices=("auto", "none"),
        default="auto",
        help="'none' if a .keras file without a layer that normalises expects raw pixels, 0..255",
    )
    add("--mean", metavar="R,G,B", help="mean of the pixels, scaled to 0..1, that a .keras file was trained with")
    add("--std", metavar="R,G,B", help="standard deviation of the same pixels; 'imagenet' and 'cifar10' state both")
    return parser.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Open the network, export it, check the answers, and print where it is."""
    require_tensorflow_backend()
    with importing():
        from keras_resunits import serving_kit

        from .data.datasets import bad_images_named
        from .evaluation.check import check_on_noise
        from .evaluation.exporting import export, in_words, one_line

    given = {each.name: getattr(arguments, each.name) for each in fields(Serving)}
    given = {name: value for name, value in given.items() if value is not None}
    network, output, serving, data = opened(arguments, Serving(**given))
    differences: list[float] = []
    options = {name: value for name in ("batch_sizes", "keep") if (value := getattr(arguments, name)) is not None}
    reading = bad_images_named(data) if data else nullcontext()
    with one_line(arguments.model), stored(f"the export to {output}"), reading:
        version, accuracies = export(
            network,
            output,
            serving,
            data,
            lambda folder: differences.append(check_on_noise(folder, network.model, network.preprocessing)),
            class_names=arguments.class_names or network.class_names,
            **options,
        )
    norms = json.loads((version / "metadata.json").read_text())["norms"]
    print(f"{network.title}: {norms['folded']} norms folded into weights, {norms['kept']} left")
    print(f"exported      {version} (its answers differ from the network's by at most {differences[0]:.0e})")
    if accuracies:
        print(f"accuracy      {in_words(accuracies, data.test_count)}")
    if arguments.kit:
        with one_line("--kit"), stored(f"the kit in {output}"):
            print(f"kit           {serving_kit(output)}")


def opened(arguments: argparse.Namespace, serving: Serving):
    """The network, the folder of its versions, the options of its export, and images if these require some.

    Raises:
        BadInput: if there is no such network, or an option does not go with it.
    """
    from keras_resunits.converters.statistics import statistics_of

    from .data.datasets import identity, load
    from .evaluate import require_own_data
    from .evaluation.classifiers import file_of, near_runs, run_folder
    from .evaluation.networks import checkpoint_network, chosen_checkpoint, keras_network
    from .run.folder import Run
    from .settings.config import read

    try:
        statistics = statistics_of(arguments.mean, arguments.std)
    except ValueError as error:
        raise BadInput(str(error)) from error
    arguments.model = file_of(arguments.model)
    given = arguments.output and local(arguments.output, "--output", plain=True)
    path, folder = Path(arguments.model).expanduser(), run_folder(arguments.model)
    if folder is None:
        if path.suffix != ".keras" or not path.is_file():
            near = near_runs(arguments.model)
            raise BadInput(f"{arguments.model} must be a run (config.json) or a .keras file.{near}")
        if arguments.state:
            raise BadInput(f"--state={arguments.state} has no effect on {arguments.model}: it is of a run's states.")
        network = keras_network(path, arguments.normalize, statistics)
        data = load(replace(Source(), dataset=arguments.dataset)) if arguments.dataset else None
        return network, given or Path("saved_models") / path.stem, serving, data
    if statistics or arguments.normalize != "auto" or arguments.dataset:
        raise BadInput(
            f"--mean, --std, --normalize, --dataset are for a .keras file; {arguments.model} has its own statistics."
        )
    run = Run.at(folder.resolve())
    if (checkpoint := chosen_checkpoint(run, arguments.state)) is None:
        raise BadInput(f"{folder} has no undamaged checkpoint to export.")
    config, network, data = read(run.config), checkpoint_network(run, checkpoint), None
    serving = Serving(**{**config.serving.given, **serving.given})
    if serving.formats or serving.faster:
        data = load(config.source, config.augmenting.streamed, config.recipe.seed, earlier=run.earlier)
        require_own_data(run, identity(data))
    return network, given or run.saved_models, serving, data


def _sizes(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


entry = Entry("export", parse, main)

if __name__ == "__main__":
    entry()
