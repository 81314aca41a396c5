"""HTTP with one lasting connection for each thread, a deadline, and errors by their code."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from keras_resunits_client.errors import DeadlineExceeded, Refused, Unavailable, one_line

AGAIN = (429, 502, 503, 504)
CHUNK = 1 << 16


class Response(NamedTuple):
    """A response that was no error; names of headers in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Connections to one server, below one path.

    >>> Connections("http", "localhost", 8501, "").place
    'http://localhost:8501'
    """

    def __init__(self, scheme: str, host: str, port: int | None, path: str):
        bracketed = f"[{host}]" if ":" in host else host
        self.place = f"{scheme}://{bracketed}{'' if port is None else f':{port}'}{path}"
        self._secure, self._host, self._port, self._path = scheme == "https", host, port, path
        self._context = ssl.create_default_context() if self._secure else None
        self._mine = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def get(self, path: str, seconds: float) -> Response:
        """Ask with GET."""
        return self._ask("GET", path, None, {}, seconds)

    def post(self, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
        """Ask with POST."""
        return self._ask("POST", path, body, headers, seconds)

    def _ask(self, method: str, path: str, body: bytes | None, headers, seconds: float) -> Response:
        ends = time.monotonic() + seconds
        connection = self._connection()
        try:
            self._limit(connection, ends)
            connection.request(method, self._path + path, body, dict(headers))
            response = connection.getresponse()
            content = self._read(connection, response, ends)
        except TimeoutError as error:
            connection.close()  # the late answer must not be read as that of the next request
            raise DeadlineExceeded(f"{self.place}: no answer within {seconds:.3g} s") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unavailable(f"{self.place}: {one_line(error) or type(error).__name__}") from error
        if response.status == 200:
            return Response({name.lower(): value for name, value in response.getheaders()}, content)
        kind = Unavailable if response.status in AGAIN else Refused
        raise kind(f"{self.place}{path}: {response.status} {response.reason}: {_why(content)}")

    def _connection(self) -> http.client.HTTPConnection:
        """That of this thread."""
        if not hasattr(self._mine, "connection"):
            if self._secure:
                self._mine.connection = http.client.HTTPSConnection(self._host, self._port, context=self._context)
            else:
                self._mine.connection = http.client.HTTPConnection(self._host, self._port)
            self._all.append(self._mine.connection)
        return self._mine.connection

    def _limit(self, connection: http.client.HTTPConnection, ends: float) -> None:
        """Let the next operation of the socket take no longer than what is left."""
        if (left := ends - time.monotonic()) <= 0:
            raise TimeoutError
        connection.timeout = left
        if connection.sock is not None:
            connection.sock.settimeout(left)

    def _read(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, ends: float) -> bytes:
        """The body, read in pieces: a server that sends it slowly does not outlast the deadline."""
        pieces = []
        while not response.isclosed():
            self._limit(connection, ends)
            pieces.append(response.read1(CHUNK))
            if not pieces[-1]:
                break
        response.close()  # Python 3.11 leaves it open at its end, and then refuses the next request
        content = b"".join(pieces)
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        return content

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()


def _why(content: bytes) -> str:
    """The text of an error's body, at most 500 characters."""
    try:
        text = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        text = content.decode(errors="replace")
    return one_line(text)[:500] or "no details"
