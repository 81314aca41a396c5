"""The inference graphs of one model: from pixels, from preprocessed tensors, and to its features. It is traced once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from keras_resunits.layers.series import built
from keras_resunits.serving.graph import INPUT, InferenceGraph, folded
from keras_resunits.serving.tracing import Traced, restore_shapes, source, traced


@dataclass(frozen=True)
class Cores:
    """The inference graphs of a model, float32 `[batch, *shape]` to float32.

    Args:
        outputs: From pixels, 0..255, to the model's outputs.
        of_tensors: From preprocessed tensors to the model's outputs.
        with_features: From pixels to "outputs" and "features", what the last dense layer reads; `None` if there is no
            such layer.
    """

    outputs: InferenceGraph
    of_tensors: InferenceGraph
    with_features: InferenceGraph | None

    def each(self, change: Callable[[InferenceGraph], InferenceGraph]) -> Cores:
        """Return the graphs, each changed."""
        both = self.with_features and change(self.with_features)
        return Cores(change(self.outputs), change(self.of_tensors), both)


def cores(model: keras.Model, preprocessing: keras.layers.Layer | None = None) -> Cores:
    """Trace `model` behind `preprocessing` once, and fold it for each of its inputs.

    Example:

    >>> import keras_resunits as kr
    >>> from keras_resunits.serving.cores import cores
    >>> found = cores(kr.PreActResNet(depth=8))
    >>> found.outputs.norms_folded, sorted(found.with_features.results)
    (7, ['features', 'outputs'])
    """
    if preprocessing:
        built(preprocessing, model.input_shape)
    features = features_of(model)
    seen = model if features is None else keras.Model(model.inputs, {"outputs": model.outputs[0], "features": features})

    def function(pixels):
        tensors = preprocessing(pixels, training=False) if preprocessing else pixels
        found = seen(tensors, training=False)
        found = found if isinstance(found, dict) else {"outputs": found}
        found = {name: tf.cast(tensor, tf.float32) for name, tensor in found.items()}
        return {**found, "tensors": tf.identity(tensors)}

    found = traced(function, tf.TensorSpec(model.input_shape, tf.float32, INPUT))
    names = ["outputs"] if features is None else ["outputs", "features"]
    of_pixels = folded(_to(found, *names))
    outputs = of_pixels.only("outputs")
    tensors = source(found.outputs["tensors"])
    prepared = tensors.op.type != "Placeholder"  # else the pixels themselves, as behind noise of training
    of_tensors = folded(_from(_to(found, "outputs"), tensors)).only("outputs") if prepared else outputs
    return Cores(outputs, of_tensors, None if features is None else of_pixels)


def features_of(model: keras.Model):
    """Return the tensor `[batch, features]` that the last dense layer of a model reads, or `None` without such a layer.

    Behind the dense layer there may be activations and dropout.

    Example:

    >>> import keras_resunits as kr
    >>> from keras_resunits.serving.cores import features_of
    >>> features_of(kr.ResNet(depth=8)).shape
    (None, 64)
    """
    passing = keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout, keras.layers.Identity
    tensor = model.outputs[0]
    while True:
        layer, node, _ = tensor._keras_history
        if not isinstance(layer, (*passing, keras.layers.Dense)):
            return None
        (tensor,) = layer._inbound_nodes[node].input_tensors
        if isinstance(layer, keras.layers.Dense):
            return tensor if len(tensor.shape) == 2 else None


def _to(found: Traced, *names: str) -> Traced:
    return replace(found, outputs={name: found.outputs[name] for name in names})


def _from(found: Traced, tensor: tf.Tensor) -> Traced:
    """Return a traced graph that reads its input in place of `tensor`."""
    definition = found.graph.as_graph_def()
    place = next(node for node in definition.node if node.name == tensor.op.name)
    types = {"SrcT": tf.float32, "DstT": tensor.dtype} if tensor.dtype != tf.float32 else {"T": tf.float32}
    attributes = {key: tf.compat.v1.AttrValue(type=dtype.as_datatype_enum) for key, dtype in types.items()}
    op = "Cast" if "DstT" in types else "Identity"
    place.CopyFrom(tf.compat.v1.NodeDef(name=place.name, op=op, input=[INPUT], attr=attributes))
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
    restore_shapes(graph, found.graph)
    outputs = tf.nest.map_structure(lambda output: graph.get_tensor_by_name(output.name), found.outputs)
    return replace(found, graph=graph, outputs=outputs)
