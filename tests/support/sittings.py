"""A run of a tiny network in the test's process, with new objects of the program for each sitting."""

from __future__ import annotations

import signal
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_resunits import BatchNormalization
from train.cluster.strategy import Place
from train.data.augmentation import Augmentation
from train.data.datasets import ImageData
from train.data.feeding import Feed
from train.run.checkpoints import Checkpoints, state_hash
from train.run.session import Plan, Session
from train.settings.resolving import resolve
from train.step.average import Average
from train.step.optimizer import optimizer
from train.step.trainer import Trainer

SHAPE, CLASSES, BATCH, STEPS, EPOCHS = (8, 8, 1), 2, 8, 3, 2


def here() -> Place:
    """The devices of the current strategy."""
    return Place(tf.distribute.get_strategy(), "the test's devices")


def dense() -> keras.Model:
    """A network that is quick to trace, with all kinds of state: weights, statistics, a random state."""
    images = keras.Input(SHAPE)
    hidden = keras.layers.Reshape((1, 1, 4))(keras.layers.Dense(4)(keras.layers.Flatten()(images)))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Activation("relu")(BatchNormalization()(hidden)))
    return keras.Model(images, keras.layers.Dense(CLASSES, dtype="float32")(keras.layers.Flatten()(hidden)))


def image_data(files) -> ImageData:
    """Images for `STEPS` batches."""
    arrays = files.arrays(train=STEPS * BATCH, shape=SHAPE, classes=CLASSES)
    return ImageData((arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"]), ["0", "1"])


class Spoilt(Feed):
    """Normal batches, except for those of the steps `bad`, which hold infinite pixels."""

    bad: frozenset[int] = frozenset()

    def training(self, first_step):
        for step, (images, labels) in enumerate(super().training(first_step), first_step):
            times = np.inf if step in self.bad else 1.0
            yield self.strategy.run(lambda x, times: tf.cast(x, tf.float32) * times, (images, times)), labels


class Diary(keras.callbacks.Callback):
    """Records the logs of the epochs."""

    def __init__(self):
        super().__init__()
        self.epochs: dict[int, dict[str, float]] = {}

    def on_epoch_end(self, epoch, logs=None):
        self.epochs[epoch] = dict(logs)


class Stop(keras.callbacks.Callback):
    """Sends a signal in the session's step `step`, counted from 1, or in the test after it; never by default."""

    session: Session
    step: int | None = None
    in_test = False

    def on_train_batch_begin(self, batch, logs=None):
        if not self.in_test and self.session.position.step + 1 == self.step:
            self.session.notice.received = signal.SIGTERM

    def on_test_begin(self, logs=None):
        if self.in_test and self.session.position.step == self.step:
            self.session.notice.received = signal.SIGTERM


class Sitting:
    """One process's part of a run, resumed from the newest checkpoint in `folder`.

    Args:
        folder: The checkpoints' folder.
        data: The images.
        network: The function that makes the network.
        seed: The seed of the weights.
        bad: The steps whose batches hold infinite pixels; `None` for a normal feed.
        keep: How many checkpoints to keep.
        callbacks: Callbacks in addition to the diary.
        options: Arguments for the `Plan`.
    """

    def __init__(self, folder: Path, data, network=dense, seed=0, bad=None, keep=3, callbacks=(), **options):
        config = resolve()
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(config.network.precision)
        self.model, self.diary, self._stop = network(), Diary(), Stop()
        sgd = optimizer(config.recipe, EPOCHS * STEPS, self.model)
        ema = config.recipe.ema
        average = Average(self.model, sgd, ema) if ema else None
        self.trainer = Trainer(self.model, keras.layers.Rescaling(1 / 255), sgd, average)
        self.feed = (Feed if bad is None else Spoilt)(data, BATCH, Augmentation(1, True), seed=0)
        self.feed.bad = frozenset(bad or ())
        self.checkpoints = Checkpoints(folder, self.model, sgd, average, keep)
        self.restored = self.checkpoints.restore()
        self.session = Session(
            self.trainer,
            self.feed,
            self.checkpoints,
            Plan(EPOCHS, STEPS, **options),
            here(),
            [self.diary, self._stop, *callbacks],
            self.restored,
        )
        self._stop.session = self.session

    def run(self) -> Sitting:
        """Run to the end."""
        self.session.run()
        return self

    def stopped_after(self, step: int, in_test: bool = False) -> Sitting:
        """Send a signal in this step, or in the test after it."""
        self._stop.step, self._stop.in_test = step, in_test
        return self

    @property
    def state(self) -> str:
        """The hash of all variables, equal if they are equal bit for bit."""
        return state_hash(self.trainer.variables)

    @property
    def values(self) -> list[np.ndarray]:
        """The values of all variables."""
        return [variable.numpy() for variable in self.trainer.variables]
