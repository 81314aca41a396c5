"""Trained networks with what normalises their pixels: of a run's checkpoint, of a `.keras` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_resunits.converters.statistics import Statistics, normalizing
from keras_resunits.serving.classifiers import declared_by, stated_by

from ..data.datasets import EncodedData, ImageData, load
from ..process.backend import tf
from ..process.errors import BadInput, first_line
from ..run.checkpoints import about, best_checkpoint, newest_checkpoint, results_at, step_of
from ..run.folder import Run
from ..settings.config import Config, read
from ..settings.references import realized
from ..step.average import Average
from ..step.initial import keras_file
from ..step.network import network
from ..step.optimizer import optimizer


@dataclass(frozen=True)
class Network:
    """A trained network.

    Args:
        title: Its kind and path, for messages.
        model: The network.
        preprocessing: From float32 pixels 0..255 to its input; `None` if it takes these.
        class_names: The names, in the order of its outputs; `None` if unknown.
        facts: What an export states of it, by name.
        view: What it sees of image files of another size, as `export_saved_model` takes it.
        head: What its outputs are, where that is stated, as `export_saved_model` takes it.
    """

    title: str
    model: keras.Model
    preprocessing: keras.layers.Layer | None = None
    class_names: list[str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    view: str = "stretch"
    head: str | None = None


def view_of(config: Config) -> str:
    """What a run's network sees of image files: of ten crops, the central one.

    >>> view_of(Config())
    'stretch'
    """
    if not config.augmenting.streamed:
        return "stretch"
    return "central" if config.source.test_view == "central" else "paper"


def stated(config: Config, digest: str | None, tested: Mapping[str, float], watched: str = "test") -> dict[str, Any]:
    """What the metadata of an export state of its run.

    Args:
        config: The run's configuration.
        digest: Of its data; `None` in checkpoints of earlier versions.
        tested: The results of the last test of the state, if there was one.
        watched: The split of its values called `val_...`.
    """
    options = {name: value for name, value in config.deciding.items() if value is not None}
    watching = "val_ema_accuracy" if config.recipe.ema else "val_accuracy"
    split = "test" if "test_accuracy" in tested else watched
    return {
        "data": config.source.dataset,
        "data_digest": digest,
        "accuracy": tested.get("test_accuracy", tested.get(watching)),
        **({"accuracy_on": split} if split != "test" else {}),
        "configuration": {"fingerprint": config.fingerprint, **options},
    }


def keras_network(
    path: Path,
    normalize: str,
    statistics: Statistics | None = None,
    data: ImageData | EncodedData | None = None,
) -> Network:
    """The network of a `.keras` file; its title states by what its pixels are normalised.

    Args:
        path: The file.
        normalize: "data"; "none" for a model that expects pixels 0..255; "auto" for "none" if a layer of the model
            normalises or rescales, else "data".
        statistics: Those that the weights were trained with; by default those of the data.
        data: The data whose training images give the statistics for "data", as in `python -m train`.

    Raises:
        BadInput: if the file is damaged, or its pixels are to be normalised by the statistics of no data.
    """
    model = keras_file(path)
    known, own = stated_by(path), normalizing(model)
    told: dict[str, Any] = {
        "class_names": known.get("class_names"),
        "view": known.get("view", "stretch"),
        "head": declared_by(path),
    }
    if statistics and (own or normalize != "auto"):
        other = f"its layer '{own.name}' normalises" if own else f"--normalize={normalize} is given"
        raise BadInput(f"--mean and --std are for a .keras file that expects normalised pixels, but {other} ({path}).")
    if normalize == "none" or (normalize == "auto" and own):
        title = f"{path}, raw pixels" + (f", normalised by its layer {_in_words(own)}" if own else "")
        return Network(title, model, **told)
    if statistics:
        used = statistics
    elif data:
        used = _scaled(*data.statistics())
    else:
        raise BadInput(
            f"no layer of {path} normalises pixels: pass --mean and --std of those that it was trained with, or "
            "--normalize=none if it expects 0..255."
        )
    shape = data.image_shape if data else model.input_shape[1:]
    try:
        layer = used.layer(shape[-1])
    except ValueError as error:
        raise BadInput(str(error)) from error
    layer.build((None, *shape))  # not in a traced step: its constants live outside
    whose = "the given" if statistics else "the training images'"
    return Network(f"{path}, pixels normalised by {whose} {used}", model, layer, **told)


def _in_words(layer: keras.layers.Layer) -> str:
    """A layer's name, and its statistics if it holds them as the converter writes them."""
    if not isinstance(layer, keras.layers.Normalization) or layer.input_mean is None:
        return f"'{layer.name}'"
    mean, variance = (np.ravel(each).astype(float) for each in (layer.input_mean, layer.input_variance))
    return f"'{layer.name}' ({_scaled(mean, variance)})"


def _scaled(mean: np.ndarray, variance: np.ndarray) -> Statistics:
    """The statistics of pixels 0..255, for pixels scaled to 0..1."""
    return Statistics(tuple((mean / 255).tolist()), tuple((np.sqrt(variance) / 255).tolist()))


def chosen_checkpoint(run: Run, state: str | None = None) -> Path | None:
    """A run's best or newest undamaged checkpoint; `None` if there is none.

    Args:
        run: The run.
        state: "best" or "last"; by default the best where the run has a validation split.
    """
    best = state == "best" or (state is None and run.selects)
    return (best_checkpoint(run.checkpoints) if best else None) or newest_checkpoint(run.checkpoints)


def checkpoint_network(run: Run, path: Path) -> Network:
    """The network of a run's checkpoint, with the averaged weights if the run has them.

    Pixels are normalised as in training: by the statistics in the checkpoint, or, for one of an earlier version, by
    those of the run's training images.

    Raises:
        BadInput: if the checkpoint is damaged, or of another network.
    """
    config = read(run.config)
    keras.config.set_dtype_policy(config.network.precision)
    told = about(path) or _told_by_data(config)
    shape, names = tuple(told["image_shape"]), list(told["class_names"])
    initial = run.initial_file(config.network.initial_model, config.initial_known)
    files = run.code_files(config.code, {})
    model = network(realized(config.network, files), shape, len(names), initial, class_names=names)
    ema, trained = config.recipe.ema, replace(config.recipe, callbacks=None, loss=None)  # which training alone has
    average = Average(model, optimizer(realized(trained, files), 1, model), ema) if ema else None
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
    facts = {"step": step_of(path), **stated(config, told.get("data"), results_at(path), run.watched)}
    return Network(title, model, normalized, names, facts, view_of(config), config.serving.head)


def _told_by_data(config: Config) -> dict[str, Any]:
    """The values that a checkpoint of an earlier version lacks, from the run's data."""
    data = load(config.source, config.augmenting.streamed, earlier=True)  # it is of an earlier version
    mean, variance = data.statistics()
    names = list(data.class_names or ())
    return {"image_shape": data.image_shape, "class_names": names, "mean": mean, "variance": variance}


def _normalization(mean, variance, shape: tuple[int, ...]) -> keras.layers.Layer:
    layer = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32")
    layer.build((None, *shape))  # not in a traced step: its constants live outside
    return layer
