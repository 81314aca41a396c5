"""The command that evaluates a trained network: accuracy, scores by class, calibration, the worst mistakes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from .process.commands import Entry, Parser, add_state, command, positive, separated
from .process.errors import BadInput
from .process.files import local, stored, whole
from .process.startup import importing, require_tensorflow_backend
from .run.folder import Run
from .settings.config import Config, read

INTRODUCTION = """Evaluate a trained network: accuracy, top-5, scores by class, calibration, the worst mistakes.

    {evaluate} digits-preactresnet20
        a run, by name or folder, on its own test images
    {evaluate} runs/digits-preactresnet20 my.npz
        ... on other images
    {evaluate} resnet20.keras cifar10 --mean=0.4914,0.4822,0.4465 --std=0.2023,0.1994,0.2010
        a .keras file, with the statistics of its weights
    {evaluate} saved_models/digits/1 digits
        a SavedModel, or the folder of its versions

Writes evaluation.json, classes.csv, images.csv, confusion.png, calibration.png and mistakes.png to the run's folder, or
to --output.
Exit codes: 0 done; 2 a mistake in the arguments or files; 3 NaN or infinite answers; 4 the disk is full.
Errors are reported in one line.
"""


TABLE = ("labels", "image_column", "label_column")


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line, and check what can be checked without reading files."""
    parser = Parser(
        prog=command("evaluate"),
        description=INTRODUCTION.format(evaluate=command("evaluate")).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="RUN|MODEL.keras|SAVEDMODEL", help="the network to evaluate, or a trained one by name")
    add(
        "data",
        metavar="DATA",
        nargs="?",
        help="images, as for the training command's --dataset; by default the run's own",
    )
    add(
        "--split",
        choices=("test", "validation", "train"),
        help="the images to evaluate on; test by default, or validation where there is no test split",
    )
    add("--flips", action="store_true", help="average the answers for each image and its mirror image")
    add_state(parser)
    add("--output", metavar="FOLDER", help="the folder for the results; by default RUN/evaluation, or evaluations/NAME")
    add("--batch_size", type=positive, default=128, metavar="N", help="images per batch; 128 by default")
    add("--image_size", type=positive, metavar="N", help="resize DATA's images to this height and width")
    add(
        "--test_view",
        choices=("paper", "central", "ten_crop"),
        help="the view of images of any size (--image_size, 224 by default), as in training",
    )
    add(
        "--class_names",
        type=separated,
        metavar="A,B,...",
        help="names of DATA's classes, in the order of the labels",
    )
    add("--labels", metavar="CSV", help="the table of labels of DATA, as in training")
    add("--image_column", metavar="NAME", help="the column of --labels with file names or ids")
    add("--label_column", metavar="NAME", help="the column of --labels with labels")
    add("--data_dir", metavar="FOLDER", help="the folder of tensorflow-datasets' data")
    add("--skip_bad_images", action="store_true", help="skip images of a folder that cannot be read")
    add(
        "--normalize",
        choices=("auto", "data", "none"),
        help="the pixels that a .keras file expects: 'data', normalised by the mean and variance of DATA's training "
        "images, as in training; 'none', raw pixels, 0..255; or 'auto', raw if the model itself normalises (default)",
    )
    add(
        "--mean",
        metavar="R,G,B",
        help="mean of the pixels, scaled to 0..1, that a .keras file was trained with, instead of that of DATA; "
        "'imagenet' and 'cifar10' state mean and deviation",
    )
    add("--std", metavar="R,G,B", help="standard deviation of the same pixels")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.data == "":
        parser.error("DATA is empty (an unset variable?); leave it out for a run's own images")
    return arguments


