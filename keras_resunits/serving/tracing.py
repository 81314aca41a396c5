"""From a function of tensors to a flat graph of operations whose variables are constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.function_pb2 import FunctionDefLibrary
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

PASSING = {"Identity", "StopGradient", "PreventGradient"}
"""Operations that return what they read."""


@dataclass(frozen=True)
class Traced:
    """A frozen graph.

    Args:
        graph: The graph, in which only constants are read from variables.
        library: The functions that its operations call; most are inlined.
        outputs: What the function returned, in its structure.
        fixed: The names of the tensors that depend on no input.
        constants: The values of those that are read by an operation that does, or returned.
        norms: The names of those that depend on a reciprocal square root: factors of a norm.
    """

    graph: tf.Graph
    library: FunctionDefLibrary
    outputs: Any
    fixed: set[str]
    constants: dict[str, np.ndarray]
    norms: set[str]

    @property
    def operations(self) -> list[tf.Operation]:
        """The operations that the outputs need, each after those that it reads."""
        return needed(self.graph, tf.nest.flatten(self.outputs))


def traced(function: Callable, *specs: tf.TensorSpec) -> Traced:
    """Trace a function of tensors, freeze its variables, and evaluate what depends on no input."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    graph, found, read = _as_traced(concrete) or _inlined(concrete)
    outputs = tf.nest.pack_sequence_as(concrete.structured_outputs, found, expand_composites=True)
    operations = needed(graph, found)
    fixed, norms = _fixed(operations, read)
    constants = _evaluated(graph, operations, found, fixed, read)
    _infer_products(operations, constants)
    return Traced(graph, _library(graph), outputs, fixed, constants, norms)


def _as_traced(concrete) -> tuple[tf.Graph, Sequence[tf.Tensor], dict[str, np.ndarray]] | None:
    """Return the graph itself, its outputs, and the values that it reads from outside, by the names of their tensors.

    Returns `None` for a graph that calls functions, or that does more with a variable than to read it.
    """
    graph, read = concrete.graph, {}
    if any(map(_calls, graph.get_operations())):
        return None
    for outer, inner in graph.captures:
        if outer.dtype != tf.resource:
            read[inner.name] = outer.numpy()
            continue
        for reader in inner.consumers():
            if reader.type != "ReadVariableOp":
                return None
            (tensor,) = reader.outputs
            read[tensor.name] = tf.raw_ops.ReadVariableOp(resource=outer, dtype=tensor.dtype).numpy()
    return graph, concrete.outputs, read


def _inlined(concrete) -> tuple[tf.Graph, Sequence[tf.Tensor], dict[str, np.ndarray]]:
    """Return a graph as `_as_traced` does, with functions inlined and variables made constants by TensorFlow."""
    frozen = convert_variables_to_constants_v2(concrete)
    restore_shapes(frozen.graph, concrete.graph)
    return frozen.graph, frozen.outputs, {}


def needed(graph: tf.Graph, outputs: Iterable[tf.Tensor]) -> list[tf.Operation]:
    """Return the operations of a graph that `outputs` need, in its order."""
    found, pending = set(), [tensor.op for tensor in outputs]
    while pending:
        op = pending.pop()
        if op not in found:
            found.add(op)
            pending += [tensor.op for tensor in op.inputs]
    return [op for op in graph.get_operations() if op in found]


def source(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor that is passed on, unchanged, as `tensor`."""
    while tensor.op.type in PASSING:
        tensor = tensor.op.inputs[0]
    return tensor


def _calls(op: tf.Operation) -> bool:
    """Whether an operation calls functions."""
    return any(attribute.type in ("func", "list(func)") for attribute in op.op_def.attr)


def _library(graph: tf.Graph) -> FunctionDefLibrary:
    """Return the functions of a graph; serialising it takes long, so only if an operation calls one."""
    calls = any(map(_calls, graph.get_operations()))
    return graph.as_graph_def().library if calls else FunctionDefLibrary()


def restore_shapes(frozen: tf.Graph, graph: tf.Graph) -> None:
    """Set the shapes that were known when the graph was traced, which its serialised form does not hold."""
    known = {op.name: op for op in graph.get_operations()}
    for op in frozen.get_operations():
        for tensor, before in zip(op.outputs, known[op.name].outputs if op.name in known else (), strict=False):
            if tensor.dtype == before.dtype:
                tensor.set_shape(before.shape)


def _infer_products(operations: Iterable[tf.Operation], constants: Mapping[str, np.ndarray]) -> None:
    """Set the shapes around products with a constant; dense layers on images compute them when they run."""
    for op in operations:
        kernel = constants.get(op.inputs[1].name) if op.type == "MatMul" else None
        if kernel is not None and not (op.get_attr("transpose_a") or op.get_attr("transpose_b")):
            source(op.inputs[0]).set_shape([None, kernel.shape[0]])
            op.outputs[0].set_shape([None, kernel.shape[1]])


def _fixed(operations: Iterable[tf.Operation], read: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the names of the tensors that depend on no input, and of those that depend on an `Rsqrt` among them.

    Args:
        operations: Each after those that it reads.
        read: The names of the tensors that are read from outside of the graph.
    """
    fixed: set[str] = set(read)
    norms: set[str] = set()
    for op in operations:
        moving = op.type == "Placeholder" or op.op_def.is_stateful or any(t.name not in fixed for t in op.inputs)
        if not moving:
            fixed.update(t.name for t in op.outputs)
            if op.type == "Rsqrt" or any(t.name in norms for t in op.inputs):
                norms.update(t.name for t in op.outputs)
    return fixed, norms


def _evaluated(graph, operations, outputs, fixed: set[str], given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the values of the fixed tensors that are returned, or read by an operation that is not fixed."""
    moving = [op for op in operations if any(t.name not in fixed for t in op.outputs)]
    read = [t for op in moving for t in op.inputs if t.name in fixed] + [t for t in outputs if t.name in fixed]
    sources = {t.name: source(t) for t in read}
    values = {t.name: given[t.name] for t in sources.values() if t.name in given}
    values |= {t.name: tf.make_ndarray(t.op.get_attr("value")) for t in sources.values() if t.op.type == "Const"}
    if computed := {t.name: t for t in sources.values() if t.name not in values}:
        used = {t.name for op in needed(graph, computed.values()) for t in op.outputs} & given.keys()
        with tf.compat.v1.Session(graph=graph) as session:
            values |= session.run(computed, {name: given[name] for name in used})
    return {name: values[t.name] for name, t in sources.items()}
