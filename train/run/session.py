"""The training loop, from the run's position to its end: epochs, tests, checkpoints and interruptions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count

import keras
import numpy as np

from keras_resunits.models.rematerialized import remat_of

from ..cluster.strategy import Place
from ..data.feeding import Feed
from ..process.backend import tf
from ..process.errors import NumericError, Preempted, say
from ..process.machine import free_memory
from ..step.activations import estimated_bytes, shortage
from ..step.trainer import Trainer, means
from .checkpoints import Checkpoints, Position
from .signals import Notice

SPOILT = "weights or statistics became NaN or infinite"
LOWER = "Lower --learning_rate in another --run"  # a resumed run keeps its flags
PATIENCE = 10  # consecutive batches that --on_nan skips before it gives up


@dataclass(frozen=True)
class Plan:
    """The length of a run, its saves, and its reaction to NaN.

    Args:
        epochs: Total number of epochs.
        steps: Steps per epoch.
        every: Also save every this many steps; `None` (default) saves only after each epoch.
        on_nan: What to do when the loss or a gradient is NaN or infinite: "stop" (default) the run; "rollback" to the
            last checkpoint and continue without that batch; or "skip" the step. If only a later save or test finds it,
            in the weights or statistics, "skip" rolls back too.
        patience: Epochs without a better score after which the run ends; `None` (default) never ends it early.
        sizes: Heights and widths of training images, each for an equal part of the run; `None` is their own size.
    """

    epochs: int
    steps: int
    every: int | None = None
    on_nan: str = "stop"
    patience: int | None = None
    sizes: Sequence[tuple[int, int] | None] = (None,)

    def size(self, step: int) -> tuple[int, int] | None:
        """The size of the training images of a step.

        >>> [Plan(epochs=2, steps=3, sizes=((16, 16), None)).size(step) for step in range(6)]
        [(16, 16), (16, 16), (16, 16), None, None, None]
        """
        return self.sizes[step * len(self.sizes) // (self.epochs * self.steps)]

    @property
    def largest(self) -> tuple[int, int] | None:
        """The largest of the sizes."""
        return None if None in self.sizes else max(size for size in self.sizes if size)


class Session:
    """Training under the current strategy.

    Args:
        trainer: The training and test steps.
        feed: The batches.
        checkpoints: Where the state is saved after each epoch.
        plan: Epochs, steps, saves, faults.
        place: The devices, and this worker's place among them.
        recorders: Keras callbacks, which get every event with the names and logs of `Model.fit`. The history that they
            write is on the disk before the checkpoint of the same epoch.
        position: Where to start; by default the start of the run.

    Attributes:
        notice: The signal that asks to stop, if any.
        epochs_done: Epochs trained, also where `conclude` has gone back to the best.
    """

    def __init__(
        self,
        trainer: Trainer,
        feed: Feed,
        checkpoints: Checkpoints,
        plan: Plan,
        place: Place,
        recorders: Sequence[keras.callbacks.Callback] = (),
        position: Position | None = None,
    ):
        self.trainer, self.feed, self.plan, self.place = trainer, feed, plan, place
        trainer.model.compile(trainer.optimizer)  # callbacks read the optimiser and its rate from the model
        trainer.model.stop_training = False
        self.callbacks = keras.callbacks.CallbackList(
            list(recorders), model=trainer.model, epochs=plan.epochs, steps=plan.steps
        )
        self._test_batches = feed.testing()
        self.checkpoints, self.position, self.notice = checkpoints, position or Position(), Notice()
        self.epochs_done, self._rate = self.position.epoch, self.position.rate
        self._traced = False
        self._undo = Snapshot(trainer.variables) if plan.on_nan == "skip" else None

    def run(self) -> None:
        """Train to the end.

        Raises:
            Preempted: after a signal; the state is saved.
            NumericError: if the loss is NaN or infinite, and `on_nan` does not help.
            StorageError: if checkpoints can no longer be written.
        """
        self.callbacks.on_train_begin()
        try:
            if self.plan.on_nan != "stop" and not self.checkpoints.steps:
                self._save()
            self._batches = self.feed.training(self.position.step)
            while self.position.epoch < self.plan.epochs:
                if self._gives_up() or self._is_stopped():
                    break
                self._epoch()
        except _Asked:
            done = self._is_sound() and self._save()
            saved = f"saved at step {self.position.step}" if done else "not saved"
            name = self.notice.received.name if self.notice.received else "another worker"
            raise Preempted(f"asked to stop ({name}): {saved}.") from None
        finally:  # closes files and draws the curves, however the run ends
            self.callbacks.on_train_end()

    def _epoch(self) -> None:
        epoch = self.position.epoch
        self.callbacks.on_epoch_begin(epoch)
        while True:
            self._train_until((epoch + 1) * self.plan.steps)
            logs = self._tested()
            if not logs:
                self._leave_out(self._last_trained(), "test loss became NaN or infinite")
            elif self._ensures_sound():
                break
        told = {"learning_rate": self.position.rate, "gradient_norm": self.trainer.gradient_norm}
        logs |= {name: value for name, value in told.items() if value is not None}
        self.callbacks.on_epoch_end(epoch, logs)
        tested = {name: value for name, value in logs.items() if name.startswith("val_")}
        self.position = Position(epoch + 1, self.position.step, left_out=self.position.left_out, tested=tested)
        score = logs.get("val_ema_accuracy", logs["val_accuracy"])
        while not self._save(score) and epoch + 1 == self.plan.epochs:  # the last state is saved, or the run fails
            pass

    def _is_stopped(self) -> bool:
        """Whether a callback, on whichever worker, has ended the training."""
        return not self.place.all_did(not self.trainer.model.stop_training)

    def _gives_up(self) -> bool:
        """Whether the best epoch is so far back that the run ends; the checkpoints tell, in a resumed run too."""
        if not (patience := self.plan.patience) or (best := self.checkpoints.best) is None:
            return False
        ends = self.position.step - best >= patience * self.plan.steps
        if ends and self.place.is_chief:
            say(f"no better for {patience} epoch{'s' * (patience > 1)}: ended after epoch {self.position.epoch}.")
        return ends

    def _train_until(self, end: int) -> None:
        while self.position.step < end:
            trained = self._step(self.position.step)
            step = self.position.step
            due = self.plan.every and step % self.plan.every == 0 and step < end
            if trained and due and self._ensures_sound():
                self._save()

    def _step(self, step: int) -> bool:
        """Train on a batch; return whether the step counts."""
        batch = next(self._batches)
        if step in self.position.left_out:
            self.position.step += 1
            return False
        self.callbacks.on_train_batch_begin(step % self.plan.steps)
        if self._undo:
            self._undo.take()
        with self.place.watch("a training step"):
            if not self._traced:
                self._warn_of_shortage(*batch)
            told = self.trainer.train_step(*batch, self._asked(), self._number(step), self.plan.size(step))
            loss, right, images, asked, self._rate = told.numpy().tolist()
        mean = loss / images
        norm = self.trainer.gradient_norm
        if not math.isfinite(mean) or not (norm is None or math.isfinite(norm)):
            what = f"loss became {mean}" if not math.isfinite(mean) else "the gradient is NaN or infinite"
            self._leave_out(step, what, undo=self._undo)
            return False
        self.position.step, self.position.rate = self.position.step + 1, self._rate
        self.position.loss, self.position.hits = self.position.loss + loss, self.position.hits + right
        self.position.images += images
        self.callbacks.on_train_batch_end(step % self.plan.steps, {"loss": mean})
        if asked:
            raise _Asked
        return True

    def _warn_of_shortage(self, *batch) -> None:
        """Before the first step, report a lack of memory; only on the CPU, and not for a step that XLA compiles."""
        self._traced, free = True, free_memory()
        if free is None or {device.device_type for device in tf.config.list_physical_devices()} != {"CPU"}:
            return
        arguments = *batch, self._asked(), self._number(0), self.plan.largest
        graph = self.trainer.train_step.get_concrete_function(*arguments).graph  # reused
        if warning := shortage(estimated_bytes(graph), free, self.feed.batch_size, remat_of(self.trainer.model)):
            say(warning)

    def _tested(self) -> dict[str, float]:
        """The epoch's logs; empty if the test loss is NaN or infinite, which is where a bad last update shows first."""
        self.callbacks.on_test_begin()
        tested = self.evaluate()
        if not math.isfinite(tested["loss"]):
            return {}
        self.callbacks.on_test_end(tested)
        found = {f"val_{name}": value for name, value in tested.items()}
        if self.trainer.average:
            with self.trainer.average.swapped():
                found |= {f"val_ema_{name}": value for name, value in self.evaluate().items()}
        return means((self.position.loss, self.position.hits, self.position.images)) | found

    def tested(self) -> dict[str, float]:
        """The results of the last test of this state; the test runs again if no checkpoint has them."""
        return self.position.tested or self._tested()

    def conclude(self, best: bool) -> dict[str, float]:
        """Take the state to be exported, the best or the last, and test it on the split that nothing looked at so far.

        All workers take part.

        Args:
            best: Whether to restore the best checkpoint.

        Returns:
            The state's results as in `tested`. Where there is a test split beside the validation split, also
            "test_loss" and "test_accuracy", of the averaged weights where there are any.

        Raises:
            Preempted: after a signal; the state is saved.
        """
        self.epochs_done = self.position.epoch
        if best and self.checkpoints.best not in (None, self.position.step):
            self.position = self.checkpoints.restore_best()
        results, data, average = dict(self.tested()), self.feed.data, self.trainer.average
        if data.watched == data.tested:
            return results
        try:
            with average.swapped() if average else nullcontext():
                tested = self.evaluate(self.feed.testing(data.tested))
        except _Asked:
            raise Preempted("asked to stop in the last test: all is saved, nothing exported.") from None
        return results | {f"test_{name}": value for name, value in tested.items()}

    def evaluate(self, test_batches=None) -> dict[str, float]:
        """Loss and accuracy over batches; by default those of the split that is watched in training."""
        sums = [0.0, 0.0, 0.0]
        batches = iter(self._test_batches if test_batches is None else test_batches)
        while True:
            with self.place.watch(
                "a test step"
            ):  # includes fetching the batch: several workers ask each other whether there is one more
                if (batch := next(batches, None)) is None:
                    return means(sums)
                *parts, asked = self.trainer.test_step(*batch, self._asked()).numpy().tolist()
            if asked:
                raise _Asked
            sums = [total + part for total, part in zip(sums, parts, strict=True)]

    def _number(self, step: int) -> tf.Tensor:
        return tf.constant(step, tf.int64)

    def _asked(self) -> tf.Tensor:
        return tf.constant(float(bool(self.notice)))

    def _is_sound(self) -> bool:
        """Whether all values of the state are finite; a finite loss can hide that some are not."""
        values = (variable.numpy() for variable in self.trainer.variables)
        return all(np.isfinite(value).all() for value in values if value.dtype.kind == "f")

    def _ensures_sound(self) -> bool:
        """Whether the state is finite; if it is not, the last step is skipped."""
        sound = self._is_sound()
        if not sound:
            self._leave_out(self._last_trained(), SPOILT)
        return sound

    def _last_trained(self) -> int:
        return next(step for step in count(self.position.step - 1, -1) if step not in self.position.left_out)

    def _save(self, score: float | None = None) -> bool:
        """Save; return whether it worked on all workers."""
        with self.place.watch("a save"):
            return self.place.all_did(self.checkpoints.save(self.position, score))

    def _leave_out(self, step: int, what: str, undo: Snapshot | None = None) -> None:
        """Continue without a step's batch: from the state before it by `undo`, or from the last checkpoint.

        Raises:
            NumericError: if `on_nan` is "stop", or skipping does not help.
        """
        what = f"{what} at step {step + 1} ({self._circumstances()})"
        left_out = sorted({*self.position.left_out, step})
        if self.plan.on_nan == "stop" or _in_a_row(step, left_out) > PATIENCE:
            others = "" if self.plan.on_nan != "stop" else ", or pass --on_nan=rollback or --on_nan=skip"
            raise NumericError(f"{what}. Not saved. {self._last_good()} {LOWER}{others}.")
        if undo:
            undo.put_back()
            self.position.step += 1
        else:
            self._go_back(what)
        self._rate = self.position.rate
        self.position.left_out = left_out
        say(f"{what}: continuing from step {self.position.step} without that batch.")

    def _go_back(self, what: str) -> None:
        epoch, steps = self.position.epoch, self.checkpoints.steps
        self.position = self.checkpoints.restore()
        if not steps or self.position.epoch != epoch:
            raise NumericError(f"{what}. There is no checkpoint of this epoch to roll back to. {LOWER}.")
        self._batches = self.feed.training(self.position.step)

    def _circumstances(self) -> str:
        """Epoch, rate and gradient norm of the last step, of this process or of the checkpoint that it resumed from."""
        known = {"rate": self._rate, "gradient norm": self.trainer.gradient_norm}
        numbers = [f"{name} {number:g}" for name, number in known.items() if number is not None]
        return ", ".join([f"epoch {self.position.epoch + 1}", *numbers])

    def _last_good(self) -> str:
        steps = self.checkpoints.steps
        return f"The last checkpoint is step {steps[-1]}." if steps else "There is no checkpoint yet."


