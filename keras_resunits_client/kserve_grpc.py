"""KServe v2 over gRPC."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_resunits_client.channel import Channel
from keras_resunits_client.errors import Refused
from keras_resunits_client.kserve import described, version_of
from keras_resunits_client.protocol import Arrays, Metadata, Model, Protocol, Version
from keras_resunits_client.tensors import kind_of, of_raw, to_raw


class KServeGrpc(Protocol):
    """Port 8001 of Triton."""

    has_signatures = False

    def __init__(self, channel: Channel):
        self._channel = channel

    def predict(self, model: Model, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        request = self._message("ModelInferRequest")(model_name=model.name, model_version=version_of(model))
        for name, array in inputs.items():
            request.inputs.add(name=name, datatype=kind_of(array).kserve, shape=array.shape)
            request.raw_input_contents.append(to_raw(array))
        response = self._call("ModelInfer", request, seconds)
        raw = response.raw_output_contents
        if len(raw) != len(response.outputs):
            raise Refused(f"the server sent {len(raw)} raw tensors for {len(response.outputs)} outputs")
        return {
            each.name: of_raw(data, each.datatype, tuple(each.shape))
            for each, data in zip(response.outputs, raw, strict=True)
        }

    def metadata(self, model: Model, seconds: float) -> Metadata:
        found = self._described(model, seconds)
        inputs, outputs = (
            [(each.name, each.datatype, each.shape) for each in side] for side in (found.inputs, found.outputs)
        )
        return described(model, found.versions, inputs, outputs)

    def status(self, model: Model, seconds: float) -> list[Version]:
        return [
            Version(version, *self._readiness(model.name, version, seconds))
            for version in self._described(model, seconds).versions
        ]

    def _readiness(self, name: str, version: str, seconds: float) -> tuple[str, str]:
        request = self._message("ModelReadyRequest")(name=name, version=version)
        return ("AVAILABLE" if self._call("ModelReady", request, seconds).ready else "UNAVAILABLE"), ""

    def close(self) -> None:
        self._channel.close()

    def _message(self, name: str) -> Any:
        return self._channel.message(f"inference.{name}")

    def _described(self, model: Model, seconds: float) -> Any:
        request = self._message("ModelMetadataRequest")(name=model.name, version=version_of(model))
        return self._call("ModelMetadata", request, seconds)

    def _call(self, method: str, request: Any, seconds: float) -> Any:
        response = self._message(f"{method}Response")
        return self._channel.call(f"/inference.GRPCInferenceService/{method}", request, response, seconds)
