"""An inference graph in bfloat16: casts around what takes the time, float32 where digits count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from keras_resunits.serving.graph import InferenceGraph

WEIGHTED = {"Conv2D", "MatMul"}
"""Operations that multiply by weights."""

CAST = {*WEIGHTED, "Add", "AddV2", "AvgPool", "BiasAdd", "ConcatV2", "LeakyRelu", "MaxPool", "Mul", "Pad", "PadV2"}
CAST |= {"Relu", "StridedSlice", "Sub"}
"""Operations that may compute in bfloat16. Means over an image, sigmoids and all others stay in float32."""


def in_bfloat16(graph: InferenceGraph) -> InferenceGraph:
    """Return a graph whose operations between the first and the last weights compute in bfloat16.

    Before the first weights, pixels are normalised; the last ones make the logits. Both stay in float32, as do the
    input and the outputs. Weights are stored as they are read.

    Example:

    >>> import tensorflow as tf, keras_resunits as kr
    >>> from keras_resunits.serving.graph import inference_graph
    >>> from keras_resunits.serving.precision import in_bfloat16
    >>> model = kr.PreActResNet(depth=8)
    >>> graph = in_bfloat16(inference_graph(lambda x: model(x, training=False), tf.TensorSpec(model.input_shape)))
    >>> sorted({str(array.dtype) for array in graph.weights.values()})
    ['bfloat16', 'float32']
    """
    with tf.Graph().as_default() as read:
        tf.graph_util.import_graph_def(graph.definition, name="")
    operations = read.get_operations()
    casting = _Casting(graph, _between(operations))
    for op in operations:
        if op.name not in graph.weights:
            casting.write(op)
    results = tf.nest.map_structure(
        lambda name: casting.reference(read.get_tensor_by_name(name), tf.float32), graph.results
    )
    casting.definition.library.CopyFrom(graph.definition.library)
    return replace(graph, definition=casting.definition, weights=casting.weights, results=results)


def _between(operations: Sequence[tf.Operation]) -> set[str]:
    """Return the names of the operations that read or are the first weights, and that other weights read."""
    behind: set[str] = set()
    for op in operations:
        if op.type in WEIGHTED or any(tensor.op.name in behind for tensor in op.inputs):
            behind.add(op.name)
    before: set[str] = set()
    for op in reversed(operations):
        readers = [reader for tensor in op.outputs for reader in tensor.consumers()]
        if any(reader.type in WEIGHTED or reader.name in before for reader in readers):
            before.add(op.name)
    return behind & before


class _Casting:
    """Writes a graph again, some of its operations in bfloat16.

    Args:
        graph: The graph.
        chosen: The names of the operations that may be.
    """

    def __init__(self, graph: InferenceGraph, chosen: set[str]):
        self.definition = tf.compat.v1.GraphDef()
        self.weights: dict[str, np.ndarray] = {}
        self._given, self._chosen = graph.weights, chosen
        self._cast: set[str] = set()
        self._written: set[str] = set()

    def write(self, op: tf.Operation) -> None:
        """Write an operation."""
        cast = op.name in self._chosen and op.type in CAST and op.outputs[0].dtype == tf.float32
        wanted = [tf.bfloat16 if cast and tensor.dtype == tf.float32 else tensor.dtype for tensor in op.inputs]
        inputs = [self.reference(tensor, dtype) for tensor, dtype in zip(op.inputs, wanted, strict=True)]
        node = self.definition.node.add()
        node.CopyFrom(op.node_def)
        node.input[:] = inputs
        if cast:
            node.attr["T"].type = tf.bfloat16.as_datatype_enum
            self._cast.add(op.name)

    def reference(self, tensor: tf.Tensor, dtype: tf.DType) -> str:
        """Return the name of a tensor as another type; what casts it is written once."""
        name, own = tensor.op.name, tf.bfloat16 if tensor.op.name in self._cast else tensor.dtype
        if name in self._given:
            return self._weight(name, dtype)
        if own == dtype:
            return tensor.name
        made = f"{name}/to_{dtype.name}_{tensor.value_index}"
        if made not in self._written:
            self._written.add(made)
            node = self.definition.node.add(op="Cast", name=made, input=[tensor.name])
            node.attr["SrcT"].type, node.attr["DstT"].type = own.as_datatype_enum, dtype.as_datatype_enum
        return f"{made}:0"

    def _weight(self, name: str, dtype: tf.DType) -> str:
        array = self._given[name]
        made = name if array.dtype == dtype.as_numpy_dtype else f"{name}/{dtype.name}"
        if made not in self.weights:
            self.weights[made] = array.astype(dtype.as_numpy_dtype)
            node = self.definition.node.add(op="Placeholder", name=made)
            node.attr["dtype"].type = dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
        return made
