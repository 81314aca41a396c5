"""Checkpoints: all that a run needs to go on."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from train.average import Average
from train.errors import BadInput


class Checkpoints:
    """The last checkpoints of a run: network, optimiser and the number of epochs done.

    Args:
        folder: Where they lie.
        model: A built network.
        optimizer: A built optimiser.
        average: Averages of the weights, where the run keeps them.
        keep: How many to keep; 3 by default.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        average: Average | None = None,
        keep: int = 3,
    ):
        self.epochs_done = tf.Variable(0, trainable=False, dtype=tf.int64)
        parts = {"model": model, "optimizer": optimizer, "epochs_done": self.epochs_done}
        checkpoint = tf.train.Checkpoint(**parts, **({"average": average} if average else {}))
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), keep)

    @property
    def newest(self) -> str | None:
        """The newest checkpoint's path, if there is one."""
        return self._manager.latest_checkpoint

    def save(self, epochs_done: int) -> None:
        """Save after an epoch."""
        self.epochs_done.assign(epochs_done)
        self._manager.save(checkpoint_number=epochs_done)

    def restore(self) -> int:
        """Restore the newest, and return how many epochs were done: none where nothing was saved yet.

        Raises:
            BadInput: if it does not fit the network, or is damaged.
        """
        path = self.newest
        if path is None:
            return 0
        try:
            self._manager.checkpoint.restore(path).assert_consumed()
        except (ValueError, AssertionError, IndexError, tf.errors.OpError) as error:
            raise BadInput(f"--resume: {path} does not fit this network or is damaged: {error}") from error
        return int(self.epochs_done.numpy())
