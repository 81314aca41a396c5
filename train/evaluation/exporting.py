"""A trained network exported with the options of `Serving`: its faster forms are measured before it is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_resunits import export_saved_model
from keras_resunits.serving.checks import checked_k
from keras_resunits.serving.formats import FORMATS, known_formats, require_float32
from keras_resunits.serving.heads import head_of
from keras_resunits.serving.runtimes import opened

from ..data.batches import test_batches
from ..data.datasets import EncodedData, ImageData
from ..process.errors import BadInput
from ..settings.sections import Serving
from .classifiers import Classifier, asked, saved_model
from .judge import judge
from .networks import Network

CALIBRATING = 300
"""The training images that calibrate int8."""

AT_ONCE = 128


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Report what an export refuses as a mistake in `what`.

    Raises:
        BadInput: in place of the library's errors.
    """
    try:
        yield
    except (ValueError, RuntimeError, ImportError) as error:
        raise BadInput(f"{what}: {error}") from error


def require_exportable(serving: Serving, model, classes: int) -> None:
    """Refuse, before any training, what the export at its end would refuse.

    Raises:
        BadInput: with the option.
    """
    with one_line(f"--top_k={serving.top_k}"):
        checked_k(serving.top_k, classes)
    with one_line(f"--head={serving.head}"):
        head_of(model, lambda: None, serving.head)
    with one_line(f"--formats={','.join(serving.formats or ())}"):
        known_formats(serving.formats or ())
        require_float32(serving.formats or (), model)


def export(
    network: Network,
    folder: Path,
    serving: Serving,
    data: ImageData | EncodedData | None,
    check: Callable[[Path], object],
    **options: Any,
) -> tuple[Path, dict[str, float]]:
    """Export a network to the next version in a folder.

    Args:
        network: The network.
        folder: The folder of versions.
        serving: The options.
        data: The images that calibrate int8, and on which the faster forms are measured; `None` if there are none.
        check: Called with the complete directory before it is published.
        options: More arguments of `export_saved_model`.

    Returns:
        The version's directory; and the accuracy of the network in float32 and of each faster form, if there is any.

    Raises:
        BadInput: if a form loses more accuracy than `serving` allows, or there are no images to measure it on.
    """
    names = tuple(serving.formats or ())
    if data is None and (names or serving.faster):
        raise BadInput("--serving_precision and --formats require images to compare answers on: pass --dataset.")
    images = data.spread(CALIBRATING) if names and data else None
    accuracies: dict[str, float] = {}

    def checked(version: Path) -> None:
        check(version)
        if data is not None:
            accuracies.update(measured(version, network, data, serving))

    version = export_saved_model(
        network.model,
        folder,
        preprocessing=network.preprocessing,
        metadata=network.facts,
        check=checked,
        top_k=serving.top_k,
        head=serving.head or network.head,
        serving_precision=serving.serving_precision or "float32",
        formats=names,
        images=images,
        view=network.view,
        **options,
    )
    return version, accuracies


def measured(version: Path, network: Network, data: ImageData | EncodedData, serving: Serving) -> dict[str, float]:
    """Return the test accuracy of a network in float32, and of each faster form in a version's folder.

    Raises:
        BadInput: if one loses more than `serving.accuracy_tolerance`.
    """
    forms = faster_forms(version, serving, data.image_shape)
    if not forms:
        return {}
    names, batches = list(data.class_names or ()), test_batches(data, AT_ONCE)
    accuracies = {
        name: judge(replace(form, class_names=network.class_names), batches, names).accuracy
        for name, form in {"float32": asked(network), **forms}.items()
    }
    most, own = serving.tolerated, accuracies["float32"]
    for name, accuracy in accuracies.items():
        if own - accuracy > most:
            raise BadInput(
                f"{name} loses more than --accuracy_tolerance={most:g}: {own:.2%} of {data.test_count:,} test images "
                f"are right in float32, {accuracy:.2%} in {name}. Nothing is exported."
            )
    return accuracies


def faster_forms(version: Path, serving: Serving, shape: Sequence[int]) -> dict[str, Classifier]:
    """Return the classifiers in a version's folder that compute in less than float32."""
    told = json.loads((version / "metadata.json").read_text())
    forms = {told["precision"]: saved_model(version)} if serving.faster else {}
    for name, each in told["formats"].items():
        if FORMATS[name].integers:
            forms[name] = Classifier(name, tuple(shape), opened(version / each["file"]), len(told["class_names"]))
    return forms


def in_words(accuracies: dict[str, float], count: int) -> str:
    """The accuracies as a line.

    >>> in_words({"float32": 0.975, "bfloat16": 0.97}, 1000)
    'float32 97.50%, bfloat16 97.00% (1,000 test images)'
    """
    return f"{', '.join(f'{name} {each:.2%}' for name, each in accuracies.items())} ({count:,} test images)"
