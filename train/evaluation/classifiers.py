"""Classifiers that can be evaluated: a run, a `.keras` file, a SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import keras
import numpy as np

from keras_resunits import Unit  # a .keras file may hold the package's layers, which its import registers
from keras_resunits.converters.statistics import Statistics

from ..data.datasets import EncodedData, ImageData, load
from ..process.backend import tf
from ..process.errors import BadInput, first_line
from ..run.checkpoints import about, newest_checkpoint, step_of
from ..run.folder import Run
from ..settings.config import Config, read
from ..step.average import Average
from ..step.network import network
from ..step.optimizer import optimizer

NORMALIZED = (keras.layers.Normalization, keras.layers.Rescaling)


@dataclass(frozen=True)
class Classifier:
    """A trained network, from a run, a `.keras` file or a SavedModel.

    Args:
        title: Its kind and path, for messages.
        image_shape: `(height, width, channels)` of its input.
        answer: Maps uint8 images `[n, *image_shape]`, 0..255, to probabilities `[n, classes]`.
        class_names: The names, in the order of the probabilities; `None` if unknown.
    """

    title: str
    image_shape: tuple[int, ...]
    answer: Callable[[np.ndarray], np.ndarray]
    class_names: list[str] | None = None

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """`[b, classes]` for images `[b, *image_shape]`, or the mean over crops `[b, crops, *image_shape]`."""
        if images.ndim == 4:
            return self.answer(images)
        answers = self.answer(images.reshape(-1, *images.shape[2:]))
        return answers.reshape(*images.shape[:2], -1).mean(1)


def run_folder(name: str) -> Path | None:
    """The folder of the run with this path, or this name under `runs/`; `None` if there is none."""
    candidates = (Path(name).expanduser(), Path("runs") / name)
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def open_classifier(
    name: str, data: ImageData | EncodedData, normalize: str, statistics: Statistics | None = None
) -> Classifier:
    """Open the classifier at `name`.

    Args:
        name: A run (its folder, or its name under `runs/`), a `.keras` file, a SavedModel, or the folder of versions.
        data: The data whose statistics may normalise the images for a `.keras` file.
        normalize: "data", "none" or "auto"; see `keras_file`.
        statistics: For a `.keras` file, those that normalise the images instead.

    Raises:
        BadInput: if it is none of these, or damaged; if there are statistics for a network that has its own.
    """
    require_classifier(name)
    folder, path = run_folder(name), Path(name).expanduser()
    if not folder and path.suffix == ".keras":
        return keras_file(path, data, normalize, statistics)
    if statistics:
        raise BadInput(f"--mean and --std are for a .keras file; {name} has its own statistics.")
    if folder:
        return _run(folder)
    return saved_model(_newest_version(path) or path)


def require_classifier(name: str) -> None:
    """Check from its files that `name` is a classifier, before any image is read.

    Raises:
        BadInput: with the files that were expected.
    """
    path = Path(name).expanduser()
    if run_folder(name) or _newest_version(path) or (path.suffix == ".keras" and path.is_file()):
        return
    if not path.exists():
        raise BadInput(f"{name}: there is no such run, file or folder.")
    raise BadInput(f"{name} must be a run (config.json), a .keras file or a SavedModel (saved_model.pb).")


def saved_model(path: Path) -> Classifier:
    """An exported version, called by its signature `serving_default`."""
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
        shape = tuple(signature.structured_input_signature[1]["images"].shape)[1:]
        if "probabilities" not in signature.structured_outputs:
            raise KeyError("probabilities")
    except (KeyError, OSError, ValueError, tf.errors.OpError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise BadInput(f"{path} is not a SavedModel of this program: {why}.") from error

    def answer(images: np.ndarray) -> np.ndarray:
        return signature(images=tf.constant(images))["probabilities"].numpy()

    answer.model = loaded  # type: ignore[attr-defined]  # keeps the model, and so its variables, alive
    return Classifier(f"SavedModel {path}", shape, answer, _names(signature, shape))


def _names(signature, shape: tuple[int, ...]) -> list[str] | None:
    """The class names in order, from an answer that sorts them by probability; `None` if it lists only some."""
    answers = signature(images=tf.zeros((1, *shape), tf.uint8))
    order = np.argsort(-answers["probabilities"].numpy()[0], kind="stable")  # stable for ties, like tf.math.top_k
    names = [name.decode() for name in answers["classes"].numpy()[0]]
    return [names[place] for place in np.argsort(order)] if len(names) == len(order) else None


def keras_file(
    path: Path, data: ImageData | EncodedData, normalize: str, statistics: Statistics | None = None
) -> Classifier:
    """A `.keras` file that returns logits or probabilities; its title states by what its pixels are normalised.

    Args:
        path: The file.
        data: The data whose training images give the statistics for "data", as in `python -m train`.
        normalize: "data"; "none" for a model that expects pixels 0..255; "auto" for "none" if a layer of the model
            normalises or rescales, else "data".
        statistics: Those that the weights were trained with; by default those of the data.
    """
    if not is_zipfile(path):  # Keras would report a missing file
        raise BadInput(f"{path} is not a .keras file: it is not a zip archive.")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever the file's content makes Keras raise
        raise BadInput(f"{path} cannot be read: {first_line(error)}.") from error
    if not isinstance(model.output_shape, tuple) or len(model.output_shape) != 2:
        raise BadInput(f"{path} must return [batch, classes]; got {model.output_shape}.")
    own = _normalizing(model)
    if statistics and (own or normalize != "auto"):
        other = f"its layer '{own.name}' normalises" if own else f"--normalize={normalize} is given"
        raise BadInput(f"--mean and --std are for a .keras file that expects normalised pixels, but {other} ({path}).")
    if normalize == "none" or (normalize == "auto" and own):
        title = f"{path}, raw pixels" + (f", normalised by its layer {_in_words(own)}" if own else "")
        return Classifier(title, model.input_shape[1:], _asked(model, lambda x: x))
    used = statistics or _scaled(*data.statistics())
    try:
        layer = used.layer(data.image_shape[-1])
    except ValueError as error:
        raise BadInput(str(error)) from error
    layer.build((None, *data.image_shape))  # not in a traced step: its constants live outside
    whose = "the given" if statistics else "the training images'"
    return Classifier(f"{path}, pixels normalised by {whose} {used}", model.input_shape[1:], _asked(model, layer))


def _normalizing(model: keras.Model) -> keras.layers.Layer | None:
    """The layer that normalises or rescales pixels; units may hold others, which scale a shortcut or a branch."""
    layers = list(model._flatten_layers())
    inside = {id(inner) for unit in layers if isinstance(unit, Unit) for inner in unit._flatten_layers()}
    return next((each for each in layers if isinstance(each, NORMALIZED) and id(each) not in inside), None)


def _in_words(layer: keras.layers.Layer) -> str:
    """A layer's name, and its statistics if it holds them as the converter writes them."""
    if not isinstance(layer, keras.layers.Normalization) or layer.input_mean is None:
        return f"'{layer.name}'"
    mean, variance = (np.ravel(each).astype(float) for each in (layer.input_mean, layer.input_variance))
    return f"'{layer.name}' ({_scaled(mean, variance)})"


