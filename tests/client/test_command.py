"""The command: csv, exit codes, and one line for each mistake."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import keras_resunits.serving.client as serving
from keras_resunits_client import Client, ClientError, Retries, Signature, Tensor
from keras_resunits_client.__main__ import EXAMPLES, NAME, main, parse
from keras_resunits_client.sending import Sender
from tests.client.conftest import WAYS, images, picture
from tests.support.paths import ROOT
from tests.support.serving import answers_tf1

COLOURS = {"red": (200, 10, 20), "green": (0, 200, 9), "blue é": (7, 0, 200)}


@pytest.fixture
def photos(tmp_path):
    """A folder with a picture of each colour."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for at, (name, colour) in enumerate(COLOURS.items()):
        picture(folder / f"{at} {name}.png", colour)
    return folder


def rows(path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def one_line(capsys) -> str:
    """What was printed to standard error: one line."""
    err = capsys.readouterr().err
    assert err.startswith("client: ") and err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.fixture(params=["serve_bytes", "serving_default"])
def command(request, way, bytes_server):
    """`predict URL MODEL` for each way to ask, and both signatures for pictures."""
    signature = [f"--signature={request.param}"]
    model = "colours"
    if way.protocol == "kserve":
        model, signature = ("colours_serve_bytes" if request.param == "serve_bytes" else model), []
    return ["predict", getattr(bytes_server, way.kind), model, f"--protocol={way.protocol}", *signature]


def test_a_folder_becomes_a_csv(command, photos, tmp_path, capsys):
    assert main([*command, str(photos), f"--out={tmp_path / 'out.csv'}", "--batch=2", "--top=2"]) == 0
    found = rows(tmp_path / "out.csv")
    assert [row["file"] for row in found] == sorted(str(path) for path in photos.iterdir())
    assert [row["class_1"] for row in found] == list(COLOURS)
    assert list(found[0]) == ["file", "status", "error", "class_1", "score_1", "class_2", "score_2"]
    assert all(row["status"] == "ok" and 0.5 < float(row["score_1"]) < 1 for row in found)
    assert capsys.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "photos"]


def test_an_unreadable_picture_is_a_row_and_a_line_and_its_neighbours_are_answered(command, photos, tmp_path, capsys):
    (photos / "0a.png").write_bytes(b"no picture")
    assert main([*command, str(photos), f"--out={tmp_path / 'out.csv'}"]) == 2
    assert f"1 of 4 pictures have no answer; the first is {photos / '0a.png'}: bad_image: " in one_line(capsys)
    found = {row["file"]: row for row in rows(tmp_path / "out.csv")}
    bad = found.pop(str(photos / "0a.png"))
    assert bad["status"] == "bad_image" and bad["error"] and not bad["class_1"]
    assert [row["class_1"] for row in found.values()] == list(COLOURS)


