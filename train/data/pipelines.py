"""How tf.data runs the pipelines of this package."""

from __future__ import annotations

from ..process.backend import tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set, with as many parallel calls as the process has threads in place of tf.data's own tuning.

    The tuner's thread can miss that its iterator is deleted. The deletion then waits for the thread's next turn:
    seconds, and up to a minute where the iterator is a minute old. Batches come as fast without it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
