"""From the address of a server to the protocol that asks it."""

from __future__ import annotations

from urllib.parse import urlsplit

from keras_resunits_client.channel import Channel
from keras_resunits_client.connection import Connections
from keras_resunits_client.errors import ClientError
from keras_resunits_client.kserve_grpc import KServeGrpc
from keras_resunits_client.kserve_rest import KServeRest
from keras_resunits_client.protocol import Protocol
from keras_resunits_client.tensorflow_grpc import TensorFlowGrpc
from keras_resunits_client.tensorflow_rest import TensorFlowRest

PROTOCOLS = {"tensorflow": (TensorFlowRest, TensorFlowGrpc), "kserve": (KServeRest, KServeGrpc)}
"""By name: over REST, and over gRPC."""


def connect(url: str, protocol: str) -> Protocol:
    """The protocol over a server's address; the first call opens the connection.

    Args:
        url: `http://HOST:PORT` or `https://HOST:PORT`, also with a path, for REST; `grpc://HOST:PORT` or
            `grpcs://HOST:PORT` for gRPC.
        protocol: "tensorflow" or "kserve".

    Raises:
        ClientError: for another address or protocol.

    >>> connect("here:8501", "tensorflow")
    Traceback (most recent call last):
    keras_resunits_client.errors.ClientError: expected http[s]://HOST[:PORT] or grpc[s]://HOST:PORT; got 'here:8501'
    """
    if protocol not in PROTOCOLS:
        raise ClientError(f"protocol: expected one of {', '.join(PROTOCOLS)}; got {protocol!r}")
    rest, grpc = PROTOCOLS[protocol]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    path = parts.path.rstrip("/")
    extra = parts.query or parts.fragment or parts.username
    if host and not extra and parts.scheme in ("http", "https"):
        return rest(Connections(parts.scheme, host, port, path))
    if host and not extra and parts.scheme in ("grpc", "grpcs") and port and not path:
        return grpc(Channel(parts.netloc, parts.scheme == "grpcs"))
    raise ClientError(f"expected http[s]://HOST[:PORT] or grpc[s]://HOST:PORT; got {url!r}")
