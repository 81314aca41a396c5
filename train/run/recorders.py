"""Keras callbacks that print and save the progress of a run."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from keras_resunits import gates

from ..process.backend import tf
from ..process.errors import BadInput, say
from ..process.files import stored, why
from .folder import Run
from .history import cut_history, draw_curves, first_epoch, read_history
from .session import Plan


class Records(keras.callbacks.Callback):
    """Adds measurements to each epoch's logs, for the callbacks after it:

    - `images_per_second`: the training speed, without the test;
    - `memory_gb`: the peak memory of the process so far, in 10^9 bytes;
    - `gpu_memory_gb`: the same for the first GPU, if any.

    Args:
        batch_size: Images per step.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size

    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.steps = time.monotonic(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1

    def on_test_begin(self, logs=None):
        self.rate = self.steps * self.batch_size / (time.monotonic() - self.began)

    def on_epoch_end(self, epoch, logs=None):
        logs["images_per_second"] = self.rate
        logs["memory_gb"] = peak_memory() / 1e9
        if tf.config.list_logical_devices("GPU"):
            logs["gpu_memory_gb"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9


class History(keras.callbacks.CSVLogger):
    """Keras' CSV file of the epochs' logs; if the disk is full, it reports that and tries again later.

    Epochs count from 1, as on the console. An existing file keeps its count, which earlier versions began at 0, and its
    columns, even if the run resumes on a machine with or without a GPU.
    """

    def on_train_begin(self, logs=None):
        there = self.append and Path(self.filename).exists()
        columns = list(read_history(self.filename)) if there else []
        self.first = first_epoch(Path(self.filename)) if there else 1
        with stored(self.filename):
            super().on_train_begin(logs)
        self.keys = columns[1:] or None  # all after the epoch

    def on_epoch_end(self, epoch, logs=None):
        try:
            super().on_epoch_end(epoch + self.first, logs)
        except OSError as error:  # the row stays in the file's buffer
            say(f"{self.filename}: {error.strerror}; trying again after the next epoch.")


class Gates(History):
    """A CSV file and TensorBoard scalars of the value of every scalar gate, `g(k)`, at the end of each epoch.

    Args:
        filename: The CSV file to write; `kr.analysis.gates_over_time` reads it.
        tensorboard: The folder of TensorBoard's events. The gates are a run of their own in it, "gates".
        **kwargs: As for `History`.
    """

    def __init__(self, filename: Path, tensorboard: Path, **kwargs):
        super().__init__(filename, **kwargs)
        self.events = tensorboard / "gates"

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.keys = self.keys or list(gates(self.model))

    @cached_property
    def board(self):
        """The writer, made at the end of an epoch: if the disk is full then, the next epoch tries again."""
        return tf.summary.create_file_writer(str(self.events))

    def on_epoch_end(self, epoch, logs=None):
        values = gates(self.model)
        super().on_epoch_end(epoch, values)
        with self.board.as_default(step=epoch):
            for unit, value in values.items():
                tf.summary.scalar(f"gates/{unit}", value)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if "board" in vars(self):
            self.board.close()


class Progress(keras.callbacks.Callback):
    """A progress bar for the steps of an epoch, and a line for each epoch with the time left.

    Place it after `Records`, whose images per second it prints.

    Args:
        epochs: Total number of epochs.
        first_epoch: Epochs done before.
        steps: Steps per epoch.
        batch_size: Images per step.
        watched: The split that is looked at after each epoch.
    """

    def __init__(self, epochs: int, first_epoch: int, steps: int, batch_size: int, watched: str = "test"):
        super().__init__()
        self.watched = watched
        self.epochs, self.first_epoch, self.steps, self.batch_size = epochs, first_epoch, steps, batch_size

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()
        self.bar = tqdm(disable=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = tqdm(
            desc=f"epoch {epoch + 1}/{self.epochs}",
            total=self.steps * self.batch_size,
            unit="img",
            unit_scale=True,
            leave=False,
            disable=False if "ipykernel" in sys.modules else None,  # a log file gets the lines of the epochs only
            file=sys.stdout,
        )

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(self.batch_size)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in (logs or {}).items()}, refresh=False)

    def on_train_end(self, logs=None):
        self.bar.close()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        done = epoch + 1 - self.first_epoch
        left = (time.monotonic() - self.began) / done * (self.epochs - epoch - 1)
        logs = logs or {}
        averaged = f"  averaged {logs['val_ema_accuracy']:.2%}" if "val_ema_accuracy" in logs else ""
        print(
            f"epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}  loss {logs['loss']:.4f}  "
            f"accuracy {logs['accuracy']:.2%}  {self.watched} loss {logs['val_loss']:.4f}  {self.watched} accuracy "
            f"{logs['val_accuracy']:.2%}{averaged}  {logs['images_per_second']:,.0f} img/s  {clock(left)} left",
            flush=True,
        )


class Curves(keras.callbacks.Callback):
    """Plots the history when training ends.

    Args:
        history: The CSV file that `keras.callbacks.CSVLogger` wrote.
        picture: The PNG file to write.
        watched: The split that the history's columns `val_...` are of.
    """

    def __init__(self, history: Path, picture: Path, watched: str = "test"):
        super().__init__()
        self.history, self.picture, self.watched = history, picture, watched

    def on_train_end(self, logs=None):
        if any(read_history(self.history).values()):  # at least one epoch
            draw_curves({self.picture.parent.name: self.history}, self.picture, self.watched)


def recorders(
    run: Run, plan: Plan, batch_size: int, first_epoch: int, watched: str = "test"
) -> list[keras.callbacks.Callback]:
    """The callbacks that print a run's progress and write its history, from `first_epoch` on.

    Args:
        run: The run, whose folder exists.
        plan: Its epochs and steps.
        batch_size: Images per step.
        first_epoch: Epochs done before; later rows of the history are removed.
        watched: The split that is looked at after each epoch.
    """
    _resume(run.history, first_epoch)
    return [
        Records(batch_size),
        forgiving(History(run.history, append=first_epoch > 0)),
        forgiving(keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)),
        forgiving(Progress(plan.epochs, first_epoch, plan.steps, batch_size, watched)),
        forgiving(Curves(run.history, run.curves, watched)),
    ]


