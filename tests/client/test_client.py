"""The client against a test server: answers, signatures, versions, and what a server cannot or does not answer."""

from __future__ import annotations

import http.server
import socket
import threading
import time

import numpy as np
import pytest

from keras_resunits_client import (
    Client,
    ClientError,
    DeadlineExceeded,
    Refused,
    Retries,
    Tensor,
    Unavailable,
    Version,
)
from tests.catalog import CLASSES, IMAGES
from tests.client.conftest import images, picture
from tests.support.serving import answers_tf1

QUICK = Retries(deadline=20, attempts=3, pause=0.01)


@pytest.fixture
def client(server, way):
    with way.client(server, "digits", retries=QUICK) as client:
        yield client


@pytest.fixture
def colours(bytes_server, way):
    options = {"signature": "serve_bytes"} if way.protocol == "kserve" else {}  # elsewhere it is the default
    with way.client(bytes_server, "colours", retries=QUICK, **options) as client:
        yield client


def test_answers_are_those_of_the_session(client, export):
    found, wanted = client.predict(images(3)), answers_tf1(export / "1", images(3))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_metadata_are_the_signatures(client):
    found = client.metadata()
    assert (found.model, found.version) == ("digits", "1")
    signature = found.signatures["serving_default"]
    assert signature.inputs == {"images": Tensor("uint8", (-1, *IMAGES))}
    assert signature.outputs == {
        "probabilities": Tensor("float32", (-1, CLASSES)),
        "classes": Tensor("string", (-1, 3)),
        "scores": Tensor("float32", (-1, 3)),
    }


def test_status_lists_the_versions(client):
    assert client.status() == [Version("1", "AVAILABLE")]


def test_a_version_may_be_asked(server, way):
    with way.client(server, "digits", version=1) as client:
        assert len(client.predict(images(1))["scores"]) == 1
    with way.client(server, "digits", version=7) as client, pytest.raises(Refused, match=r"Specific\(digits, 7\)"):
        client.predict(images(1))


def test_a_label_may_be_asked(server, tensorflow_way):
    with tensorflow_way.client(server, "digits", label="stable") as client:
        assert len(client.predict(images(1))["scores"]) == 1
    with tensorflow_way.client(server, "digits", label="canary") as client, pytest.raises(Refused, match='"canary"'):
        client.predict(images(1))


def test_the_signature_is_the_one_that_takes_the_inputs(bytes_server, tensorflow_way, tmp_path):
    file = picture(tmp_path / "red.png")
    with tensorflow_way.client(bytes_server, "colours") as client:
        assert list(client.signatures) == ["serve_bytes", "serving_default"]
        assert set(client.predict([file.read_bytes()])) == {"probabilities", "classes", "scores", "status", "error"}
        assert set(client.predict(images(2, shape=(4, 4, 3)))) == {"probabilities", "classes", "scores"}
        with pytest.raises(ValueError, match=r"signature serve_bytes: .* signature serving_default: .*got uint8 \[4\]"):
            client.predict(np.zeros(4, "uint8"))


def test_bytes_have_a_status_for_each_row(colours, bytes_server, way, tmp_path):
    red = picture(tmp_path / "red.png").read_bytes()
    found = colours.predict([red, b"no picture", red + b"\0"])
    assert found["status"].tolist() == [0, 2, 0]
    assert found["error"].tolist() == [b"", b"not a PNG file", b""]
    assert [row[0].decode() for row in found["classes"][[0, 2]]] == ["red", "red"]
    with way.client(bytes_server, "colours") as client:
        pixels = client.predict(np.full((1, 4, 4, 3), (200, 10, 20), "uint8"))
    np.testing.assert_array_equal(pixels["scores"][0], found["scores"][0])
    assert pixels["classes"][0].tolist() == [name.encode() for name in ("red", "blue é", "green")]


def test_inputs_may_be_given_by_name_and_batches_may_be_empty(colours):
    found = colours.predict({"image_bytes": []})
    assert {name: array.shape for name, array in found.items()} == {
        "probabilities": (0, 3), "classes": (0, 3), "scores": (0, 3), "status": (0,), "error": (0,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (images(1).astype("float32"), r"input 'images': expected uint8 \[any, 8, 8, 3\]; got float32 \[1, 8, 8, 3\]"),
        (images(1)[0], r"expected uint8 \[any, 8, 8, 3\]; got uint8 \[8, 8, 3\]"),
        (images(1)[:, :7], r"got uint8 \[1, 7, 8, 3\]"),
        ([b"bytes"], r"expected uint8.*; got string \[1\]"),
        (b"bytes", r"expected a list of bytes, or an array; got one bytes"),
        ({"pictures": images(1)}, r"expected inputs \['images'\]; got \['pictures'\]"),
    ],
    ids=range(6),
)
def test_inputs_that_do_not_fit_are_refused_before_they_are_sent(server, inputs, text):
    with Client(server.rest, "digits") as client:
        assert list(client.signatures) == ["serving_default"]
        server.faults.append("INTERNAL")  # a request would take it
        with pytest.raises(ValueError, match=text):
            client.predict(inputs)
        assert server.faults.pop() == "INTERNAL"


