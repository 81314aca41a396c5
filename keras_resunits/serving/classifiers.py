"""A trained network with all it takes to classify pixels, in one `.keras` file: saved, and loaded again.

The network in the file takes pixels: its first layer normalises them. What Keras keeps no place for (the names of the
classes, what is seen of pictures of another size) stands in the file's `metadata.json`, under "classifier".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import keras
import numpy as np

from keras_resunits.arguments import checked, require_path, require_positive_int
from keras_resunits.converters.statistics import normalizing, preceded
from keras_resunits.serving.checks import checked_names
from keras_resunits.serving.heads import head_of, probabilities

METADATA = "metadata.json"
"""The entry of a `.keras` file that states Keras' version, and here the classifier."""

IN_RUN = "model.keras"
"""The classifier's file in the folder of a run."""

RUNS = Path("runs")
"""Where a run is found by its name alone."""


@dataclass(frozen=True, eq=False, repr=False)
class PixelClassifier:
    """A network that takes pixels, as `kr.load` returns it.

    Attributes:
        model: The Keras model, from pixels 0..255 to outputs `[n, classes]`.
        class_names: The names, in the order of the probabilities; `None` if the file states none.
        preprocessing: The layer of `model` that normalises pixels; `None` if no layer is known to.
        image_shape: `(height, width, channels)` of its images; a side may be `None`.
        view: What it saw of pictures of another size in training: "stretch" (all, resized), "central" or "paper".
        head: What the outputs are: "softmax", "logits", "sigmoid" or "sigmoid_logits".
        facts: What else the file states, by name, such as the run.
    """

    model: keras.Model
    class_names: list[str] | None
    preprocessing: keras.layers.Layer | None
    image_shape: tuple[int | None, ...]
    view: str
    head: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = ", ".join(str(side or "any") for side in self.image_shape)
        return f"<PixelClassifier of images ({size}); its Keras model is `.model`, '{self.model.name}'>"

    def predict(self, images: np.ndarray, batch_size: int = 128) -> np.ndarray:
        """Return the probabilities of the classes.

        Args:
            images: uint8 `[n, height, width, channels]` of the model's size, 0..255.
            batch_size: Images that are computed together. Defaults to 128.

        Returns:
            float32 `[n, classes]`.

        Raises:
            ValueError: if the images have another type or shape.
        """
        batch_size = require_positive_int(batch_size, "batch_size", "predict")
        images = np.asarray(images)
        self._require_images(images)
        if not len(images):
            return np.zeros((0, max(self.model.output_shape[1], 2)), "float32")
        outputs = self.model.predict(images.astype("float32"), batch_size=batch_size, verbose=0)
        return keras.ops.convert_to_numpy(probabilities(np.asarray(outputs, "float32"), self.head))

    def _require_images(self, images: np.ndarray) -> None:
        fits = images.ndim == 4 and all(
            want in (None, got) for want, got in zip(self.image_shape, images.shape[1:], strict=True)
        )
        if images.dtype != np.uint8 or not fits:
            expected = ", ".join(str(side or "any") for side in self.image_shape)
            raise ValueError(
                f"`images` must be uint8 [n, {expected}], 0..255. Received: {images.dtype} {list(images.shape)}."
            )


def save_classifier(
    model: keras.Model,
    path: str | os.PathLike,
    class_names: Sequence[str] | None = None,
    preprocessing: keras.layers.Layer | None = None,
    view: str = "stretch",
    facts: Mapping[str, Any] | None = None,
    head: str | None = None,
) -> None:
    """Save a network as a `.keras` file that takes pixels and states its classes.

    `keras.saving.load_model` reads it like any other; `kr.load` also reads what it states.

    Args:
        model: The network; it remains unchanged.
        path: The file to write. It is not written in one step: rename it when complete.
        class_names: One name for each class. Defaults to none.
        preprocessing: The layer from float32 pixels 0..255 to the model's input; it becomes the first layer of the
            saved network. Defaults to none.
        view: What the network sees of pictures of another size. Defaults to all of them.
        facts: More to state, as JSON values. Defaults to nothing.
        head: What the outputs are, where the network does not show it, such as "sigmoid_logits". Defaults to nothing.

    Raises:
        ValueError: if the names are not one for each class.

    Example:

    >>> import tempfile, keras, keras_resunits as kr
    >>> from keras_resunits.serving.classifiers import save_classifier
    >>> model = kr.ResNet(depth=8, input_shape=(8, 8, 3), classes=2)
    >>> path = f"{tempfile.mkdtemp()}/pets.keras"
    >>> save_classifier(model, path, ["cat", "dog"], keras.layers.Rescaling(1 / 255))
    >>> kr.load(path).class_names
    ['cat', 'dog']
    """
    names = None if class_names is None else checked_names(model, class_names)
    whole = preceded(model, preprocessing) if preprocessing else model
    for layer in whole._flatten_layers() if whole is not model else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = False  # between replicas in training, which not every backend has
    whole.save(path)
    _state(Path(path), {"class_names": names, "view": view, **({"head": head} if head else {}), **(facts or {})})


