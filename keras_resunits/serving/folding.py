"""Folding: the scales and shifts of a frozen graph move into its weights.

Each tensor of the traced graph is `scale * stored + shift` of a tensor of the folded graph, with one scale and shift
for each channel. A norm, a bias or a scaling only changes these two. They are written where an operation needs the
tensor itself, unless one of three equations takes them away. For a convolution or matrix product `W`:

    s (W x + c) + t = (s W) x + (s c + t)                    behind weights
    W (s x + t) + c = (W s) x + (W t + c)                    before weights; where zeros are padded, only s
    relu(s x + t)   = |s| relu(sign(s) (x + t / s))          before activations

In the last, `|s|` passes to the next weights. In pre-activated units, `x` is the stream, and `t / s` goes into the
bias of the branch that ends in it: the stream is stored with the shift that its next norm wants, and each branch adds
the difference between two such shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from keras_resunits.serving.affine import NORM, ONE, ZERO, Affine, Factors, affine
from keras_resunits.serving.nodes import Linear, Node, Output, constant, normalization, operation
from keras_resunits.serving.tracing import PASSING, Traced, source

HOMOGENEOUS = {"Relu", "LeakyRelu"}
"""Activations with `f(s x) = s f(x)` for `s > 0`."""

LARGEST_SHIFT = {tf.float64: 8.0, tf.float32: 8.0, tf.bfloat16: 1.0}
"""The largest shift with which the stream is stored, in root mean squares of its channel: it costs digits."""


@dataclass(frozen=True, eq=False)
class Value:
    """What a tensor of the traced graph is in the folded one, `scale * stored + shift`.

    Args:
        stored: An output of the folded graph.
        scale: The factors of the channels. Defaults to 1.
        shift: What is added. Defaults to 0.
        weights: Weights to whose bias a shift of `stored` can still be added, if any.
        free: Whether a scale of `stored` can still be multiplied into their kernel too.
        norms: The norms that are a part of `scale` and `shift`.
    """

    stored: Output
    scale: Factors = ONE
    shift: Factors = ZERO
    weights: Linear | None = None
    free: bool = False
    norms: frozenset[str] = frozenset()

    @property
    def plain(self) -> bool:
        """Whether the tensor is stored as it is."""
        return not (self.scaled or self.shifted)

    @property
    def scaled(self) -> bool:
        """Whether any channel has a scale."""
        return bool((self.scale != 1).any())

    @property
    def shifted(self) -> bool:
        """Whether any channel has a shift."""
        return bool((self.shift != 0).any())

    @property
    def rising(self) -> bool:
        """Whether the scale of every channel is positive."""
        return bool((self.scale > 0).all())

    def then(self, scale: Factors = ONE, shift: Factors = ZERO, norm: str | None = None) -> Value:
        """Return `scale * self + shift`, changing the weights where they are free."""
        total = self.shift * scale + shift
        total = np.where(np.abs(total) <= 1e-12 * np.abs(shift), 0.0, total)  # what the stream was shifted for
        if self.weights and self.free:
            self.weights.then(scale, total)
            return replace(self, shift=ZERO)
        return replace(self, scale=self.scale * scale, shift=total, norms=self.norms | ({norm} if norm else set()))


class Folding:
    """One pass over a traced graph.

    Args:
        traced: The graph.
        rules: A function for each type of operation that scales and shifts can pass. It takes this object and the
            operation, and returns the `Value` of its output; or `None`, to settle its inputs and keep the operation.
    """

    def __init__(self, traced: Traced, rules: Mapping[str, Callable[[Folding, tf.Operation], Value | None]]):
        self.traced, self.rules = traced, rules
        self.norms: set[str] = set()
        self.kept: set[str] = set()
        self._readers = _readers(traced)
        self._values: dict[str, Value] = {}
        self._settled: dict[tuple, Output] = {}

    def outputs(self) -> list[Output]:
        """Fold the graph and return its outputs."""
        for op in self.traced.operations:
            if op.type not in PASSING and any(t.name not in self.traced.fixed for t in op.outputs):
                self._fold(op)
        return [self.settled(tensor) for tensor in tf.nest.flatten(self.traced.outputs)]

    def _fold(self, op: tf.Operation) -> None:
        if found := self._affine(op):
            self.norms |= {found.norm} if found.norm else set()
            value: Value | None = self.value(found.x).then(found.scale, found.shift, found.norm)
        else:
            rule = self.rules.get(op.type)
            value = rule(self, op) if rule else None
        if value is not None:
            self._values[op.outputs[0].name] = self._shifted(op.outputs[0], value)
        else:
            node = copy(op, *map(self.settled, op.inputs))
            if op.type == NORM:
                self.norms.add(op.name)
                self.kept.add(op.name)
            self._values |= {tensor.name: Value((node, index)) for index, tensor in enumerate(op.outputs)}

    def constant(self, tensor: tf.Tensor) -> np.ndarray | None:
        """Return the value of a tensor that depends on no input, or `None`."""
        return self.traced.constants.get(tensor.name)

    def readers(self, op: tf.Operation) -> set[str | None]:
        """Return the types of the operations that read an operation's output; `None` for one of the graph's outputs."""
        return {reader and reader.type for reader in self._readers[op.outputs[0].name]}

    def value(self, tensor: tf.Tensor) -> Value:
        """Return what a tensor is in the folded graph."""
        array = self.constant(tensor)
        return self._values[source(tensor).name] if array is None else Value(constant(array, tensor))

    def settled(self, tensor: tf.Tensor) -> Output:
        """Return the tensor itself in the folded graph: what no weights took is written here."""
        return self._written(self.value(tensor), tensor)

    def unshifted(self, tensor: tf.Tensor) -> Value:
        """Return the tensor as a scale alone: a shift is added before it."""
        value = self.value(tensor)
        if not value.shifted:
            return value
        if not value.scale.all():
            return Value(self.settled(tensor))
        moved = replace(value, scale=ONE, shift=value.shift / value.scale)
        return Value(self._written(moved, tensor), value.scale)

    def unscaled(self, tensor: tf.Tensor, value: Value) -> Value:
        """Return a value as a shift alone: a scale is multiplied before it."""
        if not value.scaled:
            return value
        return Value(self._written(replace(value, shift=ZERO), tensor), shift=value.shift)

    def _written(self, value: Value, tensor: tf.Tensor) -> Output:
        if value.plain:
            return value.stored
        self.kept |= value.norms
        key = (value.stored, value.scale.tobytes(), value.shift.tobytes())
        if key not in self._settled:
            self._settled[key] = _applied(value, tensor)
        return self._settled[key]

    def _affine(self, op: tf.Operation | None) -> Affine | None:
        return affine(op, [self.constant(x) for x in op.inputs], self.traced.norms) if op else None

    def _shifted(self, tensor: tf.Tensor, value: Value) -> Value:
        """Return a value whose weights, if any, have taken its shift, and the one that its next norm wants."""
        shared = len(self._readers[tensor.name]) > 1
        if value.weights and not value.scaled:
            wanted = self._wanted(tensor) if shared or not value.free else ZERO
            value.weights.then(shift=value.shift + wanted)
            value = replace(value, shift=-wanted)
        return replace(value, weights=None, free=False) if shared else value

    def _wanted(self, tensor: tf.Tensor) -> Factors:
        """Return the shift with which a tensor is best stored: the first norm before a ReLU becomes a scale."""
        for reader in self._readers[tensor.name]:
            found, readers = self._chain(reader)
            if found and {op and op.type for op in readers} <= HOMOGENEOUS and found.scale.all():
                wanted = found.shift / found.scale
                if (np.abs(wanted) <= LARGEST_SHIFT[tensor.dtype] * found.size).all():
                    return wanted
        return ZERO

    def _chain(self, op: tf.Operation | None) -> tuple[Affine | None, list[tf.Operation | None]]:
        """Return an operation and those of its kind that follow it as one, and what reads the last."""
        found, readers = self._affine(op), []
        while op and found:
            readers = self._readers[op.outputs[0].name]
            op = readers[0] if len(readers) == 1 else None
            after = self._affine(op)
            if after is None:
                break
            found = found.then(after)
        return found, readers


def copy(op: tf.Operation, *inputs: Output) -> Node:
    """Return an operation as it was traced, on other inputs."""
    attributes = {key: value for key, value in op.node_def.attr.items() if not key.startswith("_")}
    return Node(op.type, op.name, list(inputs), attributes)


def _readers(traced: Traced) -> dict[str, list[tf.Operation | None]]:
    """Return the operations that read each tensor, whatever passes it on; `None` stands for one of the outputs."""
    operations = traced.operations
    readers: dict[str, list[tf.Operation | None]] = {tensor.name: [] for op in operations for tensor in op.outputs}
    for op in operations:
        for tensor in op.inputs if op.type not in PASSING else ():
            readers[source(tensor).name].append(op)
    for tensor in tf.nest.flatten(traced.outputs):
        readers[source(tensor).name].append(None)
    return readers


def _applied(value: Value, tensor: tf.Tensor) -> Output:
    """Return `scale * stored + shift`, in as few operations as TensorFlow has for it."""
    name, dtype = tensor.op.name, tensor.dtype
    scale, shift = constant(value.scale, tensor, "scale"), constant(value.shift, tensor, "shift")
    if not value.scaled:
        return operation("AddV2", f"{name}/shifted", dtype, value.stored, shift)
    if (value.scale == -1).all():
        return operation("Sub", f"{name}/negative", dtype, shift, value.stored)
    if value.shifted and tensor.shape.rank == 4 and tensor.shape[-1] and dtype.size < 8:
        return normalization(f"{name}/norm", dtype, value.stored, value.scale, value.shift, tensor.shape[-1])
    scaled = operation("Mul", f"{name}/scaled", dtype, value.stored, scale)
    return operation("AddV2", f"{name}/shifted", dtype, scaled, shift) if value.shifted else scaled
