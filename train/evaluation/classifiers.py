"""Classifiers that can be evaluated: a run, a `.keras` file, a SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keras_resunits.arguments import near_matches
from keras_resunits.converters.statistics import Statistics
from keras_resunits.serving.heads import class_count, head_of, probabilities
from keras_resunits.zoo.pretrained import pretrained

from ..data.datasets import EncodedData, ImageData
from ..process.backend import tf
from ..process.errors import BadInput, first_line
from ..run.checkpoints import step_of
from ..run.folder import Run, metadata
from ..settings.config import read
from ..settings.conversion import TRAINED
from .networks import Network, checkpoint_network, chosen_checkpoint, keras_network, view_of


@dataclass(frozen=True)
class Classifier:
    """A trained network, from a run, a `.keras` file or a SavedModel.

    Args:
        title: Its kind and path, for messages.
        image_shape: `(height, width, channels)` of its input.
        answer: Maps uint8 images `[n, *image_shape]`, 0..255, to probabilities `[n, classes]`.
        classes: Their number.
        class_names: The names, in the order of the probabilities; `None` if unknown.
        view: What it sees of pictures of another size, as `export_saved_model` takes it.
    """

    title: str
    image_shape: tuple[int, ...]
    answer: Callable[[np.ndarray], np.ndarray]
    classes: int
    class_names: list[str] | None = None
    view: str = "stretch"

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """`[b, classes]` for images `[b, *image_shape]`, or the mean over crops `[b, crops, *image_shape]`."""
        if images.ndim == 4:
            return self.answer(images)
        answers = self.answer(images.reshape(-1, *images.shape[2:]))
        return answers.reshape(*images.shape[:2], -1).mean(1)


def with_mirrors(classifier: Classifier) -> Classifier:
    """A classifier that answers with the mean over an image and its mirror.

    >>> left = Classifier("left half", (1, 2, 1), lambda images: images[:, 0, :, 0] / 255, 2)
    >>> with_mirrors(left).answer(np.array([[[[255], [0]]]])).tolist()
    [[0.5, 0.5]]
    """

    def answer(images: np.ndarray) -> np.ndarray:
        return (classifier.answer(images) + classifier.answer(images[:, :, ::-1])) / 2

    return replace(classifier, title=f"{classifier.title}, mean over image and mirror", answer=answer)


def file_of(name: str) -> str:
    """The `.keras` file of a trained network of the library, if this is the name of one; else the name itself.

    >>> Path(file_of("preactresnet20:digits")).name, file_of("runs/mine")
    ('preactresnet20.digits.keras', 'runs/mine')

    Raises:
        BadInput: if there is no network of that name, or its file is damaged.
    """
    if not TRAINED.fullmatch(name) or Path(name).exists():
        return name
    try:
        return str(pretrained(name).path)
    except ValueError as error:
        raise BadInput(str(error)) from error


def run_folder(name: str) -> Path | None:
    """The folder of the run with this path, or this name under `runs/`; `None` if there is none."""
    candidates = (Path(name).expanduser(), Path("runs") / name)
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def near_runs(name: str) -> str:
    """A sentence, with a space before it, about runs of similar names in the same folder; else nothing.

    Args:
        name: A path, or a name under `runs/`.
    """
    path = Path(name).expanduser()
    folder = Path("runs") if path.name == name else path.parent
    return near_matches(path.name, sorted(each.parent.name for each in folder.glob("*/config.json")))


def open_classifier(
    name: str,
    data: ImageData | EncodedData | None,
    normalize: str,
    statistics: Statistics | None = None,
    state: str | None = None,
) -> Classifier:
    """Open the classifier at `name`.

    Args:
        name: A run (its folder, or its name under `runs/`), a `.keras` file, a SavedModel, or the folder of versions.
        data: The data whose statistics may normalise the images for a `.keras` file, if there are any.
        normalize: "data", "none" or "auto"; see `keras_network`.
        statistics: For a `.keras` file, those that normalise the images instead.
        state: "best" or "last", of a run; by default the one that it exports.

    Raises:
        BadInput: if it is none of these, or damaged; if there are statistics for a network that has its own.
    """
    require_classifier(name)
    folder, path = run_folder(name), Path(name).expanduser()
    if not folder and path.suffix == ".keras":
        return asked(keras_network(path, normalize, statistics, data))
    if statistics:
        raise BadInput(f"--mean and --std are for a .keras file; {name} has its own statistics.")
    if folder:
        return _run(folder, state)
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
        raise BadInput(f"{name}: there is no such run, file or folder.{near_runs(name)}")
    raise BadInput(f"{name} must be a run (config.json), a .keras file or a SavedModel (saved_model.pb).")


def saved_model(path: Path) -> Classifier:
    """An exported version, called by its signature `serving_default`."""
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
        shape = tuple(signature.structured_input_signature[1]["images"].shape)[1:]
        if "probabilities" not in signature.structured_outputs:
            raise KeyError("probabilities")
    except (KeyError, OSError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: a truncated file
        why = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise BadInput(f"{path} is not a SavedModel of this program: {why}.") from error

    def answer(images: np.ndarray) -> np.ndarray:
        return signature(images=tf.constant(images))["probabilities"].numpy()

    answer.model = loaded  # type: ignore[attr-defined]  # keeps the model, and so its variables, alive
    known, classes = metadata(path), signature.structured_outputs["probabilities"].shape[1]
    names = known.get("class_names") or _names(signature, shape)
    return Classifier(f"SavedModel {path}", shape, answer, classes, names, known.get("view", "stretch"))


def _names(signature, shape: tuple[int, ...]) -> list[str] | None:
    """The class names in order, from an answer that sorts them by probability; `None` if it lists only some."""
    answers = signature(images=tf.zeros((1, *(side or 64 for side in shape)), tf.uint8))
    order = np.argsort(-answers["probabilities"].numpy()[0], kind="stable")  # stable for ties, like tf.math.top_k
    names = [name.decode() for name in answers["classes"].numpy()[0]]
    return [names[place] for place in np.argsort(order)] if len(names) == len(order) else None


def _run(folder: Path, state: str | None) -> Classifier:
    """A run's best or last state: its export if that is from the same checkpoint, else the checkpoint."""
    run = Run.at(folder)
    checkpoint = chosen_checkpoint(run, state)
    of_state = {"step": step_of(checkpoint)} if checkpoint else {}
    if exported := run.exported_version(**of_state) or (None if checkpoint else _newest_version(run.saved_models)):
        return replace(saved_model(exported), view=view_of(read(run.config)))
    if checkpoint:
        return asked(checkpoint_network(run, checkpoint))
    if run.model.is_file() and not state:
        return asked(keras_network(run.model, "auto"))
    raise BadInput(f"{folder} has neither a checkpoint nor an export yet.")


