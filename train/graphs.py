"""TensorFlow's rewriting of graphs (Grappler), left out where it takes longer than it gives back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from train.backend import tf

SWITCH = "disable_meta_optimizer"


@contextmanager
def as_traced() -> Iterator[None]:
    """Functions that are called inside run as they were traced; what is called outside is rewritten as ever.

    For training on processors: the rewriting of a step of PreActResNet-164, 8,000 operations, takes seconds before the
    first one and makes none of the others faster (docs/measured.md). GPUs and TPUs, which want its layouts and fusions,
    have them as ever.

    >>> with as_traced():
    ...     tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    True
    >>> tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    False
    """
    before = tf.config.optimizer.get_experimental_options().get(SWITCH, False)
    processors = {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
    tf.config.optimizer.set_experimental_options({SWITCH: before or processors})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({SWITCH: before})
