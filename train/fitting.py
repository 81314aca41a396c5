"""Training from Python: `run = fit("pets", validation=0.2, depth=20)`, for notebooks."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from absl.testing import flagsaver
from matplotlib.figure import Figure

from . import evaluate, export, predict
from .__main__ import configure, parse
from .cluster.discovery import check_strategy
from .process.errors import BadInput, RunError, first_line
from .process.files import stored, whole
from .process.startup import FRUITLESS, importing, require_tensorflow_backend
from .run.folder import Run
from .run.history import curves_figure, read_history
from .settings.flags import command as asked_for
from .settings.flags import defined
from .settings.names import near
from .settings.references import OBJECTS, given, place_of

Pair = tuple[Any, Any]
# of several processes, which no notebook starts, or of several runs
IN_PROCESS = ("startup_timeout", "worker_timeout", "tpu", "seeds")


@dataclass(frozen=True)
class Fitted:
    """A run that `fit` trained, or that is in a folder: `Fitted("runs/digits-preactresnet20")`.

    Args:
        folder: The run's folder.
    """

    folder: Path

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder).expanduser())
        if not self._run.config.is_file():
            raise BadInput(f"{self.folder} is not the folder of a run: it has no {self._run.config.name}.")

    @property
    def _run(self) -> Run:
        return Run.at(self.folder.absolute())

    @property
    def history(self) -> dict[str, list[float]]:
        """The columns of `history.csv` by name, a value an epoch: `epoch`, `loss`, `val_accuracy`, ..."""
        return read_history(self._run.history)

    @cached_property
    def classifier(self):
        """The trained network with its normalisation and class names, as `keras_resunits.load` returns it.

        Raises:
            ValueError: if the run is not finished.
        """
        from keras_resunits import load

        return load(self.folder)

    @property
    def model(self):
        """The trained Keras model, from pixels 0..255 to outputs `[n, classes]`."""
        return self.classifier.model

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities `[n, classes]` of images, uint8 `[n, height, width, channels]`."""
        return self.classifier.predict(images)

    def predict_files(self, *inputs: str | Path, output: str | Path = "predictions.csv", **options: Any) -> Path:
        """Classify image files, and write a csv file.

        Args:
            *inputs: Pictures, folders of pictures, or a csv file that names them.
            output: The file to write.
            **options: The options of `python -m train.predict`, such as `submission="sample_submission.csv"`, whose
                columns and rows are kept, `top_k=3` or `probabilities=True`.

        Returns:
            The file.
        """
        arguments = [str(self.folder), *map(str, inputs), *_flags({"output": output, **options})]
        with _guarded():
            predict.main(predict.parse(arguments))
        return Path(output)

    def plot(self) -> Figure:
        """Draw loss and error over the epochs, as in `curves.png`; a notebook shows the returned figure."""
        with importing():
            from keras_resunits.analysis.figures import Shown
        return curves_figure({self.folder.name: self._run.history}, self._run.watched, Shown)

    def evaluate(self, data: str | Path | None = None, **options: Any) -> dict[str, Any]:
        """Evaluate the run, by default on its own test images, and write figures to `evaluation/` in its folder.

        Args:
            data: Other images, as `fit` takes them by path or name.
            **options: The options of `python -m train.evaluate`, such as `split="validation"`.

        Returns:
            The values of `evaluation.json`.

        Raises:
            BadInput: for arrays, or images that are not the run's.
        """
        if data is not None and not isinstance(data, (str, os.PathLike)):
            raise BadInput(f"data must be a path or a name; got {type(data).__name__}. Save arrays in an .npz file.")
        output = Path(options.pop("output", self.folder / "evaluation"))
        given = [str(self.folder), *([str(data)] if data else []), *_flags({"output": output, **options})]
        with _guarded():
            evaluate.main(evaluate.parse(given))
        return json.loads((output / "evaluation.json").read_text())

    def export(self, **options: Any) -> Path:
        """Export the run for TensorFlow Serving.

        Args:
            **options: The options of `python -m train.export`, such as `formats=["onnx"]`.

        Returns:
            The folder of the new version.
        """
        output = Path(options.pop("output", self._run.saved_models))
        with _guarded():
            export.main(export.parse([str(self.folder), *_flags({"output": output, **options})]))
        return max((path for path in output.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def fit(
    dataset: str | Path | Pair = "digits",
    *,
    test: Pair | None = None,
    validation: float | Pair | None = None,
    output: str | Path = ".",
    run: str | None = None,
    resume: bool = False,
    export: bool | str = False,
    **options: Any,
) -> Fitted:
    """Train a network, like `python -m train`, in this process.

    Nothing is exported unless `export` says so. The dtype policy, signal handlers and TensorFlow's graph options are
    afterwards what they were; the random seeds of Python, NumPy and Keras are set.

    Args:
        dataset: What `--dataset` takes: a folder, an `.npz` file, or a name. Or `(images, labels)`, uint8
            `[n, height, width, channels]` and `[n]`, which are kept in `OUTPUT/arrays/` so that the run can be resumed.
        test: `(images, labels)` to test on at the end, with arrays as `dataset`.
        validation: The part of the training images to hold out, such as 0.2; or, with arrays, `(images, labels)`.
        output: The folder for `runs/` and `saved_models/`. Defaults to the current one.
        run: The run's name; by default the data set, family and depth.
        resume: Whether to resume the run from its last checkpoint.
        export: As `--export`: `True`, "best" or "last".
        **options: Other options of `python -m train` by name: `model`, `depth`, `epochs`, `flip`, `config`, ...
            `callbacks` takes Keras callbacks. Other objects of one's own are in a file: `shortcut="units.py:halved"`.

    Returns:
        The run: `.history`, `.plot()`, `.model`, `.classifier`, `.predict()`, `.predict_files()`,
        `.evaluate()`, `.export()`.

    Raises:
        TypeError: for an option that does not exist.
        BadInput: for a value that training refuses, with what is expected.
        Preempted: if it was interrupted; the run is saved, and `resume=True` continues it.

    Example:

    >>> import tempfile
    >>> from train import fit
    >>> run = fit("digits", depth=8, epochs=1, output=tempfile.mkdtemp())  # doctest: +ELLIPSIS
    digits-preactresnet8: 75,482 parameters, ...
    >>> sorted(run.history)[:3], run.model.output_shape
    (['accuracy', 'epoch', 'gradient_norm'], (None, 10))
    """
    _require_known(options)
    require_tensorflow_backend()
    with flagsaver.flagsaver(), _guarded(), given() as kept:
        options["callbacks"] = _callbacks(options.get("callbacks"), kept)
        _require_data(dataset)
        if _is_pair(dataset) or test is not None or _is_pair(validation):
            dataset, validation = _kept(Path(output).expanduser(), dataset, test, validation), _share(validation)
        values = {"dataset": dataset, "validation": validation, "output": output, "run": run, **options}
        values |= {"resume": resume, "export": export if isinstance(export, str) else "auto" if export else "none"}
        parse(["fit", *_flags(values)])
        asked = asked_for()
        check_strategy(asked.strategy, asked.tpu, asked.cpu_devices)
        config, chosen = configure(asked)
        with importing():
            from .program import train
        train(config, chosen, asked, f"fit(..., run={chosen.name!r}, resume=True, export=True)")
    return Fitted(chosen.folder)


def _require_known(options: Mapping[str, Any]) -> None:
    known = [flag.name for flag in defined() if flag.name not in IN_PROCESS]
    for name in options:
        if name not in known:
            raise TypeError(f"fit() has no option {name!r}.{near(name, known)}")


def _callbacks(values: Any, kept: Callable[[Any], str]) -> list[str] | str | None:
    """Callbacks as text: the place of what can be imported, and what `kept` returns for others."""
    if values is None or isinstance(values, str):
        return values

    def text(value: Any) -> str:
        try:
            return _text("callbacks", value)
        except BadInput:
            return kept(value)

    return [text(each) for each in (values if isinstance(values, (list, tuple)) else [values])]


def _flags(options: Mapping[str, Any]) -> list[str]:
    """Options as flags; `None` leaves one out.

    >>> _flags({"depth": 8, "drops": [0.5, 0.75], "flip": False, "run": None, "kit": True})
    ['--depth=8', '--drops=0.5,0.75', '--noflip', '--kit']
    """
    return [_flag(name, value) for name, value in options.items() if value is not None]


def _flag(name: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"--{name}={','.join(_text(name, each) for each in value)}"
    return f"--{name}={_text(name, value)}"


def _text(name: str, value: Any) -> str:
    """A value as text; for an object, where it is."""
    return str(place_of(value, name) if name in OBJECTS and not isinstance(value, str) else value)


def _in_python(text: str) -> str:
    """A message with keywords in the place of flags, but for commands in backticks.

    >>> _in_python("--depth=21 with --flip: pass --noflip, --resume or --rates; `python -m train --depth=20`.")
    'depth=21 with flip=True: pass flip=False, resume=True or rates; `python -m train --depth=20`.'
    """
    switches = {flag.name for flag in defined() if flag.boolean}

    def keyword(found: re.Match) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name in switches:
            return f"{name}=True"
        return f"{name[2:]}=False" if name.startswith("no") and name[2:] in switches else name

    without_help = re.sub(r"[;.] [Ss]ee --help\.", ".", text)
    return re.sub(r"`[^`]*`|(?<!\w)--(?P<name>\w+)", keyword, without_help)


@contextmanager
def _guarded() -> Iterator[None]:
    """Restore what training sets for the whole process: dtype policy, signal handlers, graph options.

    Errors speak of keywords, not of flags. TensorFlow's logger is quiet meanwhile: where Python is interactive it
    reports every step of an export, twice.
    """
    with importing():
        import keras
        import tensorflow as tf
    policy = keras.config.dtype_policy()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    options, logger = tf.config.optimizer.get_experimental_options(), tf.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    except RunError as error:
        error.args = (_in_python(str(error)),)
        raise
    finally:
        logger.setLevel(level)
        keras.config.set_dtype_policy(policy)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        tf.config.optimizer.set_experimental_options({name: options.get(name, True) for name in FRUITLESS})


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _require_data(dataset: Any) -> None:
    """Refuse a dataset that is neither a name nor a pair, whose values would be taken for a name.

    Raises:
        BadInput: with what it is.
    """
    if isinstance(dataset, (str, os.PathLike)) or _is_pair(dataset):
        return
    kind = type(dataset).__name__ + (f" of {len(dataset)}" if isinstance(dataset, (tuple, list)) else "")
    raise BadInput(
        f"dataset must be a path, a name, or a pair (images, labels); got {kind}. Other pairs: test=(images, labels) "
        "and validation=(images, labels)."
    )


def _array(values: Any, name: str) -> np.ndarray:
    """Values as an array of numbers or text, such as those that pandas keeps as objects.

    Raises:
        BadInput: if they have several shapes, or are other objects.
    """
    try:
        array = np.asarray(values)
        array = np.array(array.tolist()) if array.dtype.hasobject else array
    except ValueError as error:  # of several shapes
        raise BadInput(f"{name} must have one shape: {first_line(error)}.") from error
    if array.dtype.hasobject:
        raise BadInput(f"{name} must be numbers; got objects such as {type(np.asarray(values).flat[0]).__name__}.")
    return array


def _share(validation: Any) -> float | None:
    return None if _is_pair(validation) else validation


def _kept(output: Path, train: Any, test: Pair | None, validation: Any) -> Path:
    """Write arrays to a file named by their content, which a resumed run and `evaluate` read again.

    Raises:
        BadInput: if arrays and a path are mixed, or values are no arrays.
    """
    splits = {"train": train, "test": test, "validation": validation if _is_pair(validation) else None}
    if not _is_pair(train):
        raise BadInput(f"arrays for `test` or `validation` require arrays as `dataset`; got dataset={train!r}.")
    arrays: dict[str, Any] = {}
    for split, pair in splits.items():
        if pair is not None:
            for part, kind, values in zip("xy", ("images", "labels"), pair, strict=True):
                arrays[f"{part}_{split}"] = _array(values, f"{split} {kind}")
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    path = output / "arrays" / f"arrays-{digest.hexdigest()[:12]}.npz"
    if not path.exists():
        with stored(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as unfinished, open(unfinished, "wb") as file:
                np.savez(file, **arrays)
    return path
