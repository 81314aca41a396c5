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
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from train import config as configuration
from train.errors import BadInput
from train.imports import importing

SHOWN = 36  # mistakes on the contact sheet


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
        from train.classifiers import open_classifier, require_classifier, run_folder
        from train.datasets import bad_images_named, load
        from train.pipeline import test_batches

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


def judge(classifier, batches, data_names: list[str]):
    """The classifier's answers beside the labels; classes are matched by name where the names are the classifier's.

    Args:
        classifier: Who is asked.
        batches: What `train.pipeline.test_batches` gives; images of weight 0 only fill the last one up.
        data_names: The classes' names in the order of the data's labels.

    Raises:
        BadInput: if the data has more classes than the classifier, or some of its names and others beside them.
    """
    from train.judging import Judgement

    answered = []
    for images, labels, weights in batches.as_numpy_iterator():
        answered.append((classifier.probabilities(images)[weights > 0], labels[weights > 0]))
    probabilities, labels = (np.concatenate(parts) for parts in zip(*answered, strict=True))
    names, classes = classifier.class_names, probabilities.shape[1]
    known = set(names or ()) & set(data_names)
    if known and known == set(data_names):
        labels = np.array([names.index(name) for name in data_names])[labels]
    elif known:
        strange = sorted(set(data_names) - known)
        raise BadInput(
            f"the data has {len(strange)} classes that {classifier.title} does not know: {', '.join(strange[:5])}."
        )
    elif len(data_names) > classes:
        raise BadInput(f"the data has {len(data_names)} classes, {classifier.title} knows {classes}.")
    names = names or [*data_names, *map(str, range(len(data_names), classes))]
    return Judgement(probabilities, labels, names)


@contextmanager
def made(output: Path) -> Iterator[None]:
    """The folder of the results, and those above it; taken back where an error leaves them empty.

    Raises:
        BadInput: if nothing can be written to it.
    """
    missing = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        try:
            output.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=output).close()
        except OSError as error:
            raise BadInput(f"--output={output} cannot be written to ({error.strerror}).") from None
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # not empty, or never made
                folder.rmdir()
        raise


def write(judged, batches, output: Path) -> None:
    """The pictures; the images of the mistakes are read anew, since all of them may be more than memory holds."""
    from train.judging import draw_confusion, draw_mistakes

    (output / "mistakes.png").unlink(missing_ok=True)  # an earlier one's
    draw_confusion(judged, output / "confusion.png")
    worst = judged.mistakes()[:SHOWN]
    if len(worst):
        draw_mistakes(judged, worst, picked(batches, worst), output / "mistakes.png")


def picked(batches, numbers) -> list:
    """The images with these numbers, in that order; of several crops the first."""
    images, begin, left = {}, 0, set(numbers.tolist())
    for batch, _, weights in batches.as_numpy_iterator():
        for number in [number for number in left if number < begin + len(weights)]:
            image = batch[number - begin]
            images[number] = image if image.ndim == 3 else image[0]
            left.remove(number)
        begin += len(weights)
        if not left:
            break
    return [images[number] for number in numbers.tolist()]


def summary(judged, title: str, dataset: str, split: str) -> dict:
    """The figures, for other programs."""
    result = {"model": title, "dataset": dataset, "split": split, "images": len(judged.labels)}
    result |= {"accuracy": judged.accuracy, "loss": judged.loss, "mistakes": len(judged.mistakes())}
    if len(judged.class_names) > 5:
        result["top5_accuracy"] = judged.top(5)
    return result


def report(result: dict, judged, output: Path) -> None:
    """The figures, for people."""
    print(f"{result['model']} on {result['images']:,} {result['split']} images of {result['dataset']}")
    print(f"accuracy       {result['accuracy']:.2%}")
    if "top5_accuracy" in result:
        print(f"top-5 accuracy {result['top5_accuracy']:.2%}")
    print(f"loss           {result['loss']:.4f}")
    for truth, answer, count in judged.confused():
        print(f"mistaken       {truth} for {answer}, {count} {'image' if count == 1 else 'images'}")
    print(f"written        {', '.join(str(path) for path in sorted(output.glob('*.*')))}")


def shape(sides) -> str:
    """`28x28x1`.

    >>> shape((28, 28, 1))
    '28x28x1'
    """
    return "x".join(map(str, sides))


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
