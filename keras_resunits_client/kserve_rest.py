"""KServe v2 over REST, with the binary tensors of Triton and OpenVINO Model Server.

Plain JSON holds only strings of text, so pictures could not be sent in it.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np

from keras_resunits_client.connection import Connections
from keras_resunits_client.errors import Refused, understood
from keras_resunits_client.kserve import described, version_of
from keras_resunits_client.protocol import Arrays, Metadata, Model, Protocol, Version
from keras_resunits_client.tensors import kind_of, of_raw, to_raw

NAME = "KServe v2 with binary tensors"
LENGTH = "Inference-Header-Content-Length"


class KServeRest(Protocol):
    """Port 8000 of Triton."""

    has_signatures = False

    def __init__(self, connections: Connections):
        self._connections = connections

    def predict(self, model: Model, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        raw = [to_raw(array) for array in inputs.values()]
        tensors = [
            {
                "name": name,
                "shape": array.shape,
                "datatype": kind_of(array).kserve,
                "parameters": {"binary_data_size": len(data)},
            }
            for (name, array), data in zip(inputs.items(), raw, strict=True)
        ]
        head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        headers = {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
        response = self._connections.post(f"{_path(model)}/infer", b"".join([head, *raw]), headers, seconds)
        with understood(NAME):
            length = int(response.headers[LENGTH.lower()])
            return _outputs(json.loads(response.body[:length])["outputs"], response.body[length:])

    def metadata(self, model: Model, seconds: float) -> Metadata:
        found = self._described(model, seconds)
        with understood(NAME):
            inputs, outputs = (
                [(each["name"], each["datatype"], each["shape"]) for each in found[side]]
                for side in ("inputs", "outputs")
            )
            return described(model, found.get("versions", []), inputs, outputs)

    def status(self, model: Model, seconds: float) -> list[Version]:
        found = self._described(model, seconds)
        with understood(NAME):
            versions = [int(version) for version in found["versions"]]
        return [Version(str(one), *self._readiness(Model(model.name, one), seconds)) for one in versions]

    def _described(self, model: Model, seconds: float) -> dict[str, Any]:
        response = self._connections.get(_path(model), seconds)
        with understood(NAME):
            return dict(json.loads(response.body))

    def _readiness(self, model: Model, seconds: float) -> tuple[str, str]:
        try:
            self._connections.get(f"{_path(model)}/ready", seconds)
        except Refused as error:
            return "UNAVAILABLE", str(error)
        return "AVAILABLE", ""

    def close(self) -> None:
        self._connections.close()


def _path(model: Model) -> str:
    path, version = f"/v2/models/{quote(model.name, safe='')}", version_of(model)
    return f"{path}/versions/{version}" if version else path


def _outputs(tensors: list[dict[str, Any]], raw: bytes) -> dict[str, np.ndarray]:
    arrays, at = {}, 0
    for each in tensors:
        size = each["parameters"]["binary_data_size"]
        arrays[each["name"]] = of_raw(raw[at : at + size], each["datatype"], tuple(each["shape"]))
        at += size
    return arrays
