"""What TensorFlow does to a traced step before it first runs."""

from __future__ import annotations

# In training steps these find nothing that makes them faster; to look takes 0.6 s for a network of 164 layers.
FRUITLESS = ("arithmetic_optimization", "constant_folding")


def trace_lightly() -> None:
    """On processors, leave out those of TensorFlow's graph optimisers that cost more than they bring. With other
    devices, where nobody measured, all stay."""
    import tensorflow as tf

    if {device.device_type for device in tf.config.list_physical_devices()} == {"CPU"}:
        tf.config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, False))
