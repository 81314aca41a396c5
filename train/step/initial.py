"""The network of a `.keras` file: read, and made to fit the images and classes of a run that begins from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import is_zipfile

import keras
import numpy as np

from keras_resunits import describe, new_head  # a file may hold the package's layers, which its import registers
from keras_resunits.converters.heads import exchanged
from keras_resunits.converters.statistics import normalizing
from keras_resunits.serving.classifiers import stated_by
from keras_resunits.serving.heads import head_of

from ..process.errors import BadInput, first_line

SHOWN = 5  # classes, in a message


def keras_file(path: Path) -> keras.Model:
    """The classifier in a `.keras` file.

    Raises:
        BadInput: if the file is damaged, or holds another model.
    """
    if not is_zipfile(path):  # Keras would report a missing file
        raise BadInput(f"{path} is not a .keras file: it is not a zip archive.")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever the file's content makes Keras raise
        raise BadInput(f"{path} cannot be read: {first_line(error)}.") from error
    if not isinstance(model.output_shape, tuple) or len(model.output_shape) != 2:
        raise BadInput(f"{path} must return [batch, classes]; got {model.output_shape}.")
    return model


def initial_network(
    path: Path,
    image_shape: tuple[int, int, int],
    classes: int,
    told: Callable[[str], None],
    class_names: Sequence[str] = (),
) -> keras.Model:
    """The network of a file, with logits for the classes.

    Args:
        path: The `.keras` file.
        image_shape: `(height, width, channels)` of the images.
        classes: Their number of classes. A head of another number is replaced by a new one.
        told: Called with what is done to the network, and what is assumed of its pixels, in one line.
        class_names: The names of the classes. If the file states others, its head is replaced; if it states these in
            another order, its outputs take theirs. Numbers from 0 are no names. Defaults to none.

    Raises:
        BadInput: if the file holds no network for such images, or its head cannot be used or replaced.
    """
    model = keras_file(path)
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise BadInput(f"--initial_model: {path} must take images [batch, height, width, channels]; got {shape}.")
    if any(wanted not in (None, got) for wanted, got in zip(shape[1:], image_shape, strict=True)):
        wanted, got = ("x".join(str(side or "any") for side in sides) for sides in (shape[1:], image_shape))
        raise BadInput(
            f"--initial_model: {path} takes images of {wanted}, but those of --dataset are {got}; --image_size resizes "
            "images of a folder or a tensorflow-datasets set."
        )
    own, outputs = normalizing(model), model.output_shape[1]
    pixels = f"its layer '{own.name}' normalises" if own else "expects those normalised by the training images"
    try:
        describe(model)  # as the run does
        theirs = _names(stated_by(path).get("class_names"))
        names = _names(class_names) if len(theirs) == classes else []
        if outputs != classes or (names and theirs and set(names) != set(theirs)):
            model = new_head(model, classes)
            head = exchanged(classes, outputs) + (f" ({_shown(theirs)})" if outputs == classes else "")
        else:
            head = f"the head of {classes} classes is kept{_to_logits(model, image_shape)}"
            if names and theirs and names != theirs:
                _reorder(model, [theirs.index(name) for name in names])
                head += f", and its classes ({_shown(theirs)}) take the order of the data"
    except ValueError as error:
        raise BadInput(f"--initial_model: {path} with {outputs} outputs, for {classes} classes: {error}") from error
    told(f"begins from {path}: {head}; pixels: {pixels}")
    return model


def _names(given: Sequence[str] | None) -> list[str]:
    """The names of classes; none if they are only numbers from 0.

    >>> _names(["cat", "dog"]), _names(["0", "1"]), _names(None)
    (['cat', 'dog'], [], [])
    """
    names = list(given or ())
    return [] if names == [str(number) for number in range(len(names))] else names


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def _reorder(model: keras.Model, order: Sequence[int]) -> None:
    """Let each output be the one whose number stands in its place.

    Raises:
        ValueError: if the last layer has no weights for each output.
    """
    last = model.layers[-1]
    weights = last.get_weights()
    if not weights or any(weight.shape[-1] != len(order) for weight in weights):
        raise ValueError(
            f"the classes of the file have another order, and its last layer cannot take it. Received: '{last.name}'."
        )
    last.set_weights([weight[..., order] for weight in weights])


def _to_logits(model: keras.Model, image_shape: tuple[int, int, int]) -> str:
    """Let a softmax at the end go, because the loss takes logits; return that in words.

    Raises:
        ValueError: for outputs that are neither logits nor a softmax of the last layer.
    """
    head = head_of(model, lambda: np.random.default_rng(0).uniform(0, 255, (4, *image_shape)).astype("float32"))
    if head == "logits":
        return ""
    last = model.layers[-1]
    if head != "softmax" or getattr(last, "activation", None) is not keras.activations.softmax:
        raise ValueError(f"training requires logits, or a last layer with a softmax. Received: {head} ('{last.name}').")
    last.activation = keras.activations.linear
    return ", without its softmax"
