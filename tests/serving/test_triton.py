"""An export in a real Triton server, over HTTP and gRPC with dynamic batching, and the repository that it reads."""

from __future__ import annotations

import json
import os
import threading
import urllib.request

import numpy as np
import pytest

from keras_resunits.serving.triton import write_triton_repository
from keras_resunits_client import Client, Refused, Version
from keras_resunits_client.__main__ import main
from tests.client.conftest import exported, images, picture
from tests.support import bytes_model, triton_server
from tests.support.load import require_right, run, same, summary
from tests.support.model_server import Loaded


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The versions of a network and of the model that takes bytes, and the repository of both."""
    folder = tmp_path_factory.mktemp("triton")
    export, colours = exported(folder / "digits", 1), bytes_model.write(folder / "colours")
    write_triton_repository(export, folder / "repository", max_delay=0.005)
    write_triton_repository(colours.parent, folder / "repository")
    return export, colours, folder / "repository"


def test_the_repository_holds_a_model_for_each_signature(folders):
    export, _, repository = folders
    assert sorted(os.listdir(repository)) == ["colours", "colours_serve_bytes", "digits", "digits_serve_bytes"]
    assert sorted(os.listdir(repository / "digits")) == ["1", "config.pbtxt"]
    assert sorted(os.listdir(repository / "digits" / "1")) == ["model.py", "model.savedmodel"]
    copied = repository / "digits" / "1" / "model.savedmodel"
    assert sorted(os.listdir(copied)) == sorted(os.listdir(export))
    configuration = (repository / "colours_serve_bytes" / "config.pbtxt").read_text()
    assert '{ name: "image_bytes" data_type: TYPE_STRING dims: [ 1 ] }' in configuration
    assert 'key: "signature" value { string_value: "serve_bytes" }' in configuration


def test_the_newest_version_is_taken_and_the_older_ones_stay(tmp_path):
    for version in (9, 10):
        bytes_model.write(tmp_path / "colours", version)
        paths = write_triton_repository(tmp_path / "colours", tmp_path / "repository", "c", ["serving_default"])
        assert [path.name for path in paths] == [str(version)]
    assert sorted(os.listdir(tmp_path / "repository" / "c")) == ["10", "9", "config.pbtxt"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"export": "."}, "`export` must hold a SavedModel in a directory whose name is a number. Received: "),
        ({"export": "missing"}, "`export` must hold a SavedModel"),
        ({"name": "a/b"}, "`name` must be made of letters, digits and _ . -. Received: name='a/b'"),
        ({"max_batch_size": 0}, "`max_batch_size` must be a positive int. Received: max_batch_size=0"),
        ({"max_delay": -1}, "`max_delay` must be finite seconds. Received: max_delay=-1"),
        ({"signatures": ["regress"]}, "`export` must have signature regress. Received: "),
        ({"signatures": []}, "`export` must have signature serving_default, serve_bytes"),
        ({"repository": None}, "`repository` must not hold this version yet. Received: "),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(folders, options, text, tmp_path):
    export, _, repository = folders
    arguments = {"export": export, "repository": tmp_path / "repository", **options}
    if options.get("export"):
        arguments["export"] = tmp_path / options["export"]
    if "repository" in options:
        arguments["repository"] = repository
    with pytest.raises(ValueError) as error:
        write_triton_repository(**arguments)
    assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_version(folders, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr("keras_resunits.serving.triton.shutil.copyfile", full)
    with pytest.raises(OSError, match="no space left"):
        write_triton_repository(folders[0], tmp_path, "digits")
    assert list((tmp_path / "digits").iterdir()) == []


@pytest.fixture(scope="module")
def server(folders, tmp_path_factory):
    with triton_server.started(folders[2], tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(params=["rest", "grpc"])
def url(request, server):
    return getattr(server, request.param)


def answers(version, inputs, signature="serving_default"):
    """The answers of a session, in Triton's shapes: a row has no scalars."""
    loaded = Loaded(version)
    outputs = loaded.run(signature, inputs)
    loaded.close()
    return {name: array.reshape(len(array), -1) for name, array in outputs.items()}


@pytest.mark.peers
def test_triton_answers_as_the_session(folders, url):
    with Client(url, "digits", protocol="kserve") as client:
        assert client.status() == [Version("1", "AVAILABLE")]
        for batch in (1, 3, 64):
            pixels = images(batch, batch)
            assert same(client.predict(pixels), answers(folders[0], {"images": pixels}), rtol=1e-5)