def asked(network: Network) -> Classifier:
    """The classifier of a network.

    Raises:
        BadInput: if it does not show what it returns, or contradicts what is stated of it.
    """
    model, preprocessing = network.model, network.preprocessing or (lambda pixels: pixels)
    try:
        head = head_of(model, lambda: preprocessing(_noise(model.input_shape)), network.head)
    except ValueError as error:
        raise BadInput(f"{network.title}: {error}") from error

    @tf.function(reduce_retracing=True)
    def outputs(images):
        returned = model(preprocessing(tf.cast(images, tf.float32)), training=False)
        return probabilities(tf.cast(returned, tf.float32), head)

    def answer(images: np.ndarray) -> np.ndarray:
        return outputs(tf.constant(images)).numpy()

    classes = class_count(model.output_shape[1])
    return Classifier(network.title, model.input_shape[1:], answer, classes, network.class_names, network.view)


def _noise(shape: tuple[int | None, ...]) -> tf.Tensor:
    """A few random images, of any size if the model takes any."""
    sides = [8, *(side or 64 for side in shape[1:])]
    return tf.constant(np.random.default_rng(0).integers(0, 256, sides), tf.float32)


def _newest_version(path: Path) -> Path | None:
    """`path` if it is a SavedModel, else its highest version; `None` if there is none."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [each for each in path.glob("*") if each.name.isdecimal() and (each / "saved_model.pb").is_file()]
    return max(versions, key=lambda version: int(version.name), default=None)
