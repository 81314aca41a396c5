"""Export: a model becomes a versioned SavedModel that takes pixels and answers names."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, redirect_stdout, suppress
from numbers import Integral
from pathlib import Path

import keras

from keras_resunits.layers.backend import ON_TENSORFLOW
from keras_resunits.layers.series import built


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    class_names: Sequence[str | bytes] | None = None,
    preprocessing: keras.layers.Layer | None = None,
    top_k: int | None = None,
) -> Path:
    """Write `model` as `path/<version>/`, a SavedModel that TensorFlow Serving answers from.

    Its signature `serving_default` takes

    - `images`: uint8 `[batch, height, width, channels]` of the model's size, 0..255 (any other shape is refused with
      an error, not a crash: the shape is pinned in the graph);

    and returns, by name,

    - `probabilities`: float32 `[batch, classes]`, in the order of `class_names`;
    - `classes`: strings `[batch, k]`, the likeliest first;
    - `scores`: float32 `[batch, k]`, their probabilities.

    Preprocessing and softmax are inside; nothing of this package, nor Keras, is needed to load it. The version is the
    number after the highest that exists, so nothing is ever overwritten, and the directory appears under its number
    only when it is whole: it is written beside and renamed, as a server that polls the folder needs it.

    Args:
        model: A classifier of images, giving logits, or probabilities if its last layer's activation is softmax.
        path: The model's folder; made if it does not exist.
        class_names: One name for each class, all different; bytes are read as UTF-8; "0", "1", ... by default.
        preprocessing: A layer from float32 pixels 0..255 to what the model takes, such as a
            `keras.layers.Normalization`; none by default.
        top_k: How many classes `classes` and `scores` hold; all by default.

    Returns:
        The new version's directory.

    Raises:
        ValueError: if the names are no sequence of one name for each class, two are equal, `top_k` is no whole number
            within 1..classes, `preprocessing` is no Keras layer, the model's output is not `[batch, classes]`, or its
            last activation is neither linear nor softmax; before anything is written.
        RuntimeError: under another Keras backend than TensorFlow.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> path = kr.export_saved_model(kr.PreActResNet(depth=20, input_shape=(8, 8, 1)), tempfile.mkdtemp())
    >>> path.name
    '1'
    """
    if not ON_TENSORFLOW:
        raise RuntimeError(f"export_saved_model wants Keras on TensorFlow. Received: {keras.backend.backend()}.")
    names = _checked_names(model, class_names)
    k = len(names) if top_k is None else _checked_k(top_k, len(names))
    if preprocessing is not None and not isinstance(preprocessing, keras.layers.Layer):
        raise ValueError(f"`preprocessing`: wanted a Keras layer. Received: preprocessing={preprocessing!r}.")
    gives_probabilities = _gives_probabilities(model)
    with _made(Path(path)) as root:
        unfinished = root / f".unfinished-{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process of this number that was killed
        try:
            _write(model, gives_probabilities, preprocessing, names, k, unfinished)
            return _publish(unfinished, root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)  # gone already when all went well


def _checked_names(model: keras.Model, class_names: Sequence[str | bytes] | None) -> list[str]:
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ValueError(f"`model` must give [batch, classes]. Received: output shape {shape} (model '{model.name}').")
    if isinstance(class_names, (str, bytes, Mapping, Set)):
        raise ValueError(f"`class_names` must be a sequence of names. Received: class_names={class_names!r}.")
    names = [str(i) for i in range(shape[1])] if class_names is None else [_name(name) for name in class_names]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"`class_names` must differ from each other. Received: {twice[0]!r} more than once.")
    if len(names) != shape[1]:
        raise ValueError(
            f"`class_names` must hold {shape[1]} names, one for each output of model '{model.name}'. "
            f"Received: {len(names)}."
        )
    return names


def _name(name) -> str:
    try:
        text = name.decode() if isinstance(name, bytes) else str(name)
        text.encode()  # the name of a file need not be UTF-8; Python has lone surrogates for what is not
    except UnicodeError:
        raise ValueError(f"`class_names` must be text, or its UTF-8. Received: {name!r}.") from None
    return text


def _checked_k(top_k, classes: int) -> int:
    whole = isinstance(top_k, Integral) and not isinstance(top_k, bool)
    if not (whole and 1 <= top_k <= classes):
        raise ValueError(f"`top_k` must be within 1..{classes}, the number of classes. Received: top_k={top_k!r}.")
    return int(top_k)


@contextmanager
def _made(root: Path) -> Iterator[Path]:
    """The folder, and those above it; taken back where an error leaves them empty."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield root
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # not empty, or never made
                folder.rmdir()
        raise


def _gives_probabilities(model: keras.Model) -> bool:
    """Whether the last layer is a softmax; if it is not, it must give logits."""
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

    def serve(images):
        pixels = tf.cast(tf.ensure_shape(images, model.input_shape), tf.float32)
        outputs = model(preprocessing(pixels) if preprocessing else pixels, training=False)
        outputs = tf.cast(outputs, tf.float32)
        probabilities = outputs if gives_probabilities else tf.nn.softmax(outputs)
        scores, best = tf.math.top_k(probabilities, k)
        return {"probabilities": probabilities, "classes": tf.gather(tf.constant(names), best), "scores": scores}

    archive = keras.export.ExportArchive()
    archive.track(model)
    if preprocessing:
        built(preprocessing, model.input_shape)
        archive.track(preprocessing)
    images = tf.TensorSpec(model.input_shape, tf.uint8, name="images")
    archive.add_endpoint("serving_default", serve, input_signature=[images])
    with redirect_stdout(io.StringIO()):  # Keras 3.8 prints the endpoints even where it should not
        archive.write_out(str(path), verbose=False)


def _publish(unfinished: Path, root: Path) -> Path:
    """Rename to the next free version; a number that another process took meanwhile is passed over."""
    version = 1 + max((int(d.name) for d in root.iterdir() if d.name.isdecimal()), default=0)
    while True:
        try:
            return unfinished.rename(root / str(version))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            version += 1
