"""KServe v2 of the test server: any signature but the default is a model `NAME_SIGNATURE`; strings are `[batch]`."""

from __future__ import annotations

import json
import re
import struct

import numpy as np
import tensorflow as tf

from keras_resunits_client.messages import message
from tests.support.serving_errors import ServerError

TYPES = {tf.uint8: "UINT8", tf.int32: "INT32", tf.float32: "FP32", tf.string: "BYTES"}
OF_TYPES = {name: dtype for dtype, name in TYPES.items()}
LENGTH = "Inference-Header-Content-Length"


def _found(server, model: str, version: str):
    """What `ModelServer.taken` takes, and the signature."""
    name, _, signature = model.partition("_")
    return (name, int(version) if version else None, None), signature or "serving_default"


def _tensors(infos) -> list[dict]:
    return [
        {
            "name": name,
            "datatype": TYPES[tf.as_dtype(info.dtype)],
            "shape": [dim.size for dim in info.tensor_shape.dim],
        }
        for name, info in infos.items()
    ]


def _described(server, model: str, version: str) -> dict:
    spec, name = _found(server, model, version)
    with server.taken(*spec) as loaded:
        signature = loaded.signature(name)
        return {
            "name": model,
            "versions": [str(number) for number in server.versions],
            "platform": "tensorflow_savedmodel",
            "inputs": _tensors(signature.inputs),
            "outputs": _tensors(signature.outputs),
        }


def _inferred(server, model: str, version: str, inputs: list[tuple]) -> tuple[int, list[tuple]]:
    """The version, and `(name, datatype, shape, raw)` of each output; inputs are in the same form."""
    spec, name = _found(server, model, version)
    arrays = {each: _of_raw(*rest) for each, *rest in inputs}
    loaded, outputs = server.predict(spec, name, lambda signature: arrays)
    return loaded.number, [
        (each, TYPES[tf.as_dtype(array.dtype)], list(array.shape), _to_raw(array)) for each, array in outputs.items()
    ]


def _of_raw(datatype: str, shape, raw: bytes) -> np.ndarray:
    try:
        dtype = OF_TYPES[datatype]
        if dtype != tf.string:
            return np.frombuffer(raw, dtype.as_numpy_dtype).reshape(shape)
        strings, at = [], 0
        for _ in range(int(np.prod(shape))):
            (length,) = struct.unpack_from("<I", raw, at)
            strings.append(raw[at + 4 : at + 4 + length])
            at += 4 + length
        array = np.empty(len(strings), dtype=object)
        array[:] = strings
        return array.reshape(shape)
    except (KeyError, ValueError, struct.error) as error:
        raise ServerError("INVALID_ARGUMENT", f"unexpected bytes for {datatype} {list(shape)}: {error}") from error


def _to_raw(array: np.ndarray) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    return b"".join(struct.pack("<I", len(each)) + each for each in array.reshape(-1))


# gRPC


def _infer(server, request):
    shapes = [(each.name, each.datatype, tuple(each.shape)) for each in request.inputs]
    if len(shapes) != len(request.raw_input_contents):
        raise ServerError("INVALID_ARGUMENT", "expected raw contents of every input")
    inputs = [(*shape, raw) for shape, raw in zip(shapes, request.raw_input_contents, strict=True)]
    number, outputs = _inferred(server, request.model_name, request.model_version, inputs)
    response = message("inference.ModelInferResponse")(model_name=request.model_name, model_version=str(number))
    for name, datatype, shape, raw in outputs:
        response.outputs.add(name=name, datatype=datatype, shape=shape)
        response.raw_output_contents.append(raw)
    return response


def _metadata(server, request):
    found = _described(server, request.name, request.version)
    tensors = message("inference.ModelMetadataResponse.TensorMetadata")
    sides = {side: [tensors(**each) for each in found[side]] for side in ("inputs", "outputs")}
    return message("inference.ModelMetadataResponse")(**{**found, **sides})


def _ready(server, request):
    _described(server, request.name, request.version)
    return message("inference.ModelReadyResponse")(ready=True)


METHODS = {"GRPCInferenceService": {"ModelInfer": _infer, "ModelMetadata": _metadata, "ModelReady": _ready}}


# REST


def rest(server, command: str, path: str, headers, body: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer; tensors are binary."""
    pattern = r"/v2/models/(\w+)(?:/versions/(\d+))?" + ("(?:/ready)?" if command == "GET" else "/infer")
    if not (found := re.fullmatch(pattern, path)):
        raise ServerError("NOT_FOUND", f"no such path: {command} {path}")
    model, version = found.groups(default="")
    if command == "GET":
        return {}, json.dumps(_described(server, model, version)).encode()
    try:
        length = int(headers[LENGTH])
        tensors, at, inputs = json.loads(body[:length])["inputs"], length, []
        for each in tensors:
            size = each["parameters"]["binary_data_size"]
            inputs.append((each["name"], each["datatype"], each["shape"], body[at : at + size]))
            at += size
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError("INVALID_ARGUMENT", f"failed to parse the request: {error}") from error
    number, outputs = _inferred(server, model, version, inputs)
    listed = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
        for name, datatype, shape, raw in outputs
    ]
    head = json.dumps({"model_name": model, "model_version": str(number), "outputs": listed}).encode()
    return {LENGTH: str(len(head))}, b"".join([head, *(raw for *_, raw in outputs)])
