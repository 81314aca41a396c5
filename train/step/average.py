"""Exponential moving averages of the weights, to test and to serve beside the raw ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from ..process.backend import tf


class Average(tf.Module):
    """The exponential moving average of a network's weights over the updates.

    After update `n`, `average = d * average + (1 - d) * weight` with `d = min(decay, (1 + n) / (10 + n))`: the rule of
    `tf.train.ExponentialMovingAverage`, that lets short runs forget where they began. The moving statistics of batch
    normalisation are averaged as well (so in the TPU code of EfficientNet, and in timm): those of the raw weights, a
    few steps old, would not fit weights that are an average of thousands.

    Keras' own `use_ema` averages the trainable weights alone, once a step where several accumulate to an update, and
    exchanges them by additions that lose the last bits.

    A `tf.train.Checkpoint` keeps it: its variables are its only state.

    Args:
        model: A built network; make this under the same strategy.
        optimizer: Whose updates count.
        decay: `d`; 0.999 by default.

    Example: `d` is 2/11 after the first update

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
        """Take in the weights; after the optimiser's step, in its replica context.

        Where steps accumulate, those that update nothing count for nothing.
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
        """Give the network the averages as its weights."""
        for weight, average in zip(self._weights, self.averages, strict=True):
            weight.assign(average.numpy())

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The network with the averages as its weights; afterwards its own are back, to the bit."""
        raw = [weight.numpy() for weight in self._weights]
        try:
            self.put_in()
            yield
        finally:
            for weight, value in zip(self._weights, raw, strict=True):
                weight.assign(value)
