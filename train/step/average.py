"""Exponential moving averages of the weights, to test alongside the raw weights and to export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from ..process.backend import tf


class Average(tf.Module):
    """The exponential moving average of a network's weights over the updates.

    After update `n`, `average = d * average + (1 - d) * weight` with `d = min(decay, (1 + n) / (10 + n))`: the rule of
    `tf.train.ExponentialMovingAverage`, with which short runs forget their initial weights. The moving statistics of
    batch normalisation are averaged as well, as in the TPU code of EfficientNet and in timm. Those of the raw weights
    cover only a few steps, and would not fit weights that are an average over thousands.

    Keras' own `use_ema` averages only the trainable weights, and averages after every step even where several
    accumulate to one update. It also swaps weights by additions that lose the last bits.

    A `tf.train.Checkpoint` saves it: its variables are its only state.

    Args:
        model: A built network; create the average under the same strategy.
        optimizer: The optimiser whose updates count.
        decay: `d`; 0.999 by default.

    Example: `d` is 2/11 after the first update.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    >>> optimizer = keras.optimizers.SGD(1.0)
    >>> average = Average(model, optimizer)
    >>> optimizer.apply([tf.constant([[11.0]])], model.trainable_variables)
    >>> average.update()
    >>> with average.swapped():
    ...     print(round(float(model.weights[0].numpy()[0, 0]), 4))
    -8.0
    >>> print(float(model.weights[0].numpy()[0, 0]))
    -10.0
    """

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer, decay: float = 0.999):
        super().__init__(name="average")
        self.decay = decay
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._weights = [weight for weight in model.weights if weight.dtype.startswith(("float", "bfloat"))]
        self.averages = [tf.Variable(weight.value, trainable=False, name="average") for weight in self._weights]

    def update(self) -> None:
        """Update the averages; call this after the optimiser's step, in its replica context.

        Where gradients accumulate over several steps, only steps that update the weights count.
        """
        accumulated = self._optimizer.gradient_accumulation_steps
        if accumulated:
            keras.ops.cond(self._optimizer._iterations % accumulated == 0, self._take_in, lambda: None)
        else:
            self._take_in()

    def _take_in(self) -> None:
        updates = tf.cast(self._optimizer.iterations, tf.float32)
        kept = tf.minimum(self.decay, (1.0 + updates) / (10.0 + updates))
        for average, weight in zip(self.averages, self._weights, strict=True):
            average.assign_sub(tf.cast(1.0 - kept, average.dtype) * (average - weight.value))

    def put_in(self) -> None:
        """Assign the averages to the network's weights."""
        for weight, average in zip(self._weights, self.averages, strict=True):
            weight.assign(average.numpy())

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The network has the averages as its weights; afterwards its own are restored, bit for bit."""
        raw = [weight.numpy() for weight in self._weights]
        try:
            self.put_in()
            yield
        finally:
            for weight, value in zip(self._weights, raw, strict=True):
                weight.assign(value)
