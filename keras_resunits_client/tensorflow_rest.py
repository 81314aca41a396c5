"""TensorFlow Serving over REST: JSON by columns, strings in base64."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import numpy as np

from keras_resunits_client.connection import Connections
from keras_resunits_client.errors import understood
from keras_resunits_client.protocol import (
    STRING,
    UNNAMED,
    Arrays,
    Metadata,
    Model,
    Protocol,
    Signature,
    Tensor,
    Version,
    type_of,
)
from keras_resunits_client.tensors import dtype_of, of_strings, strings

NAME = "TensorFlow Serving's REST"


class TensorFlowRest(Protocol):
    """Port 8501 of TensorFlow Serving."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def predict(self, model: Model, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        columns = {name: _column(array) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        response = self._connections.post(f"{_path(model)}:predict", body, headers, seconds)
        with understood(NAME):
            outputs = json.loads(response.body)["outputs"]
            if not isinstance(outputs, dict):
                outputs = {UNNAMED: outputs}  # of a single output, the server leaves out the name
            return {name: _array(value) for name, value in outputs.items()}

    def metadata(self, model: Model, seconds: float) -> Metadata:
        response = self._connections.get(f"{_path(model)}/metadata", seconds)
        with understood(NAME):
            body = json.loads(response.body)
            signatures = {
                name: Signature(_tensors(one.get("inputs", {})), _tensors(one.get("outputs", {})))
                for name, one in body["metadata"]["signature_def"]["signature_def"].items()
            }
            return Metadata(model.name, str(body["model_spec"].get("version", "")), signatures)

    def status(self, model: Model, seconds: float) -> list[Version]:
        response = self._connections.get(_path(model), seconds)
        with understood(NAME):
            return [
                Version(str(one["version"]), one["state"], one.get("status", {}).get("error_message", ""))
                for one in json.loads(response.body)["model_version_status"]
            ]

    def close(self) -> None:
        self._connections.close()


def _path(model: Model) -> str:
    path = f"/v1/models/{quote(model.name, safe='')}"
    if model.label is not None:
        return f"{path}/labels/{quote(model.label, safe='')}"
    return path if model.version is None else f"{path}/versions/{model.version}"


def _tensors(infos: dict[str, Any]) -> dict[str, Tensor]:
    return {
        name: Tensor(dtype_of("tensorflow", info["dtype"]), _shape(info.get("tensor_shape", {})))
        for name, info in infos.items()
    }


def _shape(shape: dict[str, Any]) -> tuple[int, ...] | None:
    return None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", []))


def _column(array: np.ndarray) -> Any:
    if type_of(array) != STRING:
        return array.tolist()
    coded = [{"b64": base64.b64encode(each).decode()} for each in strings(array)]
    nested = np.empty(len(coded), dtype=object)
    nested[:] = coded
    return nested.reshape(array.shape).tolist()


def _array(value: Any) -> np.ndarray:
    """Numbers as NumPy reads them; strings, plain or in base64, as `bytes`."""
    leaf, shape = value, []
    while isinstance(leaf, list):
        shape.append(len(leaf))
        leaf = leaf[0] if leaf else None
    if not isinstance(leaf, (str, dict)):
        return np.array(value)
    flat = value
    for _ in shape[1:]:
        flat = [each for part in flat for each in part]
    return of_strings([_bytes(each) for each in (flat if shape else [value])], tuple(shape))


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else base64.b64decode(text["b64"])
