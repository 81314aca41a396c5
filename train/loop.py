"""The training loop: `strategy.run` over steps, Keras callbacks and metrics around it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf

from train.targets import Accuracy, CrossEntropy, answers


class NotFinite(Exception):
    """The loss is no number any more; the text names the step."""


class Trainer:
    """One network and one optimiser, under the current strategy.

    `Model.fit` is not used: under `MultiWorkerMirroredStrategy` it fails with Keras 3 (keras#20585), and it cannot
    start in the middle of a run.

    Args:
        model: From normalised images to logits.
        preprocessing: From uint8 images to normalised ones.
        optimizer: A Keras optimiser.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: keras.layers.Layer,
        optimizer: keras.optimizers.Optimizer,
    ):
        self.model, self.preprocessing, self.optimizer = model, preprocessing, optimizer
        self.strategy = tf.distribute.get_strategy()
        self.loss = CrossEntropy()
        self.metrics = [keras.metrics.Mean("loss"), Accuracy()]
        optimizer.build(model.trainable_variables)
        model.stop_training = False

    @tf.function
    def train_step(self, images, labels):
        """One update; returns the loss."""
        return self.strategy.run(self._train, (images, labels))

    @tf.function(reduce_retracing=True)
    def test_step(self, images, labels, weights=None):
        """Updates the metrics, nothing else; images of weight 0 do not count."""
        self.strategy.run(self._test, (images, labels, weights))

    def _train(self, images, labels):
        with tf.GradientTape() as tape:
            logits = self.model(self.preprocessing(images), training=True)
            loss = self.loss(labels, logits)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        self._measure(labels, logits, loss)
        return loss

    def _test(self, images, labels, weights):
        logits = answers(lambda views, training: self.model(self.preprocessing(views), training=training), images)
        mean, accuracy = self.metrics
        mean.update_state(self.loss.call(labels, logits), sample_weight=weights)
        accuracy.update_state(labels, logits, sample_weight=weights)

    def _measure(self, labels, logits, loss) -> None:
        mean, accuracy = self.metrics
        mean.update_state(loss, sample_weight=tf.cast(tf.shape(labels)[0], tf.float32))
        accuracy.update_state(labels, logits)

    def results(self) -> dict[str, float]:
        """The metrics since they were reset."""
        return {metric.name: float(metric.result()) for metric in self.metrics}

    def reset(self) -> None:
        """Start the metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def fit(
        self,
        batches: Iterator,
        test: Iterable,
        epochs: Iterable[int],
        steps: int,
        callbacks: keras.callbacks.CallbackList,
    ) -> None:
        """Train for `epochs`, testing after each.

        Args:
            batches: An iterator over training batches, standing at the first step.
            test: The test batches.
            epochs: The numbers of the epochs to train, from 0.
            steps: Steps an epoch.
            callbacks: Told of every event, with the names and logs of `Model.fit`.

        Raises:
            NotFinite: when the loss is NaN or infinite; the update that caused it is in no checkpoint.
        """
        callbacks.on_train_begin()
        try:
            self._epochs(batches, test, epochs, steps, callbacks)
        finally:  # files are closed and the curves drawn, however it ends
            callbacks.on_train_end()

    def _epochs(self, batches, test, epochs, steps, callbacks) -> None:
        for epoch in epochs:
            callbacks.on_epoch_begin(epoch)
            self.reset()
            for i in range(steps):
                callbacks.on_train_batch_begin(i)
                loss = float(self.train_step(*next(batches)))
                if not math.isfinite(loss):
                    raise NotFinite(f"loss became {loss} at step {epoch * steps + i + 1} (epoch {epoch + 1})")
                callbacks.on_train_batch_end(i, {"loss": loss})
            logs = self.results()
            callbacks.on_test_begin()
            tested = self.evaluate(test)
            if not math.isfinite(tested["loss"]):  # the last update's harm shows here first
                raise NotFinite(
                    f"test loss became {tested['loss']} after step {(epoch + 1) * steps} (epoch {epoch + 1})"
                )
            callbacks.on_test_end(tested)
            callbacks.on_epoch_end(epoch, {**logs, **{f"val_{name}": value for name, value in tested.items()}})
            if self.model.stop_training:  # a callback's wish, as in Model.fit
                break

    def evaluate(self, batches: Iterable) -> dict[str, float]:
        """Loss and accuracy over `batches`."""
        self.reset()
        for batch in batches:
            self.test_step(*batch)
        return self.results()
