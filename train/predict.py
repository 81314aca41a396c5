"""The command that classifies images with a trained network, and writes the classes to a csv file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .process.commands import Entry, Parser, add_state, command, positive, separated
from .process.errors import BadInput
from .process.files import local, stored
from .process.startup import importing, require_tensorflow_backend

INTRODUCTION = """Classify images with a trained network, and write the classes to a csv file.

    {predict} digits-preactresnet20 pictures/
        a run, by name or folder, and a folder of pictures
    {predict} runs/pets test/ --submission=sample_submission.csv
        ... in the format of a competition's sample
    {predict} runs/pets/model.keras test.csv --images=test/ --top_k=3
        a .keras file, and a csv file of names or ids of pictures
    {predict} saved_models/pets/1 images.npy --probabilities
        a SavedModel, or the folder of its versions, and an array of images

Writes predictions.csv, or --output, once all images are classified.
Exit codes: 0 done; 2 a mistake in the arguments or files; 3 NaN or infinite answers; 4 the disk is full. Errors are
reported in one line.
"""
SHOWN = 5  # classes


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line, and check what can be checked without reading files."""
    parser = Parser(
        prog=command("predict"),
        description=INTRODUCTION.format(predict=command("predict")).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="RUN|MODEL.keras|SAVEDMODEL", help="the network, or a trained one by name")
    add(
        "inputs",
        metavar="IMAGES|DIR|CSV|NPY",
        nargs="+",
        help="what to classify; folders are searched with their subfolders",
    )
    add("--output", default="predictions.csv", metavar="CSV", help="the file to write; predictions.csv by default")
    add(
        "--submission",
        metavar="CSV",
        help="a competition's sample: keep its columns and rows, and fill in the predictions",
    )
    add("--id_column", metavar="NAME", help="the sample's column of ids; by default the one that names the images")
    add("--top_k", type=positive, metavar="N", help="classes in a row, the likeliest first; 1 by default")
    add("--probabilities", action="store_true", help="write the probability of every class")
    add(
        "--images",
        metavar="DIR",
        help="the folder of the images that a csv file names; by default that of the csv file",
    )
    add("--column", metavar="NAME", help="the column of a csv file with the names of images; found by default")
    add("--batch_size", type=positive, default=128, metavar="N", help="images per batch; 128 by default")
    add("--skip_bad_images", action="store_true", help="leave out images that cannot be read")
    add("--flips", action="store_true", help="average the answers for each image and its mirror image")
    add_state(parser)
    add(
        "--class_names",
        type=separated,
        metavar="A,B,...",
        help="names of the classes, for a model that states none",
    )
    add(
        "--image_size",
        type=positive,
        metavar="N",
        help="height and width of the images, for a model that takes any size",
    )
    add(
        "--normalize",
        choices=("auto", "none"),
        default="auto",
        help="'none' if a .keras file without a layer that normalises expects raw pixels, 0..255",
    )
    add("--mean", metavar="R,G,B", help="mean of the pixels, scaled to 0..1, that a .keras file was trained with")
    add("--std", metavar="R,G,B", help="standard deviation of the same pixels; 'imagenet' and 'cifar10' state both")
    given = parser.parse_intermixed_args(argv)
    for flag in ("top_k", "probabilities", "skip_bad_images"):
        if given.submission and getattr(given, flag):
            parser.error(f"--{flag} has no effect with --submission: the sample states rows and columns")
    if given.id_column and not given.submission:
        parser.error(f"--id_column={given.id_column} has no effect without --submission")
    return given


