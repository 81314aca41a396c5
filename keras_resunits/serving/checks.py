"""The arguments of an export, checked before anything is written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

import keras
import numpy as np

from keras_resunits.arguments import is_int
from keras_resunits.serving.heads import class_count


def require_classifier(model: keras.Model) -> None:
    """Refuse a functional model that is not from one tensor to `[batch, classes]`."""
    # in a structure, even of one tensor, Keras keeps them as they were given
    for what, given in (("take", model.inputs), ("return", model.outputs)):
        structure = getattr(model, f"_{'inputs' if what == 'take' else 'outputs'}_struct", given[0])
        if not isinstance(structure, keras.KerasTensor):
            shapes = keras.tree.map_structure(lambda tensor: tensor.shape, structure)
            raise ValueError(f"`model` must {what} one tensor. Received: {shapes} (model '{model.name}').")
    if model.input_shape[0] is not None:
        raise ValueError(
            f"`model` must take batches of any size. Received: input shape {model.input_shape} (model '{model.name}')."
        )
    if len(model.output_shape) != 2 or model.output_shape[1] is None:
        raise ValueError(
            f"`model` must output [batch, classes]. Received: output shape {model.output_shape} (model '{model.name}')."
        )
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(
                f"`model` must have finite weights. Received: NaN or infinite values in '{weight.path}' "
                f"(model '{model.name}')."
            )


def local(path: str | os.PathLike) -> Path:
    """Return the folder to export to, with `~` expanded; refuse what TensorFlow or a server would read otherwise."""
    text = os.path.expanduser(os.fspath(path))
    if special := sorted(set(text) & set("*?[]\\")):
        raise ValueError(
            f"`path` must not contain {' '.join(special)}: TensorFlow treats them as wildcards and could not load the "
            f"model. Received: path={text!r}."
        )
    if "://" in text:
        raise ValueError(f"`path` must be a local folder; copy the export from there. Received: path={text!r}.")
    return Path(text)


def checked_names(model: keras.Model, class_names: Sequence[str | bytes] | None) -> list[str]:
    """Return the names of a model's classes, by default "0", "1", ..."""
    count = class_count(model.output_shape[1])
    if class_names is None:
        return [str(i) for i in range(count)]
    if isinstance(class_names, (str, bytes, Mapping, Set)) or not isinstance(class_names, Iterable):
        raise ValueError(f"`class_names` must be a sequence of names. Received: class_names={class_names!r}.")
    names = [_name(name) for name in class_names]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"`class_names` must all be different. Received: {twice[0]!r} more than once.")
    if len(names) != count:
        each = "one for each output" if count == model.output_shape[1] else "as one output stands for two classes,"
        raise ValueError(
            f"`class_names` must hold {count} names, {each} of model '{model.name}'. Received: {len(names)}."
        )
    return names


def _name(name) -> str:
    try:
        text = name.decode() if isinstance(name, bytes) else str(name)
        text.encode()  # fails for lone surrogates, which stand for file names that are not UTF-8
    except UnicodeError:
        raise ValueError(f"`class_names` must be strings, or bytes in UTF-8. Received: {name!r}.") from None
    return text


def require_view(view: str, shape: Sequence[int | None]) -> None:
    """Refuse a square view for images that are not square."""
    if view != "stretch" and shape[1] != shape[2]:
        raise ValueError(f"view={view!r} requires a model of square images. Received: input shape {tuple(shape)}.")


def checked_k(top_k: int | None, classes: int) -> int:
    """Return the number of classes to answer with, by default all."""
    if top_k is None:
        return classes
    if not (is_int(top_k) and 1 <= top_k <= classes):
        raise ValueError(f"`top_k` must be an int in 1..{classes}, the number of classes. Received: top_k={top_k!r}.")
    return int(top_k)
