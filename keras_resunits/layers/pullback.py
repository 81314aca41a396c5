"""Vector-Jacobian products on TensorFlow, JAX and PyTorch, which `keras.ops` lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_resunits.layers.backend import tf

Back = Callable[..., tuple]
"""From a gradient with respect to each output to the gradients with respect to the inputs."""


def pullback(function: Callable[..., tuple], *inputs) -> tuple[tuple, Back]:
    """Evaluate a function once, and return its outputs and its vector-Jacobian product.

    No variable moves: neither statistics nor the seeds of random layers. So a second evaluation draws the same numbers.

    Args:
        function: From tensors to a tuple of tensors.
        *inputs: Arrays or tensors of floats.

    Returns:
        `(outputs, back)`, where `back(*cotangents)` takes one cotangent for each output, `None` for zeros, and returns
        a gradient for each input. It may be called any number of times.

    Example:

    >>> import numpy as np
    >>> from keras_resunits.layers.pullback import pullback
    >>> outputs, back = pullback(lambda x, y: (x * y, x), np.float32(2.0), np.float32(3.0))
    >>> [float(gradient) for gradient in back(np.float32(10.0), np.float32(1.0))]
    [31.0, 20.0]
    """

    def still(*arrays):
        with keras.StatelessScope():
            return tuple(function(*arrays))

    outputs, back = _PULLBACKS[keras.backend.backend()](still, [ops.convert_to_tensor(each) for each in inputs])

    def filled(*cotangents):
        pairs = zip(outputs, cotangents, strict=True)
        return back([ops.zeros_like(y) if v is None else ops.cast(ops.convert_to_tensor(v), y.dtype) for y, v in pairs])

    return outputs, filled


def _tensorflow(function: Callable, inputs: list) -> tuple[tuple, Back]:
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        inputs = [tf.identity(each) for each in inputs]  # the same tensor may be given twice
        tape.watch(inputs)
        outputs = function(*inputs)
    return outputs, lambda cotangents: tuple(
        tape.gradient(outputs, inputs, output_gradients=cotangents, unconnected_gradients="zero")
    )


def _jax(function: Callable, inputs: list) -> tuple[tuple, Back]:
    import jax

    outputs, back = jax.vjp(function, *inputs)
    return outputs, lambda cotangents: back(tuple(cotangents))


def _torch(function: Callable, inputs: list) -> tuple[tuple, Back]:
    import torch

    inputs = [each.detach().clone().requires_grad_() for each in inputs]
    with torch.enable_grad():
        outputs = function(*inputs)

    def back(cotangents):
        reached = [(y, v) for y, v in zip(outputs, cotangents, strict=True) if y.requires_grad]
        if not reached:
            return tuple(map(torch.zeros_like, inputs))
        ys, vs = zip(*reached, strict=True)
        return torch.autograd.grad(ys, inputs, vs, retain_graph=True, allow_unused=True, materialize_grads=True)

    return tuple(y.detach() for y in outputs), back


_PULLBACKS: dict[str, Any] = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
