"""What a run shows and writes as it goes: Keras callbacks."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import keras
from tqdm import tqdm

from train.curves import draw_curves, read_history


class Progress(keras.callbacks.Callback):
    """A bar for the epoch's steps with images a second, and a line for each epoch with the time left.

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
        self.epoch_began = time.monotonic()
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

    def on_test_begin(self, logs=None):
        self.rate = self.steps * self.batch_size / (time.monotonic() - self.epoch_began)

    def on_train_end(self, logs=None):
        self.bar.close()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        done = epoch + 1 - self.first_epoch
        left = (time.monotonic() - self.began) / done * (self.epochs - epoch - 1)
        logs = logs or {}
        print(
            f"epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}  loss {logs['loss']:.4f}  "
            f"accuracy {logs['accuracy']:.2%}  test loss {logs['val_loss']:.4f}  test accuracy "
            f"{logs['val_accuracy']:.2%}  {self.rate:,.0f} img/s  {clock(left)} left",
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
        if read_history(self.history):
            draw_curves({self.picture.parent.name: self.history}, self.picture)


def clock(seconds: float) -> str:
    """`h:mm:ss`, or `m:ss` under an hour.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