def _scaled(mean: np.ndarray, variance: np.ndarray) -> Statistics:
    """The statistics of pixels 0..255, for pixels scaled to 0..1."""
    return Statistics(tuple((mean / 255).tolist()), tuple((np.sqrt(variance) / 255).tolist()))


def _run(folder: Path) -> Classifier:
    """A run's newest state: its export if that is from the newest checkpoint, else the checkpoint."""
    run = Run.at(folder)
    checkpoint = newest_checkpoint(run.checkpoints)
    of_state = {"step": step_of(checkpoint)} if checkpoint else {}
    if exported := run.exported_version(**of_state) or (None if checkpoint else _newest_version(run.saved_models)):
        return saved_model(exported)
    if checkpoint:
        return _checkpoint(checkpoint, read(run.config))
    raise BadInput(f"{folder} has neither a checkpoint nor an export yet.")


def _checkpoint(path: Path, config: Config) -> Classifier:
    """The network of a checkpoint, with the averaged weights if the run has them.

    Pixels are normalised as in training: by the statistics in the checkpoint, or, for one of an earlier version, by
    those of the run's training images.
    """
    keras.config.set_dtype_policy(config.network.precision)
    told = about(path) or _told_by_data(config)
    shape, names = tuple(told["image_shape"]), list(told["class_names"])
    model = network(config.network, shape, len(names))
    ema = config.recipe.ema
    average = Average(model, optimizer(config.recipe, 1, model), ema) if ema else None
    parts = {"model": model, **({"average": average} if average else {})}
    try:
        state = tf.train.Checkpoint(**parts).read(str(path / "state"))
        state.assert_existing_objects_matched().expect_partial()
    except (ValueError, AssertionError, IndexError, tf.errors.OpError) as error:
        raise BadInput(f"{path} does not fit its network or is damaged: {first_line(error)}.") from error
    if average:
        average.put_in()
    title = f"checkpoint {path}" + (", averaged weights" if average else "")
    normalized = _normalization(told["mean"], told["variance"], shape)
    return Classifier(title, shape, _asked(model, normalized), names)


def _told_by_data(config: Config) -> dict[str, Any]:
    """The values that a checkpoint of an earlier version lacks, from the run's data."""
    data = load(config.source, streamed=config.augmenting.crop == "resized")
    mean, variance = data.statistics()
    names = list(data.class_names or ())
    return {"image_shape": data.image_shape, "class_names": names, "mean": mean, "variance": variance}


def _normalization(mean, variance, shape: tuple[int, ...]) -> keras.layers.Layer:
    layer = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32")
    layer.build((None, *shape))  # not in a traced step: its constants live outside
    return layer


def _asked(model: keras.Model, preprocessing: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images to probabilities, for a Keras model that returns these or logits."""

    @tf.function(reduce_retracing=True)
    def outputs(images):
        return tf.cast(model(preprocessing(tf.cast(images, tf.float32)), training=False), tf.float32)

    def answer(images: np.ndarray) -> np.ndarray:
        given = outputs(tf.constant(images)).numpy()
        sums_to_one = np.allclose(given.sum(1), 1.0, atol=1e-2) and given.min() >= 0
        return given if sums_to_one else tf.nn.softmax(given).numpy()

    return answer


def _newest_version(path: Path) -> Path | None:
    """`path` if it is a SavedModel, else its highest version; `None` if there is none."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [each for each in path.glob("*") if each.name.isdecimal() and (each / "saved_model.pb").is_file()]
    return max(versions, key=lambda version: int(version.name), default=None)
