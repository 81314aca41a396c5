"""Writing of a SavedModel: several signatures in one flat graph, each weight once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_resunits.serving import weights


@dataclass(frozen=True)
class Preparation:
    """A signature that prepares the input of another, and answers with some of its outputs. Both share one graph.

    Args:
        name: Its name.
        function: A function of a tensor that returns the other signature's input.
        input: Name, shape and type of its input.
        outputs: The names of the outputs that it answers with.
        method: The kind of request: "predict", "classify" or "regress".
    """

    name: str
    function: Callable[[tf.Tensor], tf.Tensor]
    input: tf.TensorSpec
    outputs: Sequence[str]
    method: str


@dataclass(frozen=True)
class Signature:
    """A function that a server offers.

    Args:
        function: A function of tensors of a TensorFlow graph, one for each input, that returns tensors by name. It may
            call an `InferenceGraph`, as may other signatures of the same SavedModel, which then share its weights.
        inputs: Name, shape and type of each input.
        prepared: A signature that prepares its only input. Defaults to none.
        apart: The outputs that are the answers of another signature with the same inputs, by its name. Both share one
            graph. Defaults to none.
    """

    function: Callable[..., Mapping[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    prepared: Preparation | None = None
    apart: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def others(self) -> list[str]:
        """The names of the signatures that share its graph."""
        return [*self.apart, *([self.prepared.name] if self.prepared else [])]


def write_saved_model(path: Path, signatures: Mapping[str, Signature]) -> None:
    """Write a SavedModel that requires nothing but TensorFlow.

    The graph holds no function calls and, up to 32 MB of weights, no variables: a server loads it about as fast as it
    reads it. Equal models give equal files, but for the numbers in the names of functions.

    Args:
        path: The directory, which must not exist.
        signatures: The signatures by name; a server calls "serving_default" unless told otherwise.
    """
    with tf.Graph().as_default() as graph:
        definitions: dict[str, SignatureDef] = {}
        for name, signature in signatures.items():
            definitions |= _definitions(name, signature)
        with tf.compat.v1.Session(graph=graph) as session:
            weights.load(graph, session)
            builder = tf.compat.v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(session, ["serve"], definitions, strip_default_attrs=True)
            builder.save()
    _drop_shapes(path / tf.saved_model.SAVED_MODEL_FILENAME_PB)


def _drop_shapes(file: Path) -> None:
    """Rewrite a SavedModel without the shapes that TensorFlow notes at every node, and that no loader reads."""
    saved = SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        for node in graph.graph_def.node:
            node.attr.pop("_output_shapes", None)
    file.write_bytes(saved.SerializeToString(deterministic=True))


def _definitions(name: str, signature: Signature) -> dict[str, SignatureDef]:
    """Write the graph of a signature, and of those that share it."""
    earlier = signature.prepared
    if earlier is None:
        inputs = {spec.name: tf.compat.v1.placeholder(spec.dtype, spec.shape, spec.name) for spec in signature.inputs}
    else:
        (spec,) = signature.inputs
        given = tf.compat.v1.placeholder(earlier.input.dtype, earlier.input.shape, earlier.input.name)
        with tf.name_scope(earlier.name):
            prepared = earlier.function(given)
        inputs = {spec.name: tf.compat.v1.placeholder_with_default(prepared, spec.shape, spec.name)}
    with tf.name_scope(name):
        outputs = {key: tf.identity(tensor, key) for key, tensor in signature.function(*inputs.values()).items()}
    found = {
        other: _signature(inputs, {key: outputs.pop(key) for key in keys}, "predict")
        for other, keys in signature.apart.items()
    }
    found[name] = _signature(inputs, outputs, "predict")
    if earlier is not None:
        answered = {key: outputs[key] for key in earlier.outputs}
        found[earlier.name] = _signature({earlier.input.name: given}, answered, earlier.method)
    return found


def _signature(inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor], method: str) -> SignatureDef:
    return SignatureDef(inputs=_infos(inputs), outputs=_infos(outputs), method_name=f"tensorflow/serving/{method}")


def _infos(tensors: Mapping[str, tf.Tensor]) -> dict[str, TensorInfo]:
    return {
        key: TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto())
        for key, tensor in tensors.items()
    }
