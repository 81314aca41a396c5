"""A test server over TensorFlow's TF1 session. It is not TensorFlow Serving.

It implements what `keras_resunits_client` uses of TensorFlow Serving's gRPC (PredictionService, ModelService) and REST,
as documented, and of KServe v2 on the same ports, as OpenVINO Model Server does (`tests/support/kserve.py`). The newest
version of a folder answers, a new one is loaded beside it before it takes over, and the old one is unloaded once its
last request is answered. Tensors are read and written by TensorFlow itself.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import tensor_pb2

from keras_resunits_client.messages import message
from tests.support import kserve
from tests.support.serving_errors import ServerError

HTTP = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "INTERNAL": 500, "RESOURCE_EXHAUSTED": 429}
CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Loaded:
    """One version in a session, and how many requests it is answering."""

    def __init__(self, path: Path):
        self.number, self.running = int(path.name), 0
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self.signatures = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path)).signature_def

    def close(self) -> None:
        self._session.close()

    def signature(self, name: str):
        if name not in self.signatures:
            raise ServerError("INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name]

    def run(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs; a session of Python would cast inputs, which a server refuses."""
        signature = self.signature(name)
        if set(inputs) != set(signature.inputs):
            raise ServerError("INVALID_ARGUMENT", f"expected inputs {sorted(signature.inputs)}; got {sorted(inputs)}")
        for key, array in inputs.items():
            expected = tf.as_dtype(signature.inputs[key].dtype)
            if tf.as_dtype(array.dtype) != expected:
                raise ServerError("INVALID_ARGUMENT", f"expects {key} to be {expected.name} but {array.dtype} is given")
        feed = {signature.inputs[key].name: array for key, array in inputs.items()}
        try:
            return self._session.run({key: each.name for key, each in signature.outputs.items()}, feed)
        except tf.errors.OpError as error:
            raise ServerError(CODES[error.error_code], error.message) from error
        except ValueError as error:  # the session of Python compares static shapes itself
            raise ServerError("INVALID_ARGUMENT", str(error)) from error


class ModelServer:
    """Serves the versions of a folder on loopback until it is closed; `rest` and `grpc` are its addresses.

    Args:
        folder: Folder of versions.
        name: The model's name.
        keep: How many of the newest versions to serve.
        labels: Names of versions.

    `faults` holds codes of gRPC that the next predictions answer with; `pause` is a time in seconds before each.
    """

    def __init__(self, folder: Path, name: str = "digits", keep: int = 1, labels: dict[str, int] | None = None):
        self.folder, self.name, self.keep, self.labels = folder, name, keep, labels or {}
        self.faults: deque[str] = deque()
        self.pause = 0.0
        self._versions: dict[int, Loaded] = {}
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._poll()
        self._watcher = threading.Thread(target=self._watch)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._http_thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._grpc = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
        self._grpc.add_generic_rpc_handlers(list(_services(self)))
        self.rest = f"http://127.0.0.1:{self._http.server_port}"
        self.grpc = f"grpc://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        self._watcher.start()
        self._http_thread.start()

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *error) -> None:
        self._closing.set()
        self._watcher.join()
        self._http.shutdown()
        self._http.server_close()
        self._http_thread.join()
        self._grpc.stop(None).wait()
        for loaded in self._versions.values():
            loaded.close()

    @property
    def versions(self) -> list[int]:
        """The versions that are loaded."""
        return sorted(self._versions)

    def _watch(self) -> None:
        while not self._closing.wait(0.02):
            self._poll()

    def _poll(self) -> None:
        found = sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())
        wanted = found[-self.keep :]
        for number in wanted:
            if number not in self._versions:
                loaded = Loaded(self.folder / str(number))
                with self._lock:
                    self._versions[number] = loaded
        for number in set(self._versions) - set(wanted):
            with self._lock:
                old = self._versions.pop(number)
            while old.running:
                time.sleep(0.001)
            old.close()

    @contextmanager
    def taken(self, name: str, version: int | None, label: str | None) -> Iterator[Loaded]:
        """The version that answers, which is not unloaded meanwhile."""
        if label is not None and label not in self.labels:
            raise ServerError("INVALID_ARGUMENT", f'Unrecognized servable version label: "{label}"')
        number = self.labels[label] if label is not None else version
        with self._lock:
            asked = max(self._versions) if number is None else number
            if name != self.name or asked not in self._versions:
                which = "Latest" if number is None else "Specific"
                raise ServerError("NOT_FOUND", f"Servable not found for request: {which}({name}, {number})")
            loaded = self._versions[asked]
            loaded.running += 1
        try:
            yield loaded
        finally:
            with self._lock:
                loaded.running -= 1

    def predict(self, spec: tuple, signature: str, inputs) -> tuple[Loaded, dict[str, np.ndarray]]:
        """The version and its outputs; `inputs` is a function of the signature."""
        time.sleep(self.pause)
        with suppress(IndexError):
            raise ServerError(self.faults.popleft(), "a fault of the test")
        with self.taken(*spec) as loaded:
            name = signature or "serving_default"
            return loaded, loaded.run(name, inputs(loaded.signature(name)))

    def require(self, name: str) -> None:
        """Refuse another model's name."""
        if name != self.name:
            raise ServerError("NOT_FOUND", f"Could not find any versions of model {name}")


# gRPC


def _services(server: ModelServer) -> Iterator[grpc.GenericRpcHandler]:
    methods = {
        "PredictionService": {"Predict": _predict, "GetModelMetadata": _metadata},
        "ModelService": {"GetModelStatus": _status},
    }
    for package, services in (("tensorflow.serving", methods), ("inference", kserve.METHODS)):
        for service, its in services.items():
            handlers = {name: _method(server, f"{package}.{name}Request", each) for name, each in its.items()}
            yield grpc.method_handlers_generic_handler(f"{package}.{service}", handlers)


