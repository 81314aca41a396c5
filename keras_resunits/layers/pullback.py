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
        a gradient for each input. It may be called any number of times. Through float16, the gradients are in
        float32, so that small ones do not become 0.

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

    tensors = [ops.convert_to_tensor(each) for each in inputs]
    outputs, back = _PULLBACKS[keras.backend.backend()](still, tensors)

    def filled(*cotangents):
        pairs = zip(outputs, cotangents, strict=True)
        return back([ops.zeros_like(y) if v is None else ops.cast(ops.convert_to_tensor(v), y.dtype) for y, v in pairs])

    half = any(keras.backend.standardize_dtype(y.dtype) == "float16" for y in (*tensors, *outputs))
    return outputs, _scaled(filled) if half else filled


def _scaled(back: Back) -> Back:
    """Return the same product by way of cotangents of at most 1, in float32: small gradients are 0 in float16."""

    def scaled(*cotangents):
        given = [None if v is None else ops.cast(ops.convert_to_tensor(v), "float32") for v in cotangents]
        sizes = [ops.max(ops.abs(v)) for v in given if v is not None and 0 not in v.shape]
        size = max([float(ops.convert_to_numpy(each)) for each in sizes], default=0.0) or 1.0
        found = back(*(None if v is None else v / size for v in given))
        return tuple(ops.cast(gradient, "float32") * size for gradient in found)

    return scaled


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
