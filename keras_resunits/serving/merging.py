"""Sums that TensorFlow's graph optimiser merges with the convolutions before them."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from keras_resunits.serving.graph import InferenceGraph

ACTIVATIONS = {"Elu", "LeakyRelu", "Relu", "Relu6"}
"""What TensorFlow merges with a convolution, its bias and a sum."""

PADS = {"Pad", "PadV2"}
"""Sums of what they return stay apart: oneDNN's pass would take it for the padding of the convolution, and crash."""


def mergeable(graph: InferenceGraph) -> InferenceGraph:
    """Return a graph whose sums `x + (W y + c)` are a part of the convolution `W` when TensorFlow runs it.

    TensorFlow's remapper makes one operation of a convolution, its bias, a sum and an activation, if two conditions
    hold. The shapes must be equal, which it often cannot tell: `AddN`, which broadcasts nothing, tells it. And the sum
    must have one reader: where an activation and the next sum read it, as they do the stream of pre-activated units,
    the remapper fails, and all its merges are lost ("remapper failed: ... fanout exist for missing node"). There
    `Snapshot` reads the sum and passes it on without a copy.

    Example:

    >>> import tensorflow as tf, keras_resunits as kr
    >>> from keras_resunits.serving.graph import inference_graph
    >>> from keras_resunits.serving.merging import mergeable
    >>> model = kr.create("preactresnet20:digits")
    >>> graph = mergeable(inference_graph(lambda x: model(x, training=False), tf.TensorSpec(model.input_shape)))
    >>> kinds = [node.op for node in graph.definition.node]
    >>> kinds.count("AddN"), kinds.count("Snapshot")
    (9, 6)
    """
    with tf.Graph().as_default() as read:
        tf.graph_util.import_graph_def(graph.definition, name="")
    sums = {op.name: op.outputs[0] for op in read.get_operations() if _is_sum(op)}
    results = tf.nest.flatten(graph.results)
    passed = {tensor.name: f"{name}/stream:0" for name, tensor in sums.items() if not _one_reader(tensor, results)}
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(graph.definition)
    for node in definition.node:
        node.input[:] = [passed.get(read.get_tensor_by_name(_output(each)).name, each) for each in node.input]
        if node.name in sums:
            node.op = "AddN"
            node.attr["N"].i = 2
    for name in passed:
        kind = {"T": tf.compat.v1.AttrValue(type=read.get_tensor_by_name(name).dtype.as_datatype_enum)}
        definition.node.add(op="Snapshot", name=passed[name].removesuffix(":0"), input=[name], attr=kind)
    named = tf.nest.map_structure(lambda name: passed.get(name, name), graph.results)
    return replace(graph, definition=definition, results=named)


def _is_sum(op: tf.Operation) -> bool:
    if op.type != "AddV2" or not any(_ends_convolution(term) for term in op.inputs):
        return False
    if any(term.op.type in PADS for term in op.inputs):
        return False
    (batch, *shape), (other_batch, *other) = (term.shape.as_list() for term in op.inputs)
    return batch == other_batch and shape == other and None not in shape


def _ends_convolution(tensor: tf.Tensor) -> bool:
    """Whether a tensor is a convolution and its bias, which nothing else reads."""
    op = tensor.op
    return op.type == "BiasAdd" and op.inputs[0].op.type == "Conv2D" and len(tensor.consumers()) == 1


def _one_reader(tensor: tf.Tensor, results: list[str]) -> bool:
    """Whether one activation, or one of the graph's outputs, reads a tensor."""
    kinds = [reader.type for reader in tensor.consumers()]
    if tensor.name in results:
        return not kinds
    return len(kinds) == 1 and kinds[0] in ACTIVATIONS


def _output(name: str) -> str:
    """Return the name of an output, from how a node spells what it reads."""
    return name if ":" in name else f"{name}:0"