def main(arguments: argparse.Namespace) -> None:
    """Open the network, find the images, and write a row for each."""
    require_tensorflow_backend()
    with importing():
        from .evaluation.inputs import Sight, find_inputs
        from .evaluation.judge import made
        from .evaluation.predicting import in_words, predict
        from .evaluation.submission import Form, Plain, submission

    classifier = opened(arguments)
    classes, shape = named(arguments, classifier), sized(arguments, classifier)
    output = output_of(arguments)
    inputs = find_inputs(arguments.inputs, arguments.images, arguments.column, Sight(shape, classifier.view))
    form: Form
    if arguments.submission:
        sample = local(arguments.submission, "--submission")
        form, inputs = submission(sample, inputs, classes, arguments.id_column)
        print(f"{sample}: {form}", flush=True)
    else:
        form = Plain(inputs.column, inputs.names, classes, arguments.top_k or 1, arguments.probabilities)
    with made(output.parent), stored(str(output)):
        done = predict(classifier, inputs, form, output, arguments.batch_size, arguments.skip_bad_images)
    if done.bad:
        print(f"predict: left out {in_words(done.bad)}", file=sys.stderr)
    most = ", ".join(f"{classes[number]} {count:,}" for number, count in done.classes.most_common(SHOWN))
    more = ", ..." * (len(done.classes) > SHOWN)
    print(f"{classifier.title}")
    images = f"{done.count:,} image{'s' * (done.count != 1)}"
    print(f"predicted  {images} in {done.seconds:.1f} s, {done.count / done.seconds:,.0f} img/s")
    print(f"classes    {most}{more}")
    print(f"written    {output}")


def opened(arguments: argparse.Namespace):
    """The classifier, with the options of a `.keras` file.

    Raises:
        BadInput: if there is none, or an option does not go with it.
    """
    from keras_resunits.converters.statistics import statistics_of

    from .evaluation.classifiers import file_of, open_classifier, run_folder, with_mirrors

    name = file_of(arguments.model)
    try:
        statistics = statistics_of(arguments.mean, arguments.std)
    except ValueError as error:
        raise BadInput(str(error)) from error
    if arguments.normalize != "auto" and (run_folder(name) or Path(name).suffix != ".keras"):
        raise BadInput(f"--normalize={arguments.normalize} has no effect on {name}: it normalises as it was trained.")
    if arguments.state and not run_folder(name):
        raise BadInput(f"--state={arguments.state} has no effect on {name}: it is of a run's states.")
    classifier = open_classifier(name, None, arguments.normalize, statistics, arguments.state)
    return with_mirrors(classifier) if arguments.flips else classifier


def named(arguments: argparse.Namespace, classifier) -> list[str]:
    """The names of the classes: those of the model, or those given, or numbers."""
    given, own = arguments.class_names, classifier.class_names
    if given and own and given != own:
        raise BadInput(f"--class_names={','.join(given)}: {classifier.title} has its own, {', '.join(own[:20])}.")
    names, count = given or own, classifier.classes
    if names and len(names) != count:
        raise BadInput(f"--class_names must have {count} names, one for each class; got {len(names)}.")
    if arguments.top_k and arguments.top_k > count:
        raise BadInput(f"--top_k={arguments.top_k} must be at most {count}, the number of classes.")
    return list(names or map(str, range(count)))


def sized(arguments: argparse.Namespace, classifier) -> tuple[int, int, int]:
    """The shape of the images, with `--image_size` for a model that takes any.

    Raises:
        BadInput: if it is not known, or given for a model of one size.
    """
    shape, size = tuple(classifier.image_shape), arguments.image_size
    if size is None and None in shape:
        raise BadInput(f"{arguments.model} takes images of any size: pass --image_size.")
    if size is not None and not {shape[0], shape[1]} <= {None, size}:
        raise BadInput(f"--image_size={size}: {arguments.model} takes images of {shape[0]}x{shape[1]}.")
    height, width, channels = shape
    return height or size, width or size, channels


def output_of(arguments: argparse.Namespace) -> Path:
    """The file to write, which must be none of those that are read.

    Raises:
        BadInput: if it is one of these, or a folder.
    """
    output = local(arguments.output, "--output")
    if output.is_dir():
        raise BadInput(f"--output={output} is a folder; expected a file.")
    read = [arguments.model, *arguments.inputs, *([arguments.submission] if arguments.submission else [])]
    if output.resolve() in {Path(each).expanduser().resolve() for each in read}:
        raise BadInput(f"--output={output} would overwrite a file that is read.")
    return output


entry = Entry("predict", parse, main)

if __name__ == "__main__":
    entry()
