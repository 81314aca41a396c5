"""The graph being built: operations whose weights can still change, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from keras_resunits.serving.affine import NORM

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


def normalization(name: str, dtype: tf.DType, x: Output, scale, shift, channels: int) -> Output:
    """Return `scale x + shift` of images `[batch, height, width, channels]` in one operation."""
    parts = {"scale": scale, "offset": shift, "mean": 0.0, "variance": 1.0}
    statistics: list[Output] = [
        (Constant("Const", f"{name}/{part}", value=np.broadcast_to(value, channels)), 0)
        for part, value in parts.items()
    ]
    attributes = {
        "T": tf.compat.v1.AttrValue(type=dtype.as_datatype_enum),
        "U": tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum),
        "epsilon": tf.compat.v1.AttrValue(f=0.0),
        "is_training": tf.compat.v1.AttrValue(b=False),
    }
    return Node(NORM, name, [x, *statistics], attributes), 0


def ordered(outputs: Iterable[Output]) -> list[Node]:
    """Return the nodes that `outputs` need, each after those that it reads."""
    found: dict[Node, None] = {}
    pending = [node for node, _ in reversed(list(outputs))]
    while pending:
        missing = [node for node, _ in reversed(pending[-1].inputs) if node not in found]
        if missing:
            pending.extend(missing)
        else:
            found[pending.pop()] = None
    return list(found)


def written(outputs: Sequence[Output]) -> tuple[tf.compat.v1.GraphDef, dict[str, np.ndarray], list[str]]:
    """Return the graph behind `outputs`, the values of its weights, and the names of `outputs`.

    Weights are placeholders in the graph, so that several copies of it can share them. Integers, strings and scalars
    are constants.
    """
    writer = _Writer()
    for node in ordered(outputs):
        writer.write(node)
    return writer.definition, writer.weights, [writer.reference(output) for output in outputs]


class _Writer:
    """Writes nodes, each after what it reads."""

    def __init__(self):
        self.definition = tf.compat.v1.GraphDef()
        self.weights: dict[str, np.ndarray] = {}
        self._names: dict[Node, str] = {}
        self._taken: set[str] = set()

    def reference(self, output: Output) -> str:
        """Return the name of an output of a node that is written."""
        node, index = output
        return f"{self._names[node]}:{index}"

    def write(self, node: Node) -> None:
        """Write a node."""
        self._names[node] = self._write(node)

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
