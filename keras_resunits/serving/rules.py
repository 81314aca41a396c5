"""Which operations scales and shifts of channels pass, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from keras_resunits.serving.affine import ONE
from keras_resunits.serving.folding import HOMOGENEOUS, Folding, Value, copy
from keras_resunits.serving.nodes import Linear, constant, operation
from keras_resunits.serving.tracing import source


def weights(folding: Folding, op: tf.Operation) -> Value | None:
    """`W (s x + t) + c = (W s) x + (W t + c)`; a convolution that pads zeros takes the scale only."""
    x, kernel = op.inputs[0], folding.constant(op.inputs[1])
    if kernel is None or not _by_last_axis(op):
        return None
    pads = op.type == "Conv2D" and op.get_attr("padding") != b"VALID"
    value = folding.unshifted(x) if pads else folding.value(x)
    if kernel.shape[-2] != x.shape[-1]:  # a grouped convolution
        value = Value(folding.settled(x))
    node = copy(op, value.stored)
    linear = Linear(node.op, node.name, node.inputs, node.attributes, kernel.astype(np.float64), dtype=x.dtype)
    linear.after(value.scale, value.shift)
    return Value((linear, 0), weights=linear, free=True)


def _by_last_axis(op: tf.Operation) -> bool:
    if op.type == "MatMul":
        return not (op.get_attr("transpose_a") or op.get_attr("transpose_b"))
    return op.get_attr("data_format") == b"NHWC"


def activation(folding: Folding, op: tf.Operation) -> Value | None:
    """`relu(s x + t) = |s| relu(sign(s) (x + t / s))`."""
    (x,) = op.inputs
    value = folding.value(x)
    if not value.scale.all() or (value.shifted and not value.rising):
        return None
    stored = folding.unshifted(x).stored
    if not value.rising:
        stored = operation("Mul", f"{op.name}/mirrored", x.dtype, stored, constant(np.sign(value.scale), x, "signs"))
    return Value((copy(op, stored), 0), np.abs(value.scale))


def total(folding: Folding, op: tf.Operation) -> Value | None:
    """Sums: shifts add up, and weights that end in the sum take them; unequal scales are multiplied before it."""
    x, y = op.inputs
    if not _alike(x, y):
        return None
    a, b = folding.value(x), folding.value(y)
    b = b.then(-ONE) if op.type == "Sub" else b
    if a.stored == b.stored:
        return Value(a.stored, a.scale + b.scale, a.shift + b.shift, norms=a.norms | b.norms)
    opposite = (a.scale == -b.scale).all()
    if not opposite and (a.scale != b.scale).any():
        a, b = folding.unscaled(x, a), folding.unscaled(y, b)
    takers = [v.weights for v in (a, b) if v.weights and not v.scaled and not opposite]
    stored = operation("Sub" if opposite else "AddV2", op.name, x.dtype, a.stored, b.stored)
    return Value(stored, a.scale, a.shift + b.shift, takers[0] if takers else None, norms=a.norms | b.norms)


def product(folding: Folding, op: tf.Operation) -> Value | None:
    """`(s x) (r y) = s r (x y)`."""
    x, y = op.inputs
    if not _alike(x, y):
        return None
    a, b = (_where(lambda value: not value.shifted, folding, tensor) for tensor in (x, y))
    return Value((copy(op, a.stored, b.stored), 0), a.scale * b.scale, norms=a.norms | b.norms)


def _where(fits: Callable[[Value], bool], folding: Folding, tensor: tf.Tensor) -> Value:
    """Return the value of a tensor if it fits, and else the tensor itself."""
    value = folding.value(tensor)
    return value if fits(value) else Value(folding.settled(tensor))


def _alike(x: tf.Tensor, y: tf.Tensor) -> bool:
    """Whether two tensors have the same number of axes and the same channels."""
    same = x.shape.rank == y.shape.rank and _channels(x) == _channels(y)
    return bool(x.dtype.is_floating and same and _channels(x))


def _channels(tensor: tf.Tensor) -> int | None:
    return tensor.shape[-1] if tensor.shape.rank else None


def passing(folding: Folding, op: tf.Operation) -> Value | None:
    """Means, slices and shapes that keep the channels: `f(s x + t) = s f(x) + t`."""
    x = op.inputs[0]
    if not x.dtype.is_floating or _channels(x) is None or _channels(x) != _channels(op.outputs[0]):
        return None
    value = folding.value(x)
    rest = [folding.settled(each) for each in op.inputs[1:]]
    return replace(value, stored=(copy(op, value.stored, *rest), 0))


def maximum(folding: Folding, op: tf.Operation) -> Value | None:
    """`max(s x + t) = s max(x) + t` for `s > 0`."""
    value = passing(folding, op)
    return replace(value, weights=None, free=False) if value and value.rising else None


def over_last(rule: Callable) -> Callable:
    """Return the rule of a reduction, for those that leave the last axis alone."""

    def reduction(folding: Folding, op: tf.Operation) -> Value | None:
        axes, rank = folding.constant(op.inputs[1]), op.inputs[0].shape.rank
        kept = axes is not None and rank and (rank - 1) not in np.atleast_1d(axes) % rank
        return rule(folding, op) if kept else None

    return reduction


def of_images(rule: Callable) -> Callable:
    """Return the rule of a pooling, for those of `[batch, height, width, channels]`."""
    return lambda folding, op: rule(folding, op) if op.get_attr("data_format") == b"NHWC" else None


def sliced(folding: Folding, op: tf.Operation) -> Value | None:
    """Slices of all channels, in their order."""
    steps, same_rank = folding.constant(op.inputs[3]), op.inputs[0].shape.rank == op.outputs[0].shape.rank
    axes_kept = not (op.get_attr("new_axis_mask") or op.get_attr("shrink_axis_mask") or op.get_attr("ellipsis_mask"))
    whole = steps is not None and same_rank and axes_kept and len(steps) == op.inputs[0].shape.rank and steps[-1] == 1
    return passing(folding, op) if whole else None


def reshaped(folding: Folding, op: tf.Operation) -> Value | None:
    """A shape with one unknown length is a constant; where the channels stay the last axis, scale and shift pass."""
    value = passing(folding, op) or Value((copy(op, *map(folding.settled, op.inputs)), 0))
    shape = op.outputs[0].shape
    if shape.rank is not None and list(shape).count(None) <= 1:
        fixed = np.array([-1 if length is None else length for length in shape], np.int32)
        node = value.stored[0]
        node.inputs[1] = constant(fixed, op.inputs[1])
        node.attributes["Tshape"] = tf.compat.v1.AttrValue(type=tf.int32.as_datatype_enum)
    return value


def transposed(folding: Folding, op: tf.Operation) -> Value | None:
    """A transposition that changes nothing is none."""
    order = folding.constant(op.inputs[1])
    unchanged = order is not None and (order == np.arange(len(order))).all()
    return folding.value(op.inputs[0]) if unchanged else None


def padded(folding: Folding, op: tf.Operation) -> Value | None:
    """Padding with the number that is `s` times another plus `t`; padded channels are stored as they are."""
    x, widths = op.inputs[0], folding.constant(op.inputs[1])
    fill = folding.constant(op.inputs[2]) if op.type == "PadV2" else np.zeros((), x.dtype.as_numpy_dtype)
    channels = _channels(x)
    if widths is None or fill is None or channels is None or not x.dtype.is_floating:
        return None
    if np.isneginf(fill) and _never_negative(x) and folding.readers(op) <= {"MaxPool"}:
        fill = np.zeros((), fill.dtype)  # the same maximum, and numbers that integers can stand for
    value, images, extra = folding.value(x), widths[:-1].any(), widths[-1]
    if images and _filling(value, fill, extra.any()) is None:
        value = folding.unshifted(x)
    number = _filling(value, fill, extra.any()) if images else fill
    if number is None:
        return None
    node = copy(op, value.stored, folding.settled(op.inputs[1]))
    node.op = "PadV2" if number else "Pad"  # TensorFlow merges a convolution with "Pad" only
    if number:
        node.inputs = [*node.inputs, constant(number, x, "pads")]
    scale, shift = (np.broadcast_to(v, channels) for v in (value.scale, value.shift))
    return Value((node, 0), np.pad(scale, extra, constant_values=1), np.pad(shift, extra), norms=value.norms)


def _never_negative(tensor: tf.Tensor) -> bool:
    return source(tensor).op.type in ("Relu", "Relu6", "Sigmoid")


def _filling(value: Value, fill: np.ndarray, more_channels: bool) -> np.ndarray | None:
    """Return the number that is `fill` after scale and shift, if it is one for all channels."""
    if not value.rising:
        return None
    numbers = np.unique(((fill - value.shift) / value.scale).astype(fill.dtype))
    fits = numbers.size == 1 and not (more_channels and numbers[0] != fill)
    return numbers[0] if fits else None


def joined(folding: Folding, op: tf.Operation) -> Value | None:
    """Concatenation of channels."""
    *tensors, axis = op.inputs
    axis, rank = folding.constant(axis), op.outputs[0].shape.rank
    if axis is None or None in map(_channels, tensors) or int(axis) % rank != rank - 1:
        return None
    values = [_where(lambda value: value.rising, folding, tensor) for tensor in tensors]
    node = copy(op, *(value.stored for value in values), folding.settled(op.inputs[-1]))
    scale, shift = (
        np.concatenate(
            [np.broadcast_to(getattr(v, name), tuple(x.shape[-1:])) for v, x in zip(values, tensors, strict=True)]
        )
        for name in ("scale", "shift")
    )
    return Value((node, 0), scale, shift, norms=frozenset().union(*(value.norms for value in values)))


RULES: dict[str, Callable[[Folding, tf.Operation], Value | None]] = {
    "Conv2D": weights,
    "MatMul": weights,
    **dict.fromkeys(HOMOGENEOUS, activation),
    **dict.fromkeys(("Add", "AddV2", "Sub"), total),
    "Mul": product,
    "Mean": over_last(passing),
    "Max": over_last(maximum),
    "AvgPool": of_images(passing),
    "MaxPool": of_images(maximum),
    "StridedSlice": sliced,
    "Squeeze": passing,
    "ExpandDims": passing,
    "Reshape": reshaped,
    "Transpose": transposed,
    "Pad": padded,
    "PadV2": padded,
    "ConcatV2": joined,
}
"""The rule of each type of operation; all others read and return tensors as they are."""
