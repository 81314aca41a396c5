"""From a function of tensors to a flat graph of operations whose variables are constants."""

from __future__ import annotations

from collections.abc import Callable
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
        graph: The graph, without variables.
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


def traced(function: Callable, *specs: tf.TensorSpec) -> Traced:
    """Trace a function of tensors, freeze its variables, and evaluate what depends on no input."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(concrete)
    outputs = tf.nest.pack_sequence_as(concrete.structured_outputs, frozen.outputs, expand_composites=True)
    restore_shapes(frozen.graph, concrete.graph)
    fixed, norms = _fixed(frozen.graph)
    constants = _evaluated(frozen, fixed)
    _infer_products(frozen.graph, constants)
    return Traced(frozen.graph, _library(frozen.graph), outputs, fixed, constants, norms)


def source(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor that is passed on, unchanged, as `tensor`."""
    while tensor.op.type in PASSING:
        tensor = tensor.op.inputs[0]
    return tensor


def _library(graph: tf.Graph) -> FunctionDefLibrary:
    """Return the functions of a graph; serialising it takes long, so only if an operation calls one."""
    attributes = [value for op in graph.get_operations() for value in op.node_def.attr.values()]
    calls = any(value.HasField("func") or value.list.func for value in attributes)
    return graph.as_graph_def().library if calls else FunctionDefLibrary()


def restore_shapes(frozen: tf.Graph, graph: tf.Graph) -> None:
    """Set the shapes that were known when the graph was traced, which its serialised form does not hold."""
    known = {op.name: op for op in graph.get_operations()}
    for op in frozen.get_operations():
        for tensor, before in zip(op.outputs, known[op.name].outputs if op.name in known else (), strict=False):
            if tensor.dtype == before.dtype:
                tensor.set_shape(before.shape)


def _infer_products(graph: tf.Graph, constants: dict[str, np.ndarray]) -> None:
    """Set the shapes around products with a constant; dense layers on images compute them when they run."""
    for op in graph.get_operations():
        kernel = constants.get(op.inputs[1].name) if op.type == "MatMul" else None
        if kernel is not None and not (op.get_attr("transpose_a") or op.get_attr("transpose_b")):
            source(op.inputs[0]).set_shape([None, kernel.shape[0]])
            op.outputs[0].set_shape([None, kernel.shape[1]])


def _fixed(graph: tf.Graph) -> tuple[set[str], set[str]]:
    """Return the names of the tensors that depend on no input, and of those that depend on an `Rsqrt` among them."""
    fixed: set[str] = set()
    norms: set[str] = set()
    for op in graph.get_operations():
        moving = op.type == "Placeholder" or op.op_def.is_stateful or any(t.name not in fixed for t in op.inputs)
        if not moving:
            fixed.update(t.name for t in op.outputs)
            if op.type == "Rsqrt" or any(t.name in norms for t in op.inputs):
                norms.update(t.name for t in op.outputs)
    return fixed, norms


def _evaluated(frozen, fixed: set[str]) -> dict[str, np.ndarray]:
    moving = [op for op in frozen.graph.get_operations() if any(t.name not in fixed for t in op.outputs)]
    read = [t for op in moving for t in op.inputs if t.name in fixed] + [t for t in frozen.outputs if t.name in fixed]
    sources = {t.name: source(t) for t in read}
    values = {t.name: tf.make_ndarray(t.op.get_attr("value")) for t in sources.values() if t.op.type == "Const"}
    if computed := {t.name: t for t in sources.values() if t.op.type != "Const"}:
        with tf.compat.v1.Session(graph=frozen.graph) as session:
            values |= session.run(computed)
    return {name: values[t.name] for name, t in sources.items()}
