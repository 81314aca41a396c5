"""The steps that all replicas run: train on a batch, or test on one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
import numpy as np

from ..process.backend import tf
from .average import Average
from .sizes import answered, resized
from .targets import answers, hits, losses_of
from .weighting import weights_of


class Trainer:
    """A network and its optimiser under the current strategy; create both, and the trainer, in its scope.

    `Model.fit` is not used: under `MultiWorkerMirroredStrategy` it fails with Keras 3 (keras#20585), and it cannot
    start in the middle of an epoch.

    A step returns sums over all replicas, float32 `[4]`: losses, correct answers, examples, and `asked`, by which a
    worker that was asked to stop tells all others at the same step. A training step returns float32 `[5]`; the fifth
    number is its learning rate.

    Args:
        model: Maps normalised images to logits.
        preprocessing: Maps uint8 images to normalised images.
        optimizer: A Keras optimiser.
        average: Averages of the weights to update; none by default.
        compiled: Whether XLA compiles the training step; only on one device. Defaults to `False`.
        loss: From labels and logits to the loss of each image, `[b]`; by default the cross-entropy.
        augment: Maps a replica's images and the number of the step to float32 images; by default nothing.
        class_weights: Factors of the training loss by class, float32 `[classes]`; none by default.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: keras.layers.Layer,
        optimizer: keras.optimizers.Optimizer,
        average: Average | None = None,
        compiled: bool = False,
        loss: Callable | None = None,
        augment: Callable | None = None,
        class_weights: np.ndarray | None = None,
    ):
        self.model, self.preprocessing, self.optimizer, self.average = model, preprocessing, optimizer, average
        self.strategy = tf.distribute.get_strategy()
        self.loss, self.augment, self.class_weights = losses_of(loss), augment, class_weights
        self._trained = tf.function(self._train, jit_compile=True) if compiled else self._train
        optimizer.build(model.trainable_variables)

    @tf.function
    def train_step(self, images, labels, asked, step=0, size=None):
        """One training step; `step` is its number, on which the augmentation depends, `size` that of the images."""
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)  # before it counts this update
        return tf.concat([self._over_replicas(self._trained, (images, labels, asked, step, size)), [rate]], axis=0)

    @tf.function(reduce_retracing=True)
    def test_step(self, images, labels, weights, asked):
        """One test step, without an update; images of weight 0 do not count."""
        return self._over_replicas(self._test, (images, labels, weights, asked))

    def _over_replicas(self, step, arguments):
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(step, arguments), axis=None)

    def _train(self, images, labels, asked, step, size):
        if self.augment:
            images = self.augment(images, step)
        images = self.preprocessing(resized(images, size))
        with tf.GradientTape() as tape:
            logits = answered(self.model, images, training=True)
            losses = self.loss(labels, logits)
            if self.class_weights is not None:
                losses *= weights_of(labels, self.class_weights)
            loss = tf.reduce_mean(losses)
            # the mean over this replica's share; the optimiser sums the gradients of all replicas
            scaled = self.optimizer.scale_loss(loss / self.strategy.num_replicas_in_sync)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        if self.average:
            self.average.update()
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        return tf.stack([loss * count, tf.reduce_sum(hits(labels, logits)), count, asked])

    def _test(self, images, labels, weights, asked):
        logits = answers(lambda views, training: self.model(self.preprocessing(views), training=training), images)
        losses, right = self.loss(labels, logits), hits(labels, logits)
        sums = (tf.reduce_sum(values * weights) for values in (losses, right, tf.ones_like(losses)))
        return tf.stack([*sums, asked])

    @property
    def variables(self) -> list:
        """All variables that determine a run's results, in order: weights, random states, optimiser, averages."""
        return [*self.model.variables, *self.optimizer.variables, *(self.average.averages if self.average else ())]

    @property
    def gradient_norm(self) -> float | None:
        """The gradient norm of the last update, where the optimiser stores it; `None` otherwise."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return float(optimizer.gradient_norm.numpy()) if hasattr(optimizer, "gradient_norm") else None


def means(sums: Iterable[float]) -> dict[str, float]:
    """Loss and accuracy from sums of losses, correct answers and examples.

    >>> means([6.0, 3.0, 4.0])
    {'loss': 1.5, 'accuracy': 0.75}
    """
    loss, right, count = sums
    return {"loss": loss / count, "accuracy": right / count} if count else {"loss": float("nan"), "accuracy": 0.0}