@checked(path=require_path)
def load(path: str | os.PathLike) -> PixelClassifier:
    """Load a classifier that takes pixels.

    Args:
        path: The folder of a finished run, which holds `model.keras`, or the run's name, if the folder is in `runs/`;
            or a `.keras` file, such as `keras-resunits convert --mean --std` writes. A network that no layer of
            normalises takes pixels as they are.

    Returns:
        A `PixelClassifier`, on any backend of Keras.

    Raises:
        ValueError: if there is no such file, it is damaged, or it is no classifier of images.

    Example:

    >>> import tempfile, numpy as np, keras_resunits as kr
    >>> path = f"{tempfile.mkdtemp()}/net.keras"
    >>> kr.ResNet(depth=8, input_shape=(8, 8, 3)).save(path)
    >>> classifier = kr.load(path)
    >>> classifier.predict(np.zeros((2, 8, 8, 3), "uint8")).shape, classifier.image_shape
    ((2, 10), (8, 8, 3))
    """
    given = Path(path).expanduser()
    given = given if given.exists() or not (RUNS / given).is_dir() else RUNS / given
    file = given / IN_RUN if given.is_dir() else given
    if not file.is_file():
        unfinished = ": an unfinished run has none, and a finished one writes it when it is resumed"
        by_name = "" if file.suffix else f"; a run is its folder, such as 'runs/{file.name}', or its name in 'runs/'"
        trained = f"; that of a trained network is `kr.pretrained('{file.name}').path`"
        hint = unfinished if given.is_dir() else trained if ":" in file.name else by_name
        raise ValueError(f"`path` must be a .keras file or the folder of a run. Received: no file '{file}'{hint}.")
    stated = stated_by(file)
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # whatever the file's content makes Keras raise
        raise ValueError(f"`path` must be a .keras file that Keras reads. Received: '{file}': {error}") from error
    shape = getattr(model, "input_shape", None)
    outputs = list(getattr(model, "outputs", []))  # of two, the shapes are two as well
    if not isinstance(shape, tuple) or len(shape) != 4 or len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise ValueError(
            f"`path` must hold a model from [batch, height, width, channels] to [batch, classes]. Received: {shape} to "
            f"{getattr(model, 'output_shape', None)} ('{file}')."
        )
    head = head_of(model, _noise(shape), declared_by(file))
    stated.pop("head", None)
    names, view = stated.pop("class_names", None), stated.pop("view", "stretch")
    return PixelClassifier(model, names, normalizing(model), shape[1:], view, head, stated)


def stated_by(path: str | os.PathLike) -> dict[str, Any]:
    """Return what a `.keras` file states of its classifier, by name; empty if it states nothing.

    Raises:
        ValueError: if it is no `.keras` file.
    """
    try:
        with ZipFile(path) as archive:
            return dict(json.loads(archive.read(METADATA)).get("classifier", {}))
    except (OSError, BadZipFile, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"`path` must be a .keras file. Received: '{os.fspath(path)}': {error}.") from error


def declared_by(path: str | os.PathLike) -> str | None:
    """Return what a `.keras` file states that the model's outputs are; `None` if it states nothing.

    It is the stated head, or "sigmoid_logits" if the model was compiled with a binary loss of logits.

    Raises:
        ValueError: if it is no `.keras` file.
    """
    if head := stated_by(path).get("head"):
        return head
    try:
        with ZipFile(path) as archive:
            loss = json.loads(archive.read("config.json"))["compile_config"]["loss"]
            binary = loss["class_name"].startswith("Binary") and loss["config"]["from_logits"]
    except (KeyError, TypeError, AttributeError, ValueError):  # not compiled, or with another loss
        return None
    return "sigmoid_logits" if binary else None


def _state(path: Path, stated: Mapping[str, Any]) -> None:
    """Write into a `.keras` file what it states of its classifier; `zipfile` cannot replace an entry in place."""
    with ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[METADATA] = json.dumps({**json.loads(contents[METADATA]), "classifier": dict(stated)}).encode()
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _noise(shape):
    """Return a function that draws a few images, of any size if the model takes any."""
    sides = [8, *(side or 64 for side in shape[1:])]
    return lambda: np.random.default_rng(0).integers(0, 256, sides).astype("float32")
