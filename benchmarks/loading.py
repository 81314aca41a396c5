"""An exported network as a server runs it: in a session, read with TensorFlow only."""

from __future__ import annotations

import os
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf


class Served:
    """An exported network in a session.

    Args:
        directory: The SavedModel.
    """

    def __init__(self, directory: Path):
        began = time.process_time()
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._session = tf.compat.v1.Session()
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(directory))
        self.load_seconds = time.process_time() - began
        signature = loaded.signature_def["serving_default"]
        ((_, self._input),) = signature.inputs.items()
        self._outputs = [output.name for output in signature.outputs.values()]
        self.operations = _operations(self._graph.as_graph_def(), self._outputs)

    def seconds(self, images: np.ndarray) -> float:
        """Return the seconds that a request takes."""
        images = images.astype(tf.DType(self._input.dtype).as_numpy_dtype)
        began = time.perf_counter()
        self._session.run(self._outputs, {self._input.name: images})
        return time.perf_counter() - began

    def convolved(self, images: np.ndarray) -> float:
        """Return the share of a request's operations' time that convolutions take, with what is merged with them."""
        images = images.astype(tf.DType(self._input.dtype).as_numpy_dtype)
        options, found = (
            tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE),
            tf.compat.v1.RunMetadata(),
        )
        self._session.run(self._outputs, {self._input.name: images}, options, found)
        spent = [
            (node.all_end_rel_micros, "Conv2D" in node.timeline_label)
            for device in found.step_stats.dev_stats
            for node in device.node_stats
        ]
        return sum(micros for micros, convolution in spent if convolution) / sum(micros for micros, _ in spent)


def _operations(definition: tf.compat.v1.GraphDef, outputs: list[str]) -> int:
    """Return the number of operations behind `outputs`, those of called functions included."""
    functions = {function.signature.name: function for function in definition.library.function}
    needed = tf.compat.v1.graph_util.extract_sub_graph(definition, [name.split(":")[0] for name in outputs]).node
    return sum(_size(node, functions) for node in needed)


def _size(node, functions) -> int:
    called = functions.get(node.attr["f"].func.name) if "PartitionedCall" in node.op else None
    return sum(_size(inner, functions) for inner in called.node_def) if called else 1
