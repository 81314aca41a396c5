"""Time what guards a run: a session's steps beside those of the plainest loop, one of each by turns, in one process.

    python -m benchmarks.guards --rounds=5

The plain loop takes a batch and calls a compiled step: forwards, backwards, update. The session's step also finds the
gradient's norm and the right answers, tells all replicas whether somebody asked to stop, reads the loss and the norm,
stops at what is no number, takes note of signals, tells callbacks (progress, history) and counts. Saving, testing and
`--on_nan=skip`, which copies the state, are not in it: they are no part of a step. A round's figure is the ratio of the
medians of its steps. What a save takes is told apart: written, flushed to the disk, hashed and renamed; the median of
as many as rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import train  # noqa: F401, I001 -- says how TensorFlow starts

import keras
import numpy as np
import tensorflow as tf

from keras_resunits import CoupledSGD, PreActResNet
from train.data.augmentation import Augmentation
from train.run.recorders import Progress, Records
from train.run.checkpoints import Checkpoints, Position
from train.data.datasets import ImageData
from train.data.feeding import Feed
from train.step.trainer import Trainer
from train.cluster.strategy import Place
from train.run.session import Plan, Session
from train.step.targets import CrossEntropy


class Plain:
    """Training without any guard: a network and an optimiser of its own.

    Args:
        depth: Of PreActResNet.
        feed: The batches.
    """

    def __init__(self, depth: int, feed: Feed):
        self.model, self.optimizer, self.loss = PreActResNet(depth), Unwatched(0.1), CrossEntropy()
        self.preprocessing, self._feed = keras.layers.Rescaling(1 / 255), feed
        self.optimizer.build(self.model.trainable_variables)

    def begin(self) -> None:
        """At the first batch."""
        self._batches = self._feed.training(0)
        next(self._batches)

    def step(self) -> None:
        """One update."""
        self._update(*next(self._batches))

    @tf.function
    def _update(self, images, labels):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.loss.call(labels, self.model(self.preprocessing(images), training=True)))
        self.optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)


class Unwatched(CoupledSGD):
    """Finds no norm."""

    def _clip_gradients(self, grads):
        return grads


class Turns(keras.callbacks.Callback):
    """The last callback: before each of the session's steps one of the plain loop, both timed."""

    def __init__(self, plain: Plain):
        super().__init__()
        self._plain, self.plain_seconds, self.guarded_seconds = plain, [], []

    def on_train_begin(self, logs=None):
        self._began = None

    def on_train_batch_begin(self, batch, logs=None):
        now = time.perf_counter()
        if self._began is not None:  # what lies between two beginnings is a guarded step
            self.guarded_seconds.append(now - self._began)
        self._plain.step()
        self._began = time.perf_counter()
        self.plain_seconds.append(self._began - now)


class Steps(Session):
    """A session of steps alone."""

    def evaluate(self):
        return {"loss": 0.0, "accuracy": 0.0}

    def _save(self, score=None):
        return True


def timed(function, *arguments) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="timed steps of either kind a round")
    parser.add_argument("--depth", type=int, default=20, help="of PreActResNet")
    parser.add_argument("--batch", type=int, default=64, help="images a step")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2048, 32, 32, 3), np.uint8), rng.integers(0, 10, 2048)
    data = ImageData((images, labels), (images[:1], labels[:1]), [str(i) for i in range(10)])
    feed = Feed(data, args.batch, Augmentation(4, True), 0)
    model, plain = PreActResNet(args.depth), Plain(args.depth, feed)
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), CoupledSGD(0.1))
    trainer.train_step(*next(feed.training(0)), tf.constant(0.0))
    plain.begin()
    plain.step()  # both are traced
    ratios, here = [], Place(tf.distribute.get_strategy(), "this machine")
    for i in range(args.rounds):
        plain.begin()
        turns = Turns(plain)
        with tempfile.TemporaryDirectory() as folder:
            callbacks = [Records(args.batch), Progress(1, 0, args.steps + 2, args.batch), turns]
            checkpoints = Checkpoints(Path(folder), model, trainer.optimizer)
            Steps(trainer, feed, checkpoints, Plan(1, args.steps + 2), here, callbacks).run()
        # the first guarded step began before the pipelines were warm
        bare, guarded = (statistics.median(each[1:]) for each in (turns.plain_seconds, turns.guarded_seconds))
        ratios.append(guarded / bare)
        print(
            f"round {i + 1}/{args.rounds}  {1000 * bare:.1f} ms plain, {1000 * guarded:.1f} ms guarded", file=sys.stderr
        )
    with tempfile.TemporaryDirectory(dir=".") as folder:  # a real disk, which /tmp may not be
        checkpoints = Checkpoints(Path(folder), model, trainer.optimizer)
        seconds = statistics.median(timed(checkpoints.save, Position(step=i)) for i in range(args.rounds))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*")) / len(checkpoints.steps) / 1e6
    low, middle, high = (each - 1 for each in (min(ratios), statistics.median(ratios), max(ratios)))
    print(f"guarded steps take {middle:+.1%} (rounds: {low:+.1%} to {high:+.1%})")
    print(f"a save takes {1000 * seconds:.0f} ms ({size:.1f} MB)")


if __name__ == "__main__":
    main()
