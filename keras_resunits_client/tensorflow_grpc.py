"""TensorFlow Serving over gRPC."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_resunits_client.channel import Channel
from keras_resunits_client.errors import Refused
from keras_resunits_client.protocol import (
    STRING,
    Arrays,
    Metadata,
    Model,
    Protocol,
    Signature,
    Tensor,
    Version,
    type_of,
)
from keras_resunits_client.tensors import dtype_of, kind, kind_of, of_strings, strings, to_raw

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class TensorFlowGrpc(Protocol):
    """Port 8500 of TensorFlow Serving."""

    def __init__(self, channel: Channel):
        self._channel = channel

    def predict(self, model: Model, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        request = self._request("PredictRequest", model)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            _write(request.inputs[name], array)
        response = self._call("PredictionService/Predict", request, "PredictResponse", seconds)
        return {name: _read(tensor) for name, tensor in response.outputs.items()}

    def metadata(self, model: Model, seconds: float) -> Metadata:
        request = self._request("GetModelMetadataRequest", model)
        request.metadata_field.append("signature_def")
        response = self._call("PredictionService/GetModelMetadata", request, "GetModelMetadataResponse", seconds)
        signatures = self._message("SignatureDefMap").FromString(response.metadata["signature_def"].value)
        found = {
            name: Signature(_tensors(one.inputs), _tensors(one.outputs))
            for name, one in signatures.signature_def.items()
        }
        return Metadata(model.name, str(response.model_spec.version.value), found)

    def status(self, model: Model, seconds: float) -> list[Version]:
        request = self._request("GetModelStatusRequest", model)
        response = self._call("ModelService/GetModelStatus", request, "GetModelStatusResponse", seconds)
        return [
            Version(str(one.version), STATES.get(one.state, str(one.state)), one.status.error_message)
            for one in response.model_version_status
        ]

    def close(self) -> None:
        self._channel.close()

    def _message(self, name: str) -> Any:
        return self._channel.message(f"tensorflow.serving.{name}")

    def _request(self, name: str, model: Model) -> Any:
        request = self._message(name)()
        request.model_spec.name = model.name
        if model.label is not None:
            request.model_spec.version_label = model.label
        elif model.version is not None:
            request.model_spec.version.value = model.version
        return request

    def _call(self, method: str, request: Any, response: str, seconds: float) -> Any:
        return self._channel.call(f"/tensorflow.serving.{method}", request, self._message(response), seconds)


def _tensors(infos: Any) -> dict[str, Tensor]:
    return {name: Tensor(dtype_of("number", info.dtype), _shape(info.tensor_shape)) for name, info in infos.items()}


def _shape(shape: Any) -> tuple[int, ...] | None:
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def _write(tensor: Any, array: np.ndarray) -> None:
    """Fill a TensorProto."""
    tensor.dtype = kind_of(array).number
    tensor.tensor_shape.SetInParent()  # a scalar has a shape too
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if type_of(array) == STRING:
        tensor.string_val.extend(strings(array))
    else:
        tensor.tensor_content = to_raw(array)


def _read(tensor: Any) -> np.ndarray:
    """The array of a TensorProto, whose values are packed, or a list whose last value may stand for the rest.

    Raises:
        Refused: for a type that NumPy lacks, or fewer or more values than its shape has.
    """
    shape = _shape(tensor.tensor_shape)
    if not (found := kind("number", tensor.dtype)) or shape is None:
        raise Refused(f"the server answers in TensorFlow's type {tensor.dtype}, which this client does not read")
    values = list(getattr(tensor, found.field))
    size = int(np.prod(shape))
    if 0 < len(values) < size:
        values += [values[-1]] * (size - len(values))
    try:
        if found.dtype == STRING:
            return of_strings(values, shape)
        if tensor.tensor_content:
            packed = np.frombuffer(tensor.tensor_content, np.dtype(found.dtype).newbyteorder("<"))
            return packed.astype(found.dtype).reshape(shape)
        if found.field == "half_val":  # the bits of each as an integer
            return np.array(values, "uint16").view("float16").reshape(shape)
        return np.array(values, found.dtype).reshape(shape)
    except ValueError as error:
        raise Refused(f"the server's tensor is no {found.dtype} {list(shape)}: {error}") from error