def _method(server: ModelServer, name: str, function) -> grpc.RpcMethodHandler:
    request = message(name)

    def answer(content, context):
        try:
            return function(server, content)
        except ServerError as error:
            context.abort(grpc.StatusCode[error.code], error.text)

    return grpc.unary_unary_rpc_method_handler(
        answer, request.FromString, lambda response: response.SerializeToString()
    )


def _asked(spec) -> tuple[str, int | None, str | None]:
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label or None


def _predict(server: ModelServer, request):
    def inputs(signature):
        return {name: _of_proto(tensor) for name, tensor in request.inputs.items()}

    spec = request.model_spec
    loaded, outputs = server.predict(_asked(spec), spec.signature_name, inputs)
    response = message("tensorflow.serving.PredictResponse")()
    response.model_spec.name, response.model_spec.version.value = spec.name, loaded.number
    for name, array in outputs.items():
        response.outputs[name].ParseFromString(_to_proto(array).SerializeToString())
    return response


def _of_proto(tensor) -> np.ndarray:
    try:
        return tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
    except (TypeError, ValueError) as error:
        raise ServerError("INVALID_ARGUMENT", f"tensor parsing error: {error}") from error


def _to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """As the server does by default: the values of floats one by one, not packed."""
    proto = tf.make_tensor_proto(array)
    if array.dtype == np.float32:
        proto.ClearField("tensor_content")
        del proto.float_val[:]
        proto.float_val.extend(array.reshape(-1).tolist())
    return proto


def _metadata(server: ModelServer, request):
    with server.taken(*_asked(request.model_spec)) as loaded:
        response = message("tensorflow.serving.GetModelMetadataResponse")()
        response.model_spec.name, response.model_spec.version.value = server.name, loaded.number
        signatures = message("tensorflow.serving.SignatureDefMap")()
        for name, each in loaded.signatures.items():
            signatures.signature_def[name].ParseFromString(each.SerializeToString())
        response.metadata["signature_def"].Pack(signatures)
        return response


def _status(server: ModelServer, request):
    server.require(request.model_spec.name)
    response = message("tensorflow.serving.GetModelStatusResponse")()
    for number in server.versions:
        response.model_version_status.add(version=number, state=30)
    return response


# REST


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body):
            headers = {"Content-Type": "application/json"}
            try:
                if self.path.startswith("/v2/"):
                    added, content = kserve.rest(server, self.command, self.path, self.headers, body)
                    headers |= added
                else:
                    content = json.dumps(_rest(server, self.command, self.path, body)).encode()
                self.send_response(200)
            except ServerError as error:
                content = json.dumps({"error": error.text}).encode()
                self.send_response(HTTP[error.code])
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    return Handler


def _rest(server: ModelServer, command: str, path: str, body: bytes):
    pattern = r"/v1/models/(\w+)(?:/versions/(\d+)|/labels/(\w+))?(/metadata|:predict)?"
    if not (found := re.fullmatch(pattern, path)):
        raise ServerError("INVALID_ARGUMENT", f"Malformed request: {command} {path}")
    name, version, label, what = found.groups()
    spec = name, version and int(version), label
    return _get(server, *spec, what) if command == "GET" else _post(server, spec, what, body)


def _get(server: ModelServer, name, version, label, what):
    if what == "/metadata":
        with server.taken(name, version, label) as loaded:
            signatures = {key: json_format.MessageToDict(each, preserving_proto_field_name=True,
                                                         always_print_fields_with_no_presence=True)
                          for key, each in loaded.signatures.items()}  # fmt: skip
            spec = {"name": name, "signature_name": "", "version": str(loaded.number)}
            return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}
    server.require(name)
    status = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {"version": str(number), "state": "AVAILABLE", "status": status} for number in server.versions
        ]
    }


def _post(server: ModelServer, spec, what, body: bytes):
    try:
        request = json.loads(body)
        columns = request["inputs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if what != ":predict" or not isinstance(columns, dict):
        raise ServerError("INVALID_ARGUMENT", "expected :predict, and inputs by name")

    def inputs(signature):
        return {name: _of_json(values, signature.inputs.get(name)) for name, values in columns.items()}

    _, outputs = server.predict(spec, request.get("signature_name", ""), inputs)
    named = {name: _to_json(array, name.endswith("_bytes")) for name, array in outputs.items()}
    return {"outputs": named if len(named) > 1 else next(iter(named.values()))}


def _of_json(values, info) -> np.ndarray:
    """Numbers become the signature's type, if they are values of it."""
    if info is None:
        raise ServerError("INVALID_ARGUMENT", "no such input")
    dtype = tf.as_dtype(info.dtype)
    try:
        if dtype == tf.string:
            return np.array(_decoded(values), dtype=object)
        array = np.array(values)
        if dtype.is_integer and (
            array.dtype.kind not in "iu" or array.min(initial=0) < dtype.min or array.max(initial=0) > dtype.max
        ):
            raise ValueError(f"values are not {dtype.name}")
        return array.astype(dtype.as_numpy_dtype)
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError("INVALID_ARGUMENT", f"Failed to process element: {error}") from error


def _decoded(values):
    if isinstance(values, list):
        return [_decoded(each) for each in values]
    return base64.b64decode(values["b64"]) if isinstance(values, dict) else values.encode()


def _to_json(array: np.ndarray, coded: bool):
    if array.dtype != object:
        return array.tolist()
    spelled = [{"b64": base64.b64encode(each).decode()} if coded else each.decode() for each in array.reshape(-1)]
    nested = np.empty(len(spelled), dtype=object)
    nested[:] = spelled
    return nested.reshape(array.shape).tolist()