def test_without_out_the_csv_is_printed(bytes_server, photos, capsys):
    assert main(["predict", bytes_server.grpc, "colours", str(photos / "0 red.png"), "--top=1"]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[0] == "file,status,error,class_1,score_1"
    assert out.splitlines()[1].startswith(f"{photos / '0 red.png'},ok,,red,0.")


def test_pictures_of_another_size_are_resized_to_the_networks(server, export, tmp_path):
    Image.fromarray(images(1)[0]).save(tmp_path / "same.png")
    Image.fromarray(images(1)[0]).resize((24, 16), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    with Client(server.rest, "digits") as client:
        large, same = client.answers([tmp_path])
    wanted = answers_tf1(export / "1", images(1))
    assert same.scores == tuple(wanted["scores"][0].tolist())
    assert list(same.classes) == [name.decode() for name in wanted["classes"][0]]
    assert (large.status, len(large.classes)) == ("ok", 3)


def test_status_and_metadata_are_printed(server, capsys):
    assert main(["status", server.grpc, "digits"]) == 0
    assert capsys.readouterr().out == "digits 1 AVAILABLE\n"
    assert main(["metadata", server.rest, "digits"]) == 0
    first, *signatures = capsys.readouterr().out.splitlines()
    assert first == "model digits, version 1"
    at = signatures.index("serving_default")
    assert signatures[at : at + 5] == [
        "serving_default",
        "  <- images: uint8 [any, 8, 8, 3]",
        "  -> classes: string [any, 3]",
        "  -> probabilities: float32 [any, 5]",
        "  -> scores: float32 [any, 3]",
    ]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["here:8501", "colours"], "expected http[s]://HOST[:PORT] or grpc[s]://HOST:PORT; got 'here:8501'"),
        (["DOWN", "colours"], "refused"),
        (["REST", "other"], "404 Not Found: Servable not found for request: Latest(other, None)"),
        (["GRPC", "other"], "NOT_FOUND: Servable not found for request: Latest(other, None)"),
        (["REST", "colours", "--version=9"], "Specific(colours, 9)"),
        (
            ["REST", "colours", "--signature=classify"],
            "expected signature classify; it has serve_bytes, serving_default",
        ),
        (["REST", "colours", "--protocol=kserve", "--signature=x"], "KServe v2 has no signatures; got 'x'"),
        (["REST", "colours", "EMPTY"], "the folder holds no picture"),
        (["REST", "colours", "MISSING"], "there is no such file or folder"),
        (["REST", "colours", "--out=MISSING/out.csv"], "cannot be written: No such file or directory"),
        (["REST", "colours", "--out=EMPTY"], "cannot be written: it is a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments, text, bytes_server, photos, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = {"DOWN": f"http://127.0.0.1:{free_port()}", "REST": bytes_server.rest, "GRPC": bytes_server.grpc,
             "EMPTY": str(tmp_path / "empty"), "MISSING": str(tmp_path / "missing")}  # fmt: skip
    url, model, *rest = [
        next((each.replace(word, value) for word, value in words.items() if word in each), each) for each in arguments
    ]
    paths = [] if any(not each.startswith("--") for each in rest) else [str(photos)]
    out = [] if any(each.startswith("--out") for each in rest) else [f"--out={tmp_path / 'out.csv'}"]
    assert main(["predict", url, model, *paths, *rest, *out, "--attempts=2"]) == 2
    assert text in one_line(capsys)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.parent != photos) == ["empty", "photos"]


