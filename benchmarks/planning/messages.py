"""What a training step sends: sums over all devices, counted in its graph, and derived from the network.

A step of n devices sends

- forwards, for each synchronised norm of C channels, a table with a row a device: 4 n (2 C + 1) bytes;
- backwards, for each of them, two sums a channel: 8 C bytes;
- the gradients of all P trainable parameters, as one message: 4 P bytes;
- the sums of losses, of right answers, of images, and whether to stop: 16 bytes.

With local statistics the first two are missing. TensorFlow keeps the messages in one order, so each waits for the one
before.
"""

from __future__ import annotations

import keras

FLOAT = 4
SUMS = 4 * FLOAT  # of `Trainer`


def counted(graph) -> list[int]:
    """The bytes of each sum over all devices, in the graph of one worker's step."""
    inputs = [each.inputs[0] for each in graph.get_operations() if each.type == "CollectiveReduceV2"]
    return [tensor.shape.num_elements() * tensor.dtype.size for tensor in inputs]


def norms(model: keras.Model) -> list[int]:
    """The channels of each batch normalisation."""
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    return [layer.moving_mean.shape[0] for layer in layers]


def derived(channels: list[int], parameters: int, devices: int) -> list[int]:
    """The bytes of each message of a step.

    Args:
        channels: Those of each synchronised norm; none where statistics are local.
        parameters: How many numbers are trained.
        devices: How many compute.

    Example: a norm of two channels and ten parameters on three devices

    >>> derived([2], 10, 3)
    [60, 16, 40, 16]
    """
    forwards = [FLOAT * devices * (2 * each + 1) for each in channels]
    backwards = [FLOAT * 2 * each for each in channels]
    return [*forwards, *backwards, FLOAT * parameters, SUMS]


def of_network(model: keras.Model, devices: int, statistics: str) -> list[int]:
    """The bytes of each message of a network's step, for "synchronized" or "local" statistics."""
    parameters = sum(variable.shape.num_elements() for variable in model.trainable_variables)
    return derived(norms(model) if statistics == "synchronized" else [], parameters, devices)
