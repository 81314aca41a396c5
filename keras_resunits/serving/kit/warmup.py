"""Warm-up requests, which TensorFlow Serving answers before a version takes requests of clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import SavedModelLoader  # its function warns that it is deprecated

from keras_resunits.serving.writing import Signature
from keras_resunits_client.messages import POOL, declared, message

FILE = "assets.extra/tf_serving_warmup_requests"
"""Its path in the version's folder: TFRecords of `PredictionLog`, which a server finds by this name."""

ANY_SIDE = 64
"""The height or width of images for a model that takes any."""

ANSWERED = 2
"""The requests of each signature that `replay` answers."""

LOGS = """
package tensorflow.serving;
message ExampleList { repeated bytes examples = 1; }
message Input { .tensorflow.serving.ExampleList example_list = 1; }
message ClassificationRequest {
  .tensorflow.serving.ModelSpec model_spec = 1;
  .tensorflow.serving.Input input = 2;
}
message ClassifyLog { .tensorflow.serving.ClassificationRequest request = 1; }
message PredictLog { .tensorflow.serving.PredictRequest request = 1; }
message PredictionLog {
  .tensorflow.serving.ClassifyLog classify_log = 2;
  .tensorflow.serving.PredictLog predict_log = 6;
}
"""
"""TensorFlow Serving's messages, less the fields not needed; `tf.Example`s are bytes, the same on the wire."""

_file = declared(LOGS, ["tensorflow.serving.proto"])
_file.name = "tensorflow.serving.logs.proto"
POOL.AddSerializedFile(_file.SerializeToString())
PredictionLog = message("tensorflow.serving.PredictionLog")


def write_warmup(
    folder: Path, signatures: Mapping[str, Signature], shape: Sequence[int | None], sizes: Sequence[int]
) -> None:
    """Write a request for each signature and batch size.

    Args:
        folder: The SavedModel's.
        signatures: The signatures by name.
        shape: `(None, height, width, channels)` of the images.
        sizes: The batch sizes.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for name, signature in signatures.items():
            for size in sizes:
                for each in (name, *signature.apart):
                    file.write(_predict(each, signature.inputs, shape, size).SerializeToString())
                if signature.prepared:
                    file.write(_classify(signature.prepared.name, shape, size).SerializeToString())


def replay(folder: Path) -> int:
    """Answer warm-up requests of a SavedModel through a TF1 session, as a server does.

    All are parsed and compared with their signature. The two smallest of each signature are answered: larger ones
    differ only in their number of rows, and take long. The graph is not optimised, which would take most of the time.

    Returns:
        The number of requests.

    Raises:
        RuntimeError: if an input is not the signature's; if an answer has another number of rows, a NaN or infinite
            value, or a status other than 0.
    """
    parsed = [_parsed(PredictionLog.FromString(each.numpy())) for each in tf.data.TFRecordDataset(str(folder / FILE))]
    asked: Counter = Counter()
    plain = tf.compat.v1.ConfigProto()
    plain.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.compat.v1.Session(config=plain) as session:
        definitions = SavedModelLoader(str(folder)).load(session, ["serve"]).signature_def
        for name, inputs in parsed:
            its = definitions[name]
            _require_fitting(folder, name, its, inputs)
            asked[name] += 1
            if asked[name] <= ANSWERED:
                feeds = {its.inputs[key].name: array for key, array in inputs.items()}
                answers = session.run({key: info.name for key, info in its.outputs.items()}, feeds)
                _require_answered(folder, name, len(next(iter(inputs.values()))), answers)
    return len(parsed)


def _predict(name: str, inputs: Sequence[tf.TensorSpec], shape: Sequence[int | None], size: int) -> Any:
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = name
    for spec in inputs:
        _fill(request.inputs[spec.name], spec, size, shape)
    return log


def _classify(name: str, shape: Sequence[int | None], size: int) -> Any:
    log = PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = name
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(_picture(shape))
    request.input.example_list.examples.extend([example.SerializeToString()] * size)
    return log


def _fill(tensor: Any, spec: tf.TensorSpec, size: int, shape: Sequence[int | None]) -> None:
    """Fill a `TensorProto` with one value, which stands for all of them."""
    tensor.dtype = spec.dtype.as_datatype_enum
    for side in (size, *(side or ANY_SIDE for side in spec.shape[1:])):
        tensor.tensor_shape.dim.add(size=side)
    if spec.dtype == tf.string:
        tensor.string_val.append(_picture(shape))
    elif spec.dtype.is_floating:
        tensor.float_val.append(0)
    else:
        tensor.int_val.append(127)


def _picture(shape: Sequence[int | None]) -> bytes:
    """A grey JPEG of twice the images' size, which the server resizes."""
    height, width, channels = (side or ANY_SIDE for side in shape[1:])
    pixels = np.full((2 * height, 2 * width, channels), 127, np.uint8)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:  # nothing runs on an accelerator
        return session.run(tf.io.encode_jpeg(pixels, optimize_size=True))


def _parsed(record: Any) -> tuple[str, Mapping[str, np.ndarray]]:
    """The signature of a request, and its inputs by name."""
    if record.HasField("classify_log"):
        request = record.classify_log.request
        inputs = {"inputs": np.array(list(request.input.example_list.examples), object)}
    else:
        request = record.predict_log.request
        inputs = dict(_arrays(request.inputs))
    return request.model_spec.signature_name, inputs


def _arrays(tensors: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in tensors.items():
        yield name, tf.make_ndarray(tf.compat.v1.make_tensor_proto(0).FromString(tensor.SerializeToString()))


def _require_fitting(folder: Path, name: str, its: Any, inputs: Mapping[str, np.ndarray]) -> None:
    if set(inputs) != set(its.inputs):
        raise RuntimeError(f"{folder}: {name} expects {sorted(its.inputs)}, and its warm-up has {sorted(inputs)}.")
    for key, array in inputs.items():
        dtype, shape = tf.as_dtype(its.inputs[key].dtype), tf.TensorShape(its.inputs[key].tensor_shape)
        if tf.as_dtype(array.dtype) != dtype or not shape.is_compatible_with(array.shape):
            given = f"{array.dtype} {list(array.shape)}"
            raise RuntimeError(f"{folder}: {name} expects {dtype.name} {shape}, and its warm-up has {given}.")


def _require_answered(folder: Path, name: str, rows: int, answers: Mapping[str, np.ndarray]) -> None:
    for key, found in answers.items():
        if len(found) != rows:
            raise RuntimeError(f"{folder}: {key} of {name} has {len(found)} rows for a batch of {rows}.")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise RuntimeError(f"{folder}: {key} of {name} is NaN or infinite for a grey image.")
    if "status" in answers and answers["status"].any():
        raise RuntimeError(f"{folder}: {name} refuses a grey image: {answers['error'][0].decode()}.")
