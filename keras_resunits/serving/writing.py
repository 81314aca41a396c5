"""Writing of a SavedModel: several signatures in one flat graph, each weight once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

from keras_resunits.serving import weights

PREDICT, CLASSIFY = "tensorflow/serving/predict", "tensorflow/serving/classify"


@dataclass(frozen=True)
class Signature:
    """A function that a server offers.

    Args:
        function: A function of tensors of a TensorFlow graph, one for each input, that returns tensors by name. It may
            call an `InferenceGraph`, as may other signatures of the same SavedModel, which then share its weights.
        inputs: Name, shape and type of each input.
        method: The kind of request, as TensorFlow Serving names it. Defaults to Predict, which takes any.
    """

    function: Callable[..., Mapping[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    method: str = PREDICT


def write_saved_model(path: Path, signatures: Mapping[str, Signature]) -> None:
    """Write a SavedModel that requires nothing but TensorFlow.

    The graph holds no function calls and, up to 32 MB of weights, no variables: a server loads it about as fast as it
    reads it. Equal models give equal files.

    Args:
        path: The directory, which must not exist.
        signatures: The signatures by name; a server calls "serving_default" unless told otherwise.
    """
    with tf.Graph().as_default() as graph:
        definitions = {name: _definition(name, signature) for name, signature in signatures.items()}
        with tf.compat.v1.Session(graph=graph) as session:
            weights.load(graph, session)
            builder = tf.compat.v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(session, ["serve"], definitions, strip_default_attrs=True)
            builder.save()


def _definition(name: str, signature: Signature) -> SignatureDef:
    inputs = {spec.name: tf.compat.v1.placeholder(spec.dtype, spec.shape, spec.name) for spec in signature.inputs}
    with tf.name_scope(name):
        outputs = {key: tf.identity(tensor, key) for key, tensor in signature.function(*inputs.values()).items()}
    return SignatureDef(inputs=_infos(inputs), outputs=_infos(outputs), method_name=signature.method)


def _infos(tensors: Mapping[str, tf.Tensor]) -> dict[str, TensorInfo]:
    return {
        key: TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto())
        for key, tensor in tensors.items()
    }
