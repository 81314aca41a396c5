"""The graph being built: operations whose weights can still change, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

Output = tuple["Node", int]
"""An operation and the number of one of its outputs."""


@dataclass(eq=False)
class Node:
    """An operation.

    Args:
        op: Its type, as TensorFlow names it.
        name: Its name; other nodes may have the same.
        inputs: What it reads.
        attributes: Its attributes, as in a `NodeDef`.
    """

    op: str
    name: str
    inputs: list[Output] = field(default_factory=list)
    attributes: dict[str, tf.compat.v1.AttrValue] = field(default_factory=dict)


@dataclass(eq=False)
class Constant(Node):
    """A constant, whose value may change until it is written."""

    value: np.ndarray = field(default_factory=lambda: np.zeros(0))
    dtype: tf.DType = tf.float32


@dataclass(eq=False)
class Linear(Node):
    """`kernel x + bias`: a convolution or a matrix product, whose last axis are the output channels.

    Both are computed with in float64, and rounded once, when they are written.
    """

    kernel: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    bias: np.ndarray = field(default_factory=lambda: np.zeros(()))
    dtype: tf.DType = tf.float32

    def then(self, scale=1.0, shift=0.0) -> None:
        """Become `scale (kernel x + bias) + shift`."""
        self.kernel = self.kernel * scale
        self.bias = self.bias * scale + shift

    def after(self, scale, shift) -> None:
        """Become `kernel (scale x + shift) + bias`."""
        flat = self.kernel.reshape(-1, *self.kernel.shape[-2:])
        self.bias = self.bias + (np.broadcast_to(shift, flat.shape[1:2]) @ flat).sum(0)
        self.kernel = self.kernel * np.broadcast_to(scale, flat.shape[1:2])[:, np.newaxis]


def constant(value, like: tf.Tensor, part: str = "") -> Output:
    """Return a constant of the type of `like`, named after it and the part that it plays."""
    name = "/".join(filter(None, (like.op.name, part)))
    return Constant("Const", name, value=np.asarray(value), dtype=like.dtype), 0


def operation(op: str, name: str, dtype: tf.DType, *inputs: Output) -> Output:
    """Return an operation whose only attribute is the type of its inputs."""
    return Node(op, name, list(inputs), {"T": tf.compat.v1.AttrValue(type=dtype.as_datatype_enum)}), 0


def written(outputs: Iterable[Output]) -> tuple[tf.compat.v1.GraphDef, dict[str, np.ndarray], list[str]]:
    """Return the graph behind `outputs`, the values of its weights, and the names of `outputs`.

    Weights are placeholders in the graph, so that several copies of it can share them. Integers, strings and scalars are
    constants.
    """
    writer = _Writer()
    names = [writer.reference(output) for output in outputs]
    return writer.definition, writer.weights, names


class _Writer:
    """Writes the nodes that some output needs, each after what it reads."""

    def __init__(self):
        self.definition = tf.compat.v1.GraphDef()
        self.weights: dict[str, np.ndarray] = {}
        self._names: dict[Node, str] = {}
        self._taken: set[str] = set()

    def reference(self, output: Output) -> str:
        """Return the name of an output, and write first what it needs."""
        node, index = output
        pending = [node]
        while pending:
            missing = [needed for needed, _ in pending[-1].inputs if needed not in self._names]
            if missing:
                pending.extend(missing)
            else:
                done = pending.pop()
                if done not in self._names:
                    self._names[done] = self._write(done)
        return f"{self._names[node]}:{index}" if index else self._names[node]

    def _write(self, node: Node) -> str:
        if isinstance(node, Constant):
            return self._constant(node.name, node.value, node.dtype)
        inputs = [self.reference(each) for each in node.inputs]
        if not isinstance(node, Linear):
            return self._node(node.op, node.name, inputs, node.attributes)
        inputs.append(self._constant(f"{node.name}/kernel", node.kernel, node.dtype))
        name = self._node(node.op, node.name, inputs, node.attributes)
        if not node.bias.any():
            return name
        bias = self._constant(f"{node.name}/bias", np.broadcast_to(node.bias, node.kernel.shape[-1]), node.dtype)
        kind = {"T": tf.compat.v1.AttrValue(type=node.dtype.as_datatype_enum)}
        return self._node("BiasAdd", f"{node.name}/BiasAdd", [name, bias], kind)

    def _constant(self, name: str, value: np.ndarray, dtype: tf.DType) -> str:
        kind = tf.compat.v1.AttrValue(type=dtype.as_datatype_enum)
        if dtype.is_floating and value.ndim:
            name = self._node("Placeholder", name, [], {"dtype": kind, "shape": _shape(value.shape)})
            self.weights[name] = value.astype(dtype.as_numpy_dtype)
            return name
        proto = tf.make_tensor_proto(value, dtype)
        return self._node("Const", name, [], {"dtype": kind, "value": tf.compat.v1.AttrValue(tensor=proto)})

    def _node(self, op: str, name: str, inputs: list[str], attributes) -> str:
        name = self._free(name)
        node = self.definition.node.add(op=op, name=name, input=inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(value)
        return name

    def _free(self, name: str) -> str:
        name = next(candidate for candidate in _numbered(name) if candidate not in self._taken)
        self._taken.add(name)
        return name


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1


def _shape(shape) -> tf.compat.v1.AttrValue:
    return tf.compat.v1.AttrValue(shape=tf.TensorShape(shape).as_proto())
