"""Judge a trained network: accuracy, top-5, a confusion matrix, the worst mistakes.

    python -m train.evaluate digits-preactresnet20                a run, by name or folder, on its own test images
    python -m train.evaluate runs/digits-preactresnet20 my.npz    ... on other images
    python -m train.evaluate resnet20.keras cifar10               a .keras file
    python -m train.evaluate saved_models/digits/1 digits         a SavedModel, or the folder of its versions

Writes evaluation.json, confusion.png and mistakes.png beside the run, or to --output.
Exit codes: 0 done, 2 something to mend, said in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from .evaluation.judge import judge, made, report, shape, summary, write
from .process.errors import BadInput
from .process.startup import importing
from .settings import config as configuration


class Parser(argparse.ArgumentParser):
    """A parser whose errors are this program's."""

    def error(self, message):
        raise BadInput(f"{message}; see --help.")


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line, checked as far as it can be without reading anything."""
    parser = Parser(
        prog="python -m train.evaluate",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="RUN|MODEL.keras|SAVEDMODEL", help="what is judged")
    add("data", metavar="DATA", nargs="?", help="what --dataset of `python -m train` takes; by default the run's own")
    add("--split", choices=("test", "train"), default="test", help="which images are judged; test by default")
    add("--output", metavar="FOLDER", help="where the results go; by default RUN/evaluation, or evaluations/NAME")
    add("--batch_size", type=_positive, default=128, metavar="N", help="images at once; 128 by default")
    add("--image_size", type=_positive, metavar="N", help="resize DATA's images to this height and width")
    add(
        "--test_view",
        choices=("paper", "central", "ten_crop"),
        help="how images of any size are looked at, at --image_size (224 by default); see `python -m train --help`",
    )
    add("--class_names", type=lambda text: text.split(","), metavar="A,B,...", help="of DATA, in the labels' order")
    add("--data_dir", metavar="FOLDER", help="where tensorflow-datasets keeps its sets")
    add("--skip_bad_images", action="store_true", help="leave out images of a folder that cannot be read")
    add(
        "--normalize",
        choices=("auto", "data", "none"),
        default="auto",
        help="how a .keras file wants its pixels: by the mean and variance of DATA's training images, as `python -m "
        "train` does, or as they are, 0..255; by default as they are where the model normalises itself",
    )
    return parser.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read, ask, judge, write, say."""
    with importing():
        from .data.batches import test_batches
        from .data.datasets import bad_images_named, load
        from .evaluation.classifiers import open_classifier, require_classifier, run_folder

    require_classifier(arguments.model)
    folder = run_folder(arguments.model)
    config = data_config(arguments, folder)
    output = Path(arguments.output or (folder / "evaluation" if folder else default_output(arguments.model)))
    data = load(config)
    classifier = open_classifier(arguments.model, data, arguments.normalize)
    if data.image_shape != classifier.image_shape:
        raise BadInput(
            f"{arguments.model} takes images of {shape(classifier.image_shape)}, {config.dataset} has "
            f"{shape(data.image_shape)}; --image_size resizes those of a folder or a tensorflow-datasets set."
        )
    with made(output):  # before the long part
        batches = test_batches(replace(data, test=getattr(data, arguments.split)), arguments.batch_size)
        with bad_images_named(data):
            judged = judge(classifier, batches, list(data.class_names or ()))
        write(judged, batches, output)
        result = summary(judged, classifier.title, config.dataset, arguments.split)
        (output / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    report(result, judged, output)


def data_config(arguments: argparse.Namespace, folder: Path | None) -> configuration.Config:
    """The configuration that says which images: the run's own, with what the command line says otherwise."""
    if folder is None and arguments.data is None:
        raise BadInput(f"{arguments.model} is no run, so DATA must say on which images; see --help.")
    config = configuration.defaults()
    if folder is not None and arguments.data is None:
        config = configuration.read(folder / "config.json")
    given = {"dataset": arguments.data and os.path.expanduser(arguments.data)}
    told = ("image_size", "class_names", "data_dir", "skip_bad_images", "test_view")
    given |= {name: getattr(arguments, name) for name in told}
    given["crop"] = "resized" if arguments.test_view else None  # images of any size are streamed, not resized to one
    return replace(config, **{name: value for name, value in given.items() if value})


def default_output(model: str) -> Path:
    """`evaluations/NAME` in the current folder: not among the versions that a server may be watching.

    >>> default_output("saved_models/digits/1").as_posix(), default_output("/some/resnet20.keras").as_posix()
    ('evaluations/digits-1', 'evaluations/resnet20')
    """
    path = Path(model).expanduser().resolve()
    name = f"{path.parent.name}-{path.name}" if path.name.isdecimal() else path.stem
    return Path("evaluations") / name


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


def run_main(argv: list[str]) -> int:
    """Parse, judge, and turn what a user can mend into one line and exit code 2."""
    try:
        main(parse(argv))
    except BadInput as error:
        print(f"evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("evaluate: interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run_main(sys.argv[1:]))