def test_strings_of_numpys_own_type_are_refused(bytes_server):
    with Client(bytes_server.rest, "colours") as client, pytest.raises(ValueError, match="dtype object"):
        client.predict(np.array([b"ends with \0"]))


def test_an_unknown_model_is_one_line(server, way):
    with way.client(server, "letters") as client:
        for call in (client.metadata, client.status, lambda: client.predict(images(1))):
            with pytest.raises(Refused, match="letters") as error:
                call()
            assert "\n" not in str(error.value)


def test_an_unknown_signature_is_one_line(server, tensorflow_way):
    with (
        tensorflow_way.client(server, "digits", signature="other") as client,
        pytest.raises(ClientError, match="model 'digits': expected signature other; it has serving_default"),
    ):
        client.predict(images(1))


def test_a_busy_server_is_asked_again(client, server):
    client.signatures  # noqa: B018  (a request of its own)
    server.faults.extend(["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
    assert len(client.predict(images(2))["scores"]) == 2
    assert not server.faults


def test_attempts_end(client, server):
    client.signatures  # noqa: B018
    server.faults.extend(["UNAVAILABLE"] * 4)
    with pytest.raises(Unavailable, match="a fault of the test"):
        client.predict(images(1))
    assert server.faults.pop() == "UNAVAILABLE" and not server.faults


def test_an_error_that_stays_is_not_tried_again(client, server):
    client.signatures  # noqa: B018
    server.faults.extend(["INVALID_ARGUMENT", "INTERNAL"])
    with pytest.raises(Refused, match="a fault of the test"):
        client.predict(images(1))
    assert server.faults.pop() == "INTERNAL" and not server.faults


def test_the_deadline_ends_a_request_and_the_next_answer_is_its_own(server, way, monkeypatch):
    with way.client(server, "digits", retries=Retries(deadline=0.3)) as client:
        wanted = client.predict(images(1, seed=8))["scores"]
        monkeypatch.setattr(server, "pause", 0.6)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.predict(images(1, seed=7))
        assert 0.25 < time.monotonic() - began < 0.6
        monkeypatch.setattr(server, "pause", 0.0)
        time.sleep(0.5)  # the late answer arrives meanwhile
        np.testing.assert_array_equal(client.predict(images(1, seed=8))["scores"], wanted)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("protocol", ["tensorflow", "kserve"])
def test_no_server_is_one_line(scheme, protocol):
    url = f"{scheme}://127.0.0.1:{free_port()}"
    with Client(url, "digits", protocol=protocol, retries=QUICK) as client:
        for call in (client.metadata, client.status):
            with pytest.raises(Unavailable, match=r"127\.0\.0\.1.*[Rr]efused") as error:
                call()
            assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("localhost:8501", "tensorflow"),
        ("ftp://localhost", "tensorflow"),
        ("http://", "tensorflow"),
        ("http://host:port", "kserve"),
        ("http://host:99999", "kserve"),
        ("grpc://host", "kserve"),
        ("grpc://host:1/path", "kserve"),
        ("http://host/?query", "tensorflow"),
        ("", "tensorflow"),
    ],
)
def test_an_address_that_is_none_is_refused(url, protocol):
    with pytest.raises(ClientError, match=r"expected http\[s\]://HOST"):
        Client(url, "digits", protocol=protocol)


def test_choices_that_do_not_go_together_are_refused():
    with pytest.raises(ClientError, match="expected a version or a label"):
        Client("http://localhost:1", "digits", version=1, label="stable")
    with pytest.raises(ClientError, match="protocol: expected one of tensorflow, kserve; got 'triton'"):
        Client("http://localhost:1", "digits", protocol="triton")
    with pytest.raises(ClientError, match="KServe v2 has no signatures; got 'serve_bytes'"):
        Client("http://localhost:1", "digits", protocol="kserve", signature="serve_bytes")
    with pytest.raises(ClientError, match="KServe v2 has no labels"):
        Client("http://localhost:1", "digits", protocol="kserve", label="stable").metadata()


class Odd(http.server.BaseHTTPRequestHandler):
    """A web server that knows nothing of models; `/slow` comes in drops, `/cut` ends early."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        if "slow" in self.path or "cut" in self.path:
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(1 if "cut" in self.path else 100):
                self.wfile.write(b" ")
                time.sleep(0.05)
            self.close_connection = True
            return
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<html>hi</html>")

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def odd():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("protocol", ["tensorflow", "kserve"])
def test_another_web_server_is_told_from_a_model_server(odd, protocol):
    with Client(odd, "digits", protocol=protocol, retries=QUICK) as client:
        for call in (client.metadata, client.status):
            with pytest.raises(Refused, match="the server's answer is not"):
                call()


def test_an_answer_in_drops_does_not_outlast_the_deadline(odd):
    began = time.monotonic()
    with Client(f"{odd}/slow", "digits", retries=Retries(deadline=0.4)) as client, pytest.raises(DeadlineExceeded):
        client.metadata()
    assert time.monotonic() - began < 1


def test_an_answer_that_is_cut_off_is_asked_for_again(odd):
    with Client(f"{odd}/cut", "digits", retries=QUICK) as client, pytest.raises(Unavailable, match="IncompleteRead"):
        client.metadata()
