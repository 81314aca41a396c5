"""Operations that scale and shift the channels of one tensor by constants: norms, biases, gates, scalings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

Factors = np.ndarray | np.float64
"""A number, or one for each channel, in float64."""

NORM = "FusedBatchNormV3"
"""The type of TensorFlow's batch normalisation of images."""

ONE = np.float64(1)
ZERO = np.float64(0)


@dataclass(frozen=True, eq=False)
class Affine:
    """`scale * x + shift` in the channels of `x`, its last axis.

    Args:
        x: The tensor.
        scale: The factors of the channels. Defaults to 1.
        shift: What is added. Defaults to 0.
        norm: The name of the norm that this is, if any.
        size: The root mean square of each channel of `x` where a norm knows it. Defaults to 1.
    """

    x: tf.Tensor
    scale: Factors = ONE
    shift: Factors = ZERO
    norm: str | None = None
    size: Factors = ONE

    def then(self, after: Affine) -> Affine:
        """Return `after` of this."""
        scale, shift = self.scale * after.scale, self.shift * after.scale + after.shift
        return replace(self, scale=scale, shift=shift)


def affine(op: tf.Operation, constants: Sequence[np.ndarray | None], factors: set[str]) -> Affine | None:
    """Return an operation as an `Affine`, or `None` if it is none.

    Args:
        op: The operation.
        constants: The value of each input, `None` for those that depend on the graph's input.
        factors: The names of the tensors that are factors of norms.
    """
    found = _norm(op, constants) if op.type == NORM else _arithmetic(op, constants, factors)
    if found and found.x.dtype not in (tf.float32, tf.float64, tf.bfloat16):  # weights could leave float16's range
        return None
    return found if found and np.isfinite(found.scale).all() and np.isfinite(found.shift).all() else None


def _norm(op, constants) -> Affine | None:
    if op.get_attr("is_training") or op.get_attr("data_format") != b"NHWC" or any(c is None for c in constants[1:]):
        return None
    gamma, beta, mean, variance = (c.astype(np.float64) for c in constants[1:])
    variance = variance + op.get_attr("epsilon")
    scale = gamma / np.sqrt(variance)
    return Affine(op.inputs[0], scale, beta - mean * scale, op.name, np.sqrt(variance + mean**2))


def _arithmetic(op, constants, factors) -> Affine | None:
    if op.type == "Neg":
        return Affine(op.inputs[0], -ONE)
    if op.type not in ("Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv"):
        return None
    if sum(c is None for c in constants) != 1:
        return None
    second = constants[1] is not None
    x, other = op.inputs if second else reversed(op.inputs)
    c = _by_channel(constants[second], x, op.outputs[0])
    if c is None or (op.type == "BiasAdd" and op.get_attr("data_format") != b"NHWC"):
        return None
    if op.type == "Mul":
        return Affine(x, c, norm=op.name if other.name in factors else None)
    if op.type == "RealDiv":
        return Affine(x, 1 / c) if second and c.all() else None
    if op.type == "Sub":
        return Affine(x, shift=-c) if second else Affine(x, -ONE, c)
    return Affine(x, shift=c)


def _by_channel(constant: np.ndarray, x: tf.Tensor, result: tf.Tensor) -> Factors | None:
    """Return a constant as float64, a number or one for each channel; `None` if it is neither, or enlarges `x`."""
    if not x.dtype.is_floating or x.shape.rank is None or result.shape.rank != x.shape.rank:
        return None
    if constant.size == 1:
        return constant.astype(np.float64).reshape(())
    fits = constant.shape[-1] == constant.size == x.shape[-1]
    return constant.astype(np.float64).reshape(-1) if fits else None