def gate_recorder(run: Run, first_epoch: int) -> keras.callbacks.Callback:
    """The callback that records the gates of a network that has some, from `first_epoch` on.

    Args:
        run: The run, whose folder exists.
        first_epoch: Epochs done before; later rows of the record are removed.
    """
    _resume(run.gates, first_epoch)
    return forgiving(Gates(run.gates, run.tensorboard, append=first_epoch > 0))


def _resume(path: Path, epochs: int) -> None:
    """Keep the rows of the epochs done, and report how many are lost."""
    cut_history(path, epochs)
    there = len(read_history(path).get("epoch", ())) if path.exists() else 0
    if there < epochs:
        say(f"{path} has {there} of the {epochs} epochs done; the others are lost.")


def own_callbacks(chosen: Sequence[Any] | None) -> list[keras.callbacks.Callback]:
    """The callbacks of the user's, checked.

    Raises:
        BadInput: for another object.
    """
    for each in chosen or ():
        if not isinstance(each, keras.callbacks.Callback):
            raise BadInput(f"--callbacks must be Keras callbacks; got {each!r}.")
    return list(chosen or ())


def forgiving(callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
    """Let a callback report disk errors without ending the run: only checkpoints may end it for that.

    >>> class Full(keras.callbacks.Callback):
    ...     def on_train_end(self, logs=None):
    ...         raise OSError(28, "No space left on device")
    >>> forgiving(Full()).on_train_end()
    """
    for event in ("on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end"):
        setattr(callback, event, _forgiven(getattr(callback, event), type(callback).__name__))
    return callback


def _forgiven(event: Callable, name: str) -> Callable:
    @wraps(event)
    def wrapped(*args, **kwargs):
        try:
            event(*args, **kwargs)
        except (OSError, tf.errors.OpError) as error:
            say(f"{name}: {why(error)}; the run continues.")

    return wrapped


def peak_memory() -> int:
    """The peak memory of this process so far, in bytes.

    >>> 10**7 < peak_memory() < 10**13
    True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes


def clock(seconds: float) -> str:
    """Seconds as `h:mm:ss`, or `m:ss` below one hour.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