@pytest.mark.parametrize("argument", ["--batch=0", "--deadline=-1", "--deadline=nan", "--attempts=x", "--label=a"])
def test_wrong_arguments_are_refused(argument, capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", "http://localhost:1", "m", "p", argument, "--version=1"])
    assert end.value.code == 2
    assert argument.partition("=")[0] in capsys.readouterr().err


def test_a_signature_that_takes_no_pictures_is_refused(server, tmp_path):
    """One of float32 tensors is for the library; so is one without classes."""
    outputs = {"classes": Tensor("string", (-1, 3)), "scores": Tensor("float32", (-1, 3))}
    tensors = Signature({"images": Tensor("float32", (-1, 8, 8, 3))}, outputs)
    with pytest.raises(ClientError, match=r"serve_tensors takes 'images' float32 \[any, 8, 8, 3\]; pictures require"):
        Sender(lambda inputs: {}, "serve_tensors", tensors)
    features = Signature({"images": Tensor("uint8", (-1, 8, 8, 3))}, {"features": Tensor("float32", (-1, 64))})
    with pytest.raises(ClientError, match="features returns no classes and no scores"):
        Sender(lambda inputs: {}, "features", features)


def test_rows_that_the_server_refuses_are_told_from_the_rest(bytes_server, photos, tmp_path, capsys):
    """A picture of another size fails the small model's whole batch: its rows say so, the others are answered."""
    picture(photos / "9.png", size=(5, 5))
    arguments = ["predict", bytes_server.grpc, "colours", str(photos), "--batch=3"]
    assert main([*arguments, f"--out={tmp_path / 'out.csv'}"]) == 2
    assert "9.png: refused: 127.0.0.1" in one_line(capsys)
    assert [row["status"] for row in rows(tmp_path / "out.csv")] == ["ok", "ok", "ok", "refused"]


def test_a_server_that_goes_away_ends_the_requests_and_every_picture_has_a_row(bytes_server, photos, tmp_path):
    for at in range(40):
        shutil.copy(photos / "0 red.png", photos / f"{at:02}.png")
    with Client(bytes_server.rest, "colours", retries=Retries(attempts=1)) as client:
        answers = client.answers([photos], batch=1, workers=1)
        first = next(answers)
        bytes_server.faults.append("UNAVAILABLE")
        rest = list(answers)
    assert first.status == "ok" and not bytes_server.faults
    statuses = [answer.status for answer in rest]
    down = statuses.index("unavailable")
    assert set(statuses[:down]) <= {"ok"} and set(statuses[down:]) == {"unavailable"} and len(rest) == 42
    assert rest[-1].error == "not sent: the server was unavailable before"


def test_a_slow_batch_is_a_row_of_its_own(bytes_server, photos, monkeypatch):
    with Client(bytes_server.grpc, "colours", retries=Retries(deadline=0.3)) as client:
        client.signatures  # noqa: B018
        monkeypatch.setattr(bytes_server, "pause", 0.6)
        assert [answer.status for answer in client.answers([photos])] == ["deadline"] * 3


def test_answers_are_in_order_whatever_the_number_of_workers(bytes_server, photos):
    names = list(COLOURS)
    wanted = [names[n] for n in np.random.default_rng(0).integers(0, 3, 60)]
    for at, name in enumerate(wanted):
        picture(photos / f"{at:03}.png", COLOURS[name])
    for way in WAYS[:2]:
        with way.client(bytes_server, "colours") as client:
            found = list(client.answers(sorted(photos.glob("0??.png")), batch=4, workers=8))
            assert [answer.classes[0] for answer in found] == wanted


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"workers": 0}])
def test_counts_are_positive(wrong, server, tmp_path):
    with Client(server.rest, "digits") as client, pytest.raises(ValueError, match=next(iter(wrong))):
        client.answers([tmp_path], **wrong)


def test_the_client_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys, keras_resunits_client.connecting as c, keras_resunits_client.pictures\n"
        "for url in ('http://h:1', 'grpc://h:1'): c.connect(url, 'kserve'); c.connect(url, 'tensorflow')\n"
        "print(sorted({'keras', 'tensorflow', 'keras_resunits', 'jax', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_the_same_names_are_in_serving():
    assert serving.Client is Client and serving.entry.__module__ == "keras_resunits_client.__main__"


GUIDE = (ROOT / "docs" / "guide" / "serving.md").read_text()


@pytest.mark.parametrize("line", re.findall(rf"^ +{NAME} (.*)$", EXAMPLES + GUIDE, re.MULTILINE))
def test_documented_command_lines_are_understood(line):
    assert parse(shlex.split(line)).model == "digits"


def test_the_guides_example_runs_against_a_server(bytes_server, photos, monkeypatch, capsys):
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "import Client" in block]
    assert len([line for line in code.splitlines() if line]) <= 10
    monkeypatch.chdir(photos.parent)
    exec(code.replace("http://localhost:8501", bytes_server.rest).replace('"digits"', '"colours"'), {})
    wanted = [f"photos/{at} {name}.png ok {name}" for at, name in enumerate(COLOURS)]
    assert capsys.readouterr().out.splitlines() == wanted


def test_arguments_that_are_wrong_are_one_line(capsys):
    for arguments, line in (
        (["predict", "http://h:1"], "the following arguments are required: MODEL, PATH"),
        (["status", "http://h:1", "digits", "--attempts=0"], "argument --attempts: expected at least 1; got 0"),
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert one_line(capsys) == f"client: {line}; see --help.\n"
