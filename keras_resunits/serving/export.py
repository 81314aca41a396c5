"""Export of a model as a versioned SavedModel from pixels to class names."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from numbers import Integral
from pathlib import Path
from typing import Any

import keras

from keras_resunits.arguments import (
    checked,
    require_function,
    require_layer,
    require_mapping,
    require_network,
    require_path,
)
from keras_resunits.layers.backend import ON_TENSORFLOW
from keras_resunits.layers.series import built


@checked(
    model=require_network,
    path=require_path,
    preprocessing=require_layer.or_none,
    metadata=require_mapping.or_none,
    check=require_function.or_none,
)
def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    class_names: Sequence[str | bytes] | None = None,
    preprocessing: keras.layers.Layer | None = None,
    top_k: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Export `model` to `path/<version>/` as a SavedModel for TensorFlow Serving.

    Its signature `serving_default` takes

    - `images`: uint8 `[batch, height, width, channels]` of the model's size, 0..255. The shape is fixed in the graph,
      so any other shape raises an error instead of crashing the server;

    and returns, by name,

    - `probabilities`: float32 `[batch, classes]`, in the order of `class_names`;
    - `classes`: strings `[batch, k]`, the most likely first;
    - `scores`: float32 `[batch, k]`, their probabilities.

    The graph is made for answering: batch norms, gates and scalings are folded into the weights, which changes the
    answers by no more than float32 rounding does. Each weight is written once: as a constant, or as a variable where
    all take more than 32 MB. Preprocessing and softmax are part of the SavedModel, and loading it requires neither this
    package nor Keras.

    The version is one above the highest that exists, so nothing is ever overwritten. The directory is written under
    another name and renamed when complete, so that a server that polls the folder never loads an incomplete version.

    Args:
        model: A classifier of images that returns logits, or probabilities if its last activation is softmax.
        path: Folder of the model; created if it does not exist.
        class_names: One name for each class, all different; bytes are decoded as UTF-8. Defaults to "0", "1", ...
        preprocessing: A layer from float32 pixels 0..255 to the model's input, such as a `keras.layers.Normalization`.
            Defaults to none.
        top_k: Number of classes in `classes` and `scores`. Defaults to all.
        metadata: Content of `metadata.json` in the directory. Defaults to no such file.
        check: Called with the complete directory before it is published; an exception keeps it from being published.

    Returns:
        The directory of the new version.

    Raises:
        ValueError: if `class_names` is not a sequence of one name for each class, or two names are equal. If `top_k` is
            not an int in 1..classes, or `preprocessing` is not a Keras layer. If the model's output is not
            `[batch, classes]`, or its last activation is neither linear nor softmax. If `path` contains a wildcard.
            Nothing is written then.
        RuntimeError: if the Keras backend is not TensorFlow.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> path = kr.export_saved_model(kr.PreActResNet(depth=20, input_shape=(8, 8, 1)), tempfile.mkdtemp())
    >>> path.name
    '1'
    """
    if special := sorted(set(str(path)) & set("*?[]\\")):
        raise ValueError(
            f"`path` must not contain {' '.join(special)}: TensorFlow treats them as wildcards and could not load the "
            f"model. Received: path={str(path)!r}."
        )
    if not ON_TENSORFLOW:
        raise RuntimeError(f"`export_saved_model` requires Keras on TensorFlow. Received: {keras.backend.backend()}.")
    names = _checked_names(model, class_names)
    k = len(names) if top_k is None else _checked_k(top_k, len(names))
    gives_probabilities = _gives_probabilities(model)
    with _made(Path(path)) as root:
        unfinished = root / f".unfinished-{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process of the same number
        try:
            _write(model, gives_probabilities, preprocessing, names, k, unfinished)
            if metadata is not None:
                (unfinished / "metadata.json").write_text(json.dumps(dict(metadata), indent=2) + "\n")
            if check is not None:
                check(unfinished)
            return _publish(unfinished, root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)  # already renamed after a success


def _checked_names(model: keras.Model, class_names: Sequence[str | bytes] | None) -> list[str]:
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ValueError(
            f"`model` must output [batch, classes]. Received: output shape {shape} (model '{model.name}')."
        )
    given = () if class_names is None else class_names
    if isinstance(given, (str, bytes, Mapping, Set)) or not isinstance(given, Iterable):
        raise ValueError(f"`class_names` must be a sequence of names. Received: class_names={class_names!r}.")
    names = [str(i) for i in range(shape[1])] if class_names is None else [_name(name) for name in class_names]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"`class_names` must all be different. Received: {twice[0]!r} more than once.")
    if len(names) != shape[1]:
        raise ValueError(
            f"`class_names` must hold {shape[1]} names, one for each output of model '{model.name}'. "
            f"Received: {len(names)}."
        )
    return names


def _name(name) -> str:
    try:
        text = name.decode() if isinstance(name, bytes) else str(name)
        text.encode()  # fails for lone surrogates, which stand for file names that are not UTF-8
    except UnicodeError:
        raise ValueError(f"`class_names` must be strings, or bytes in UTF-8. Received: {name!r}.") from None
    return text


def _checked_k(top_k, classes: int) -> int:
    whole = isinstance(top_k, Integral) and not isinstance(top_k, bool)
    if not (whole and 1 <= top_k <= classes):
        raise ValueError(f"`top_k` must be an int in 1..{classes}, the number of classes. Received: top_k={top_k!r}.")
    return int(top_k)


@contextmanager
def _made(root: Path) -> Iterator[Path]:
    """Create the folder and those above it; remove them if an error leaves them empty."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield root
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # not empty, or never created
                folder.rmdir()
        raise


def _gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in a softmax; refuse any other activation than a linear one."""
    last = model
    while isinstance(last, keras.Model) and last.layers:
        last = last.layers[-1]
    activation = getattr(last, "activation", keras.activations.linear)
    if isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax:
        return True
    if activation is keras.activations.linear:
        return False
    raise ValueError(
        f"`model` must end in logits or a softmax. Received: activation {activation.__name__!r} "
        f"(layer '{last.name}' of model '{model.name}')."
    )


def _write(model, gives_probabilities: bool, preprocessing, names: list[str], k: int, path: Path) -> None:
    import tensorflow as tf

    from keras_resunits.serving.graph import inference_graph
    from keras_resunits.serving.writing import Signature, write_saved_model

    def answer(pixels):
        outputs = model(preprocessing(pixels) if preprocessing else pixels, training=False)
        return tf.cast(outputs, tf.float32)

    def serve(images):
        outputs = core(tf.cast(tf.ensure_shape(images, model.input_shape), tf.float32))
        probabilities = outputs if gives_probabilities else tf.nn.softmax(outputs)
        scores, best = tf.math.top_k(probabilities, k)
        return {"probabilities": probabilities, "classes": tf.gather(tf.constant(names), best), "scores": scores}

    if preprocessing:
        built(preprocessing, model.input_shape)
    core = inference_graph(answer, tf.TensorSpec(model.input_shape, tf.float32))
    images = tf.TensorSpec(model.input_shape, tf.uint8, name="images")
    write_saved_model(path, {"serving_default": Signature(serve, [images])})


def _publish(unfinished: Path, root: Path) -> Path:
    """Rename to the next free version; skip a number that another process has taken meanwhile."""
    version = 1 + max((int(d.name) for d in root.iterdir() if d.name.isdecimal()), default=0)
    while True:
        try:
            return unfinished.rename(root / str(version))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            version += 1
