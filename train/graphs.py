"""TensorFlow's rewriting of graphs (Grappler), left out where it takes longer than it gives back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from train.backend import tf

PASSES = (  # on by default; those that are left prune what nobody reads
    "arithmetic_optimization",
    "constant_folding",
    "dependency_optimization",
    "function_optimization",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "remapping",
    "shape_optimization",
)


@contextmanager
def hardly_rewritten() -> Iterator[None]:
    """Functions that are called inside begin sooner; what is called outside is rewritten as ever.

    For training on processors: in a step of PreActResNet-164, 8,000 operations, these passes search for seconds before
    the first one and make the others no faster that could be measured (README, Measured). GPUs and TPUs, which want
    their layouts and fusions, and inference, whose normalisations they fold, keep them.

    >>> with hardly_rewritten():
    ...     tf.config.optimizer.get_experimental_options()["remapping"]
    False
    >>> tf.config.optimizer.get_experimental_options()["remapping"]
    True
    """
    if any(device.device_type != "CPU" for device in tf.config.list_logical_devices()):
        yield
        return
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options(dict.fromkeys(PASSES, False))
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before.get(name, True) for name in PASSES})
