"""Evaluates a classifier on images: judgement, pictures, figures."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ..process.errors import BadInput, NumericError
from .calibration import Calibration, draw_calibration
from .judgement import Judgement, draw_confusion, draw_mistakes
from .tables import class_scores, in_lines, write_classes, write_images

SHOWN = 36  # mistakes on the contact sheet
LISTED = 20  # classes; the scores of more are not printed


def judge(classifier, batches, data_names: list[str]):
    """Compare the classifier's answers with the labels; classes are matched by name where it has all names.

    Of names that have nothing in common, the first is compared with the first, and so on, and that is printed.

    Args:
        classifier: The classifier to evaluate.
        batches: Batches from `data.batches.test_batches`; images of weight 0 only pad the last batch.
        data_names: The class names, in the order of the data's labels.

    Raises:
        BadInput: if the data has more classes than the classifier, shares some names but not all, or has names of its
            own for fewer classes.
        NumericError: if an answer is NaN or infinite.
    """
    answered = []
    for images, labels, weights in batches.as_numpy_iterator():
        answered.append((classifier.probabilities(images)[weights > 0], labels[weights > 0]))
    probabilities, labels = (np.concatenate(parts) for parts in zip(*answered, strict=True))
    if spoilt := int((~np.isfinite(probabilities)).any(1).sum()):
        raise NumericError(f"{classifier.title} answers {spoilt} of {len(probabilities)} images with NaN or infinity.")
    names, classes = classifier.class_names, probabilities.shape[1]
    known = set(names or ()) & set(data_names)
    if known and known == set(data_names):
        labels = np.array([names.index(name) for name in data_names])[labels]
    elif known:
        strange = sorted(set(data_names) - known)
        raise BadInput(f"the data has {len(strange)} classes that {classifier.title} lacks: {', '.join(strange[:5])}.")
    elif len(data_names) > classes:
        raise BadInput(f"the data has {len(data_names)} classes, but {classifier.title} has {classes}.")
    elif _own(names) and _own(data_names):
        _tell_order(classifier.title, names, data_names)
    names = names or [*data_names, *map(str, range(len(data_names), classes))]
    return Judgement(probabilities, labels, names)


def _own(names: Sequence[str] | None) -> bool:
    """Whether classes have names that are not their numbers.

    >>> _own(["cat", "dog"]), _own(["0", "1"]), _own(None)
    (True, False, False)
    """
    return bool(names) and list(names or ()) != [str(number) for number in range(len(names or ()))]


def _tell_order(title: str, names: Sequence[str], data_names: Sequence[str]) -> None:
    """Print that classes with other names are compared in their order.

    Raises:
        BadInput: if the data has fewer of them, whose places nothing states.
    """
    if len(data_names) < len(names):
        raise BadInput(
            f"the data has {len(data_names)} of {len(names)} classes under other names ({', '.join(data_names[:5])}) "
            f"than {title} ({', '.join(names[:5])}): pass --class_names with the names of the model."
        )
    pairs = ", ".join(f"{data} = {own}" for data, own in zip(data_names[:5], names, strict=False))
    more = ", ..." * (len(names) > 5)
    print(f"classes: the data has other names than the model; compared in their order: {pairs}{more}", file=sys.stderr)


@contextmanager
def made(output: Path) -> Iterator[None]:
    """Make the folder of the results, and those above it; remove them if an error leaves them empty.

    Raises:
        BadInput: if the folder cannot be written to.
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
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()
        raise


def write(judged, batches, output: Path, file_of: Callable[[int], str | None]) -> None:
    """Write tables and pictures; images of mistakes are read again, because all images may not fit in memory."""
    (output / "mistakes.png").unlink(missing_ok=True)  # of an earlier evaluation
    write_classes(class_scores(judged), output / "classes.csv")
    write_images(judged, output / "images.csv", file_of)
    draw_confusion(judged, output / "confusion.png")
    draw_calibration(judged, output / "calibration.png")
    worst = judged.mistakes()[:SHOWN]
    if len(worst):
        files = [file_of(number) for number in worst.tolist()]
        names = [Path(file).name for file in files if file] or None
        draw_mistakes(judged, worst, picked(batches, worst), output / "mistakes.png", names)


def picked(batches, numbers) -> list:
    """The images with these numbers, in that order; the first of several crops."""
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
    """The figures as JSON values, for other programs."""
    result = {"model": title, "dataset": dataset, "split": split, "images": len(judged.labels)}
    result |= {"accuracy": judged.accuracy, "loss": judged.loss, "mistakes": len(judged.mistakes())}
    result["calibration_error"] = Calibration.of(judged).error
    if len(judged.class_names) > 5:
        result["top5_accuracy"] = judged.top(5)
    return result


def report(result: dict, judged, output: Path) -> None:
    """Print the figures."""
    print(f"{result['model']} on {result['images']:,} {result['split']} images of {result['dataset']}")
    print(f"accuracy       {result['accuracy']:.2%}")
    if "top5_accuracy" in result:
        print(f"top-5 accuracy {result['top5_accuracy']:.2%}")
    print(f"loss           {result['loss']:.4f}")
    print(f"calibration    {result['calibration_error']:.2%} expected error")
    for truth, answer, count in judged.confused():
        print(f"mistaken       {truth} for {answer}, {count} {'image' if count == 1 else 'images'}")
    if len(judged.class_names) <= LISTED:
        print("\n".join(in_lines(class_scores(judged))))
    print(f"written        {', '.join(str(path) for path in sorted(output.glob('*.*')))}")


def shape(sides) -> str:
    """An image shape as text.

    >>> shape((28, 28, 1))
    '28x28x1'
    """
    return "x".join(map(str, sides))
