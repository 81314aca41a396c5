"""Time what guards a run: the session's epochs beside the bare training step, in one process, turn by turn.

    python benchmarks/guards.py --rounds=5

The session reads every step's loss and gradient norm and stops at what is no number, takes note of signals, tells
callbacks (progress, history) and counts; the bare loop calls the same compiled step on the same batches. Saving,
testing and `--on_nan=skip`, which copies the state, are not in it: they are no part of a step. Medians of the rounds'
ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from keras_resunits import CoupledSGD, PreActResNet
from train.augmentation import Augmentation
from train.callbacks import Progress, Records
from train.checkpoints import Checkpoints
from train.datasets import ImageData
from train.feeding import Feed
from train.loop import Trainer
from train.session import Session


class Steps(Session):
    """A session whose epochs are steps alone, timed."""

    def _tested(self):
        self.callbacks.on_test_begin()
        self.seconds = time.perf_counter() - self.began
        return {"val_loss": 0.0, "val_accuracy": 0.0}

    def _epoch(self):
        self.began = time.perf_counter()
        super()._epoch()

    def _save(self, score=None):
        return True


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="timed steps a round")
    parser.add_argument("--depth", type=int, default=20, help="of PreActResNet")
    parser.add_argument("--batch", type=int, default=64, help="images a step")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2048, 32, 32, 3), np.uint8), rng.integers(0, 10, 2048)
    data = ImageData((images, labels), (images[:1], labels[:1]), [str(i) for i in range(10)])
    model = PreActResNet(args.depth)
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), CoupledSGD(0.1))
    feed = Feed(data, args.batch, Augmentation(4, True), 0)
    asked, ratios = tf.constant(0.0), []
    trainer.train_step(*next(feed.training(0)), asked).numpy()
    for i in range(args.rounds):
        batches = feed.training(0)
        next(batches)  # the pipeline's start is no step
        began = time.perf_counter()
        for _ in range(args.steps):
            trainer.train_step(*next(batches), asked).numpy()
        bare = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            callbacks = [Records(args.batch), Progress(1, 0, args.steps, args.batch)]
            checkpoints = Checkpoints(Path(folder), model, trainer.optimizer)
            session = Steps(trainer, feed, 1, args.steps, callbacks, checkpoints)
            session.run()
        ratios.append(session.seconds / bare)
        print(f"round {i + 1}/{args.rounds}  {bare:.3f} s bare, {session.seconds:.3f} s guarded", file=sys.stderr)
    low, middle, high = (each - 1 for each in (min(ratios), statistics.median(ratios), max(ratios)))
    print(f"guarded steps take {middle:+.1%} (rounds: {low:+.1%} to {high:+.1%})")


if __name__ == "__main__":
    main()
