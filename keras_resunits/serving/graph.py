"""The inference graph of a model: traced, frozen, folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_resunits.serving.folding import Folding
from keras_resunits.serving.nodes import written
from keras_resunits.serving.rules import RULES
from keras_resunits.serving.tracing import Traced, traced
from keras_resunits.serving.weights import place


@dataclass(frozen=True)
class InferenceGraph:
    """A function of one tensor without variables and norms, to be called in a TensorFlow graph.

    Args:
        definition: The graph; its weights and its input are placeholders.
        weights: The weights by the names of their placeholders.
        results: The names of what it returns, in the function's structure.
        norms_folded: Number of norms that are a part of weights and biases now.
        norms_kept: Number of norms that are computed as before.
    """

    definition: tf.compat.v1.GraphDef = field(repr=False)
    weights: dict[str, np.ndarray] = field(repr=False)
    results: Any = field(repr=False)
    norms_folded: int
    norms_kept: int

    def __call__(self, x: tf.Tensor) -> Any:
        """Return the function's value; weights that were placed in the same graph before are shared."""
        return self.placed(x, place(self.weights))

    def placed(self, x: tf.Tensor, weights: Mapping[str, tf.Tensor]) -> Any:
        """Return the function's value with weights of the graph, by the names of their placeholders."""
        names, given = tf.nest.flatten(self.results), {**weights, INPUT: x}
        kept = [node for node in self.definition.node if node.name not in given]
        definition = tf.compat.v1.GraphDef(node=kept, library=self.definition.library)
        found = tf.graph_util.import_graph_def(definition, given, names, name="core")
        return tf.nest.pack_sequence_as(self.results, found)

    def only(self, name: str) -> InferenceGraph:
        """Return the graph of one of the results, by its name in the structure; operations of others are left out."""
        results = self.results[name]
        read = {node.name: [each.split(":")[0] for each in node.input] for node in self.definition.node}
        kept, pending = {INPUT}, [each.split(":")[0] for each in tf.nest.flatten(results)]
        while pending:
            reader = pending.pop()
            if reader not in kept:
                kept.add(reader)
                pending += read[reader]
        nodes = [node for node in self.definition.node if node.name in kept]
        definition = tf.compat.v1.GraphDef(node=nodes, library=self.definition.library)
        weights = {name: array for name, array in self.weights.items() if name in kept}
        return replace(self, definition=definition, weights=weights, results=results)


INPUT = "pixels"
"""The name of the input's placeholder."""


def inference_graph(function: Callable[[tf.Tensor], Any], spec: tf.TensorSpec) -> InferenceGraph:
    """Trace a function for inference and fold the scales and shifts of its channels into its weights.

    Args:
        function: A function of one tensor, such as a model called with `training=False`, that returns a tensor or a
            structure of tensors.
        spec: Shape and type of its input.

    Example:

    >>> import tensorflow as tf, keras_resunits as kr
    >>> from keras_resunits.serving.graph import inference_graph
    >>> model = kr.PreActResNet(depth=20)
    >>> graph = inference_graph(lambda x: model(x, training=False), tf.TensorSpec(model.input_shape))
    >>> graph.norms_folded, graph.norms_kept
    (19, 0)
    """
    return folded(traced(function, tf.TensorSpec(spec.shape, spec.dtype, INPUT)))


def folded(found: Traced) -> InferenceGraph:
    """Fold a traced graph, whose only input is `INPUT`."""
    folding = Folding(found, RULES)
    outputs = folding.outputs()
    definition, weights, names = written(outputs)
    definition.library.CopyFrom(found.library)
    results = tf.nest.pack_sequence_as(found.outputs, names)
    return InferenceGraph(definition, weights, results, len(folding.norms - folding.kept), len(folding.kept))
