"""One gRPC channel: unary calls with a deadline, and their errors."""

from __future__ import annotations

import threading
from typing import Any

from keras_resunits_client.errors import ClientError, DeadlineExceeded, Refused, Unavailable, one_line

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # `Retries` does it
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED")


class Channel:
    """A channel to `host:port`, which threads share."""

    def __init__(self, target: str, secure: bool):
        try:
            import grpc

            from keras_resunits_client.messages import message
        except ModuleNotFoundError as error:
            raise ClientError(f"gRPC requires grpcio and protobuf ({error}): pip install grpcio protobuf") from error
        self._grpc, self.message = grpc, message
        if secure:
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, OPTIONS)
        self._target = target
        self._methods: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, method: str, request: Any, response: Any, seconds: float) -> Any:
        """The response of a method such as "/tensorflow.serving.PredictionService/Predict".

        Raises:
            Unavailable, DeadlineExceeded, Refused: by the code of gRPC.
        """
        with self._lock:
            if method not in self._methods:
                self._methods[method] = self._channel.unary_unary(
                    method,
                    request_serializer=type(request).SerializeToString,
                    response_deserializer=response.FromString,
                )
        try:
            return self._methods[method](request, timeout=max(seconds, 0))
        except self._grpc.RpcError as error:
            code, details = error.code().name, one_line(error.details() or "no details")
            text = f"{self._target}: {code}: {details}"
            if code in AGAIN:
                raise Unavailable(text) from error
            if code == "DEADLINE_EXCEEDED":
                raise DeadlineExceeded(text) from error
            raise Refused(text) from error

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
