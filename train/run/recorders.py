"""What a run shows and writes as it goes: Keras callbacks."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import keras
from tqdm import tqdm

from ..process.backend import tf
from ..process.errors import say
from ..process.files import stored, why
from .folder import Run
from .history import cut_history, draw_curves, read_history
from .session import Plan


class Records(keras.callbacks.Callback):
    """Adds to each epoch's logs what the callbacks after it write down:

    - `images_per_second`: trained on, without the test;
    - `memory_gb`: the most that the process has held so far, in 10^9 bytes;
    - `gpu_memory_gb`: likewise on the first GPU, where there is one.

    Args:
        batch_size: Images a step.
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
    """Keras' CSV file of the epochs' logs; a disk that is full for a moment is said, and written to later.

    A file that is there keeps its columns: a run that goes on where there is a GPU, or is none any more, has others.
    """

    def on_train_begin(self, logs=None):
        there = self.append and Path(self.filename).exists()
        columns = list(read_history(self.filename)) if there else []
        with stored(self.filename):
            super().on_train_begin(logs)
        self.keys = columns[1:] or None  # behind the epoch

    def on_epoch_end(self, epoch, logs=None):
        try:
            super().on_epoch_end(epoch, logs)
        except OSError as error:  # the row stays in the file's buffer
            say(f"{self.filename}: {error.strerror}; tried again after the next epoch.")


class Progress(keras.callbacks.Callback):
    """A bar for the epoch's steps with images a second, and a line for each epoch with the time left.

    After `Records`, whose rate it shows.

    Args:
        epochs: Epochs in all.
        first_epoch: Epochs done before.
        steps: Steps an epoch.
        batch_size: Images a step.
    """

    def __init__(self, epochs: int, first_epoch: int, steps: int, batch_size: int):
        super().__init__()
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
            disable=None,  # on a terminal only: a log file gets the epochs' lines
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
            f"accuracy {logs['accuracy']:.2%}  test loss {logs['val_loss']:.4f}  test accuracy "
            f"{logs['val_accuracy']:.2%}{averaged}  {logs['images_per_second']:,.0f} img/s  {clock(left)} left",
            flush=True,
        )


class Curves(keras.callbacks.Callback):
    """Draws the history as a picture when training ends.

    Args:
        history: The CSV file that `keras.callbacks.CSVLogger` wrote.
        picture: The PNG file to write.
    """

    def __init__(self, history: Path, picture: Path):
        super().__init__()
        self.history, self.picture = history, picture

    def on_train_end(self, logs=None):
        if any(read_history(self.history).values()):  # an epoch at least
            draw_curves({self.picture.parent.name: self.history}, self.picture)


def recorders(run: Run, plan: Plan, batch_size: int, first_epoch: int) -> list[keras.callbacks.Callback]:
    """What shows a run and writes its history, from `first_epoch` on.

    Args:
        run: The run, whose folder exists.
        plan: Its epochs and steps.
        batch_size: Images per step.
        first_epoch: Epochs done before; rows of the history that are later are left out.
    """
    cut_history(run.history, first_epoch)
    there = len(read_history(run.history).get("epoch", ())) if run.history.exists() else 0
    if there < first_epoch:
        say(f"{run.history} has {there} of the {first_epoch} epochs done; the others are lost.")
    return [
        Records(batch_size),
        forgiving(History(run.history, append=first_epoch > 0)),
        forgiving(keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)),
        forgiving(Progress(plan.epochs, first_epoch, plan.steps, batch_size)),
        forgiving(Curves(run.history, run.curves)),
    ]


def forgiving(callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
    """The callback; a disk that keeps it from writing is said, and ends no run: that is for the checkpoints to decide.

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
            say(f"{name}: {why(error)}; the run goes on.")

    return wrapped


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes.

    >>> 10**7 < peak_memory() < 10**13
    True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes


def clock(seconds: float) -> str:
    """`h:mm:ss`, or `m:ss` under an hour.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