def _in_a_row(step: int, left_out: list[int]) -> int:
    """The number of consecutive skipped steps around `step`.

    >>> _in_a_row(4, [1, 3, 4, 5])
    3
    """
    after, before = (next(n for n in count(step, way) if n not in left_out) for way in (1, -1))
    return after - before - 1


class Snapshot:
    """A copy of variables on their devices, to undo a step.

    >>> variable, average = keras.Variable([1.0, 2.0]), tf.Variable([1.0])
    >>> snapshot = Snapshot([variable, average])
    >>> snapshot.take()
    >>> _ = variable.assign([3.0, float("nan")])
    >>> snapshot.put_back()
    >>> print(variable.numpy())
    [1. 2.]
    """

    def __init__(self, variables: list):
        self._variables = [each.value if isinstance(each, keras.Variable) else each for each in variables]
        self._copies = [tf.Variable(variable, trainable=False) for variable in self._variables]

    @tf.function
    def take(self) -> None:
        """Copy the variables."""
        for copy, variable in zip(self._copies, self._variables, strict=True):
            copy.assign(variable)

    @tf.function
    def put_back(self) -> None:
        """Restore the variables from the copy."""
        for copy, variable in zip(self._copies, self._variables, strict=True):
            variable.assign(copy)


class _Asked(Exception):
    """A worker was asked to stop."""