def main(arguments: argparse.Namespace) -> None:
    """Read the data and the network, evaluate, write and print the results."""
    require_tensorflow_backend()
    with importing():
        from keras_resunits.converters.statistics import statistics_of

        from .data.batches import test_batches
        from .data.datasets import bad_images_named, identity, load
        from .evaluation.classifiers import file_of, open_classifier, require_classifier, run_folder, with_mirrors
        from .evaluation.judge import judge, made, report, shape, summary, write

    arguments.model = file_of(arguments.model)
    require_classifier(arguments.model)
    try:
        statistics = statistics_of(arguments.mean, arguments.std)
    except ValueError as error:
        raise BadInput(str(error)) from error
    folder = run_folder(arguments.model)
    if arguments.normalize and (folder or Path(arguments.model).suffix != ".keras"):
        raise BadInput(
            f"--normalize={arguments.normalize} has no effect on {arguments.model}: runs and SavedModels normalise as "
            "they were trained."
        )
    if arguments.state and not folder:
        raise BadInput(f"--state={arguments.state} has no effect on {arguments.model}: it is of a run's states.")
    config = judged_on(arguments, folder)
    source, own = config.source, folder and arguments.data is None and Run.at(folder)
    beside = folder / "evaluation" if folder else default_output(arguments.model)
    output = beside if arguments.output is None else local(arguments.output, "--output")
    # images of any size are streamed, not resized to one
    streamed = bool(arguments.test_view) or config.augmenting.streamed
    data = load(source, streamed, config.recipe.seed, bool(own and own.earlier), lone=arguments.data is not None)
    if own:
        require_own_data(own, identity(data))
    split = arguments.split or data.tested
    data = data.testing_on(split)
    classifier = open_classifier(arguments.model, data, arguments.normalize or "auto", statistics, arguments.state)
    if arguments.flips:
        classifier = with_mirrors(classifier)
    if data.image_shape != classifier.image_shape:
        raise BadInput(
            f"{arguments.model} expects images of {shape(classifier.image_shape)}, but {source.dataset} has "
            f"{shape(data.image_shape)}; --image_size resizes those of a folder or a tensorflow-datasets set."
        )
    with made(output):  # before the evaluation, which takes long
        batches = test_batches(data, arguments.batch_size)
        with bad_images_named(data):
            judged = judge(classifier, batches, list(data.class_names or ()))
        result = summary(judged, classifier.title, source.dataset, split)
        with stored(str(output)):
            write(judged, batches, output, partial(data.file_of, split))
            with whole(output / "evaluation.json") as unfinished:
                unfinished.write_text(json.dumps(result, indent=2) + "\n")
    report(result, judged, output)


def judged_on(arguments: argparse.Namespace, folder: Path | None) -> Config:
    """The configuration that says which images: the run's own, unless the command line overrides them."""
    if folder is None and arguments.data is None:
        raise BadInput(f"{arguments.model} is not a run: pass DATA, the images to evaluate it on; see --help.")
    own = read(folder / "config.json") if folder is not None and arguments.data is None else Config()
    given = {"dataset": arguments.data and os.path.expanduser(arguments.data)}
    options = ("image_size", "class_names", "data_dir", "skip_bad_images", "test_view", *TABLE)
    given |= {name: getattr(arguments, name) for name in options}
    return replace(own, source=replace(own.source, **{name: value for name, value in given.items() if value}))


def require_own_data(run: Run, seen: dict) -> None:
    """Refuse to evaluate a run on its own data if they have changed."""
    if not run.data.exists():
        print(f"evaluate: {run.data} is missing: the data cannot be compared with the run's.", file=sys.stderr)
    elif changed := run.changed_data(seen):
        raise BadInput(
            f"the data are not those that the run started with: {'; '.join(changed)}. Pass DATA to evaluate on others."
        )


def default_output(model: str) -> Path:
    """`evaluations/NAME` in the current folder, not among the versions that a server may watch.

    >>> default_output("saved_models/digits/1").as_posix(), default_output("/some/resnet20.keras").as_posix()
    ('evaluations/digits-1', 'evaluations/resnet20')
    """
    path = Path(model).expanduser().resolve()
    name = f"{path.parent.name}-{path.name}" if path.name.isdecimal() else path.stem
    return Path("evaluations") / name


entry = Entry("evaluate", parse, main)

if __name__ == "__main__":
    entry()
