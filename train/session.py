"""A run from where it stands to its end: epochs, tests, checkpoints, and what interrupts them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count

import keras

from train.backend import tf
from train.checkpoints import Checkpoints, Position
from train.errors import NumericError, Preempted
from train.feeding import Feed
from train.loop import Trainer, means
from train.signals import Notice

PATIENCE = 10  # batches that --on_nan leaves out, one right after the other, before it gives up


class Session:
    """Training under the current strategy.

    Args:
        trainer: What a step does.
        feed: The batches.
        epochs: How many in all.
        steps: Steps an epoch.
        callbacks: Keras callbacks, told of every event with the names and logs of `Model.fit`; a history that they
            write is on the disk before the checkpoint that counts on it.
        checkpoints: Where the state is saved after each epoch.
        position: Where to begin; at the beginning by default.
        every: Save every so many steps as well.
        on_nan: What becomes of a step whose loss or gradient is no number: "stop" the run, "rollback" to the last
            checkpoint and go on from there without that step's batch, or "skip" the step, as if it had not been.
        notice: Tells that a signal asks to stop.
        watch: `with watch(what):` is around every step.
    """

    def __init__(
        self,
        trainer: Trainer,
        feed: Feed,
        epochs: int,
        steps: int,
        callbacks: list[keras.callbacks.Callback],
        checkpoints: Checkpoints,
        position: Position | None = None,
        every: int | None = None,
        on_nan: str = "stop",
        notice: Notice | None = None,
        watch: Callable[[str], AbstractContextManager] = nullcontext,
    ):
        self.trainer, self.feed, self.epochs, self.steps, self.every = trainer, feed, epochs, steps, every
        trainer.model.compile(trainer.optimizer)  # callbacks find the optimiser, and its rate, on the model
        trainer.model.stop_training = False
        self.callbacks = keras.callbacks.CallbackList(callbacks, model=trainer.model, epochs=epochs, steps=steps)
        self._test_batches = feed.testing()
        self.checkpoints, self.position = checkpoints, position or Position()
        self.on_nan, self.notice = on_nan, Notice() if notice is None else notice
        self.watch = watch
        self._undo = Snapshot(trainer.variables) if on_nan == "skip" else None

    def run(self) -> None:
        """Train to the end.

        Raises:
            Preempted: after a signal; the state is saved.
            NumericError: where the loss is no number, and `on_nan` does not help.
            StorageError: where checkpoints cannot be written any more.
        """
        self.callbacks.on_train_begin()
        try:
            if self.on_nan == "rollback" and not self.checkpoints.steps:
                self._save()
            self._batches = self.feed.training(self.position.step)
            while self.position.epoch < self.epochs and not self.trainer.model.stop_training:
                self._epoch()
        except _Asked:
            saved = f"saved at step {self.position.step}" if self._save() else "not saved"
            name = self.notice.received.name if self.notice.received else "another worker"
            raise Preempted(f"asked to stop ({name}): {saved}.") from None
        finally:  # files are closed and the curves drawn, however it ends
            self.callbacks.on_train_end()

    def _epoch(self) -> None:
        epoch = self.position.epoch
        self.callbacks.on_epoch_begin(epoch)
        while self.position.step < (epoch + 1) * self.steps:
            self._step(self.position.step)
            if self.position.step < (epoch + 1) * self.steps and self.every and self.position.step % self.every == 0:
                self._save()
        logs = means((self.position.loss, self.position.hits, self.position.images)) | self._tested()
        told = {"learning_rate": self.position.rate, "gradient_norm": self.trainer.gradient_norm}
        logs |= {name: value for name, value in told.items() if value is not None}
        self.callbacks.on_epoch_end(epoch, logs)
        self.position = Position(epoch + 1, self.position.step, left_out=self.position.left_out)
        self._save(score=logs.get("val_ema_accuracy", logs["val_accuracy"]))

    def _step(self, step: int) -> None:
        batch = next(self._batches)
        self.position.rate = self.trainer.learning_rate if self._ends_epoch(step) else None
        if step in self.position.left_out:
            self.position.step += 1
            return
        self.callbacks.on_train_batch_begin(step % self.steps)
        if self._undo:
            self._undo.take()
        with self.watch("a training step"):
            loss, right, images, asked = self.trainer.train_step(*batch, self._asked()).numpy().tolist()
        mean = loss / images
        norm = self.trainer.gradient_norm
        if not math.isfinite(mean) or not (norm is None or math.isfinite(norm)):
            self._not_finite(step, f"loss became {mean}" if not math.isfinite(mean) else "the gradient is no number")
            return
        self.position.step += 1
        self.position.loss, self.position.hits = self.position.loss + loss, self.position.hits + right
        self.position.images += images
        self.callbacks.on_train_batch_end(step % self.steps, {"loss": mean})
        if asked:
            raise _Asked

    def _ends_epoch(self, step: int) -> bool:
        return (step + 1) % self.steps == 0

    def _tested(self) -> dict[str, float]:
        self.callbacks.on_test_begin()
        tested = self.evaluate()
        if not math.isfinite(tested["loss"]):  # the last update's harm shows here first
            raise NumericError(
                f"test loss became {tested['loss']} after step {self.position.step} (epoch {self.position.epoch + 1}). "
                f"{self._last_good()} Lower --learning_rate."
            )
        self.callbacks.on_test_end(tested)
        found = {f"val_{name}": value for name, value in tested.items()}
        if self.trainer.average:
            with self.trainer.average.swapped():
                found |= {f"val_ema_{name}": value for name, value in self.evaluate().items()}
        return found

    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy over the test batches."""
        sums = [0.0, 0.0, 0.0]
        batches = iter(self._test_batches)
        while True:
            with self.watch("a test step"):  # with its batch: several workers ask each other whether there is one more
                if (batch := next(batches, None)) is None:
                    return means(sums)
                *parts, asked = self.trainer.test_step(*batch, self._asked()).numpy().tolist()
            if asked:
                raise _Asked
            sums = [total + part for total, part in zip(sums, parts, strict=True)]

    def _asked(self) -> tf.Tensor:
        return tf.constant(float(bool(self.notice)))

    def _save(self, score: float | None = None) -> bool:
        return self.checkpoints.save(self.position, score)

    def _not_finite(self, step: int, what: str) -> None:
        rate, norm = self.trainer.learning_rate, self.trainer.gradient_norm
        known = "" if norm is None else f", gradient norm {norm:g}"
        what = f"{what} at step {step + 1} (epoch {self.position.epoch + 1}, rate {rate:g}{known})"
        in_a_row = next(n for n in count(1) if step - n not in self.position.left_out)
        if self.on_nan == "stop" or in_a_row > PATIENCE:
            others = "" if self.on_nan != "stop" else ", or pass --on_nan=rollback or --on_nan=skip"
            raise NumericError(f"{what}. Not saved. {self._last_good()} Lower --learning_rate{others}.")
        left_out = sorted({*self.position.left_out, step})
        if self._undo:
            self._undo.put_back()
            self.position.step += 1
        else:
            epoch, steps = self.position.epoch, self.checkpoints.steps
            self.position = self.checkpoints.restore()
            if not steps or self.position.epoch != epoch:
                raise NumericError(f"{what}. No checkpoint since the epoch began to go back to. Lower --learning_rate.")
            self._batches = self.feed.training(self.position.step)
        self.position.left_out = left_out
        said = f"train: {what}: going on from step {self.position.step} without that batch."
        print(said, file=sys.stderr, flush=True)

    def _last_good(self) -> str:
        steps = self.checkpoints.steps
        return f"The last checkpoint before it: step {steps[-1]}." if steps else "There is no checkpoint yet."


class Snapshot:
    """A copy of variables on their devices, to undo a step.

    >>> variable = keras.Variable([1.0, 2.0])
    >>> snapshot = Snapshot([variable])
    >>> snapshot.take()
    >>> _ = variable.assign([3.0, float("nan")])
    >>> snapshot.put_back()
    >>> print(variable.numpy())
    [1. 2.]
    """

    def __init__(self, variables: list):
        self._variables = [getattr(variable, "value", variable) for variable in variables]
        self._copies = [tf.Variable(variable, trainable=False) for variable in self._variables]

    @tf.function
    def take(self) -> None:
        """Copy them."""
        for copy, variable in zip(self._copies, self._variables, strict=True):
            copy.assign(variable)

    @tf.function
    def put_back(self) -> None:
        """Give them the values of the last copy."""
        for copy, variable in zip(self._copies, self._variables, strict=True):
            variable.assign(copy)


class _Asked(Exception):
    """Some worker was asked to stop."""