@pytest.mark.peers
def test_triton_takes_the_bytes_of_pictures(folders, url, tmp_path):
    content = [picture(tmp_path / "red.png").read_bytes(), b"no picture", b""]
    with Client(url, "colours_serve_bytes", protocol="kserve") as client:
        found = client.predict(content)
    wanted = answers(folders[1], {"image_bytes": np.array(content, dtype=object)}, "serve_bytes")
    assert same(found, wanted, rtol=1e-5)
    assert found["status"].tolist() == [[0], [2], [2]]


@pytest.mark.peers
@pytest.mark.parametrize("model", ["colours", "colours_serve_bytes"])
def test_the_command_writes_tritons_answers(url, model, tmp_path, capsys):
    for at, colour in enumerate(["red", "green"]):
        picture(tmp_path / f"{at}.png", colour)
    (tmp_path / "2.png").write_bytes(b"no picture")
    assert main(["predict", url, model, str(tmp_path), "--protocol=kserve", "--top=1"]) == 2
    out, err = capsys.readouterr()
    assert [line.split(",")[1:4:2] for line in out.splitlines()[1:]] == [
        ["ok", "red"],
        ["ok", "green"],
        ["bad_image", ""],
    ]
    assert err.count("\n") == 1 and "1 of 3 pictures have no answer" in err


@pytest.mark.peers
def test_what_triton_does_not_have_is_one_line(url):
    for options, text in (({"model": "letters"}, "unknown model"), ({"model": "digits", "version": 7}, "version")):
        with Client(url, protocol="kserve", **options) as client, pytest.raises(Refused, match=text):
            client.predict(images(1))
    with Client(url, "digits", protocol="kserve") as client, pytest.raises(Refused, match="batch-size must be <= 64"):
        client.predict(images(65))


@pytest.mark.peers
def test_a_thousand_mixed_requests_to_triton(folders, server, capsys):
    """Right and corrupt requests of 16 clients, which Triton batches together."""
    cases = [images(1 + seed % 4, seed) for seed in range(8)]
    wanted = [answers(folders[0], {"images": case}) for case in cases]
    urls = (server.rest, server.grpc)
    results = run(lambda number: Client(urls[number % 2], "digits", protocol="kserve"), cases, 1000)
    with capsys.disabled():
        print(f"\nTriton, {summary(results)}")
    require_right(results, wanted, rtol=1e-5)
    (stats,) = json.load(urllib.request.urlopen(f"{server.rest}/v2/models/digits/stats"))["model_stats"]
    assert stats["execution_count"] < stats["inference_stats"]["success"]["count"]  # some were batched together
    with Client(server.grpc, "digits", protocol="kserve") as client:
        assert same(client.predict(cases[0]), wanted[0], rtol=1e-5)


@pytest.mark.peers
def test_a_request_that_fails_fails_no_other_of_its_batch(server, tmp_path):
    """The small model cannot answer a picture of another size, and Triton batches it with others."""
    good, bad = picture(tmp_path / "a.png").read_bytes(), picture(tmp_path / "b.png", size=(5, 5)).read_bytes()
    connect = lambda number: Client(server.grpc, "colours_serve_bytes", protocol="kserve")  # noqa: E731
    results = run(connect, [[good], [bad], [good]], 96, kinds=("right",))
    assert [isinstance(each.answer, Refused) for each in results] == [each.case == 1 for each in results]


@pytest.mark.peers
@pytest.mark.long
def test_triton_swaps_a_version_under_load_without_a_failed_request(tmp_path, capsys):
    versions = [bytes_model.write(tmp_path / "colours", number, sharpness=number) for number in (1, 2)]
    repository, shape = tmp_path / "repository", (bytes_model.SIDE, bytes_model.SIDE, 3)
    cases = [images(1 + seed % 4, seed, shape) for seed in range(8)]
    wanted = [[answers(version, {"images": case}) for case in cases] for version in versions]
    write_triton_repository(versions[0], repository, signatures=["serving_default"])
    with triton_server.started(repository, tmp_path, "--model-control-mode=poll", "--repository-poll-secs=1") as server:
        swap = threading.Timer(
            1, write_triton_repository, (versions[1], repository), {"signatures": ["serving_default"]}
        )
        swap.start()
        urls, results = (server.rest, server.grpc), []
        while not (results and same(results[-1].answer, wanted[1][results[-1].case], rtol=1e-5)):
            results += run(
                lambda number: Client(urls[number % 2], "colours", protocol="kserve"), cases, 160, kinds=("right",)
            )
        swap.join()
    with capsys.disabled():
        print(f"\nTriton, {summary(results)}")
    assert all(any(same(each.answer, its[each.case], rtol=1e-5) for its in wanted) for each in results)
    assert same(results[0].answer, wanted[0][results[0].case], rtol=1e-5)
