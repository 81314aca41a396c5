"""The benchmark of an exported version, and its command."""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import keras_resunits as kr
from keras_resunits.serving.benchmark import SERVER, Benchmark, Runtime, Timed, _by_turns, benchmark
from train.benchmark import entry


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return kr.export_saved_model(kr.ResNet([1, 1, 1], (8, 8, 3)), tmp_path_factory.mktemp("model"))


@pytest.mark.slow
def test_the_command_prints_a_table_and_draws_it(version, tmp_path, capsys):
    plot = tmp_path / "speed.png"
    arguments = [str(version.parent), "--batches=1,3", "--rounds=2", "--requests=2", f"--plot={plot}"]
    assert entry.run(arguments) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("savedmodel")][1:] == [
        ["savedmodel", "1"],
        ["savedmodel", "3"],
    ]
    assert "fastest at batch 3: savedmodel\n" in out and out.endswith(f"plot          {plot}\n")
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_format_that_this_machine_does_not_run_is_named(version, monkeypatch):
    path = version / "metadata.json"
    metadata = json.loads(path.read_text())
    monkeypatch.setattr("keras_resunits.serving.benchmark._metadata", lambda _: {**metadata, "formats": {"onnx": {}}})
    monkeypatch.setattr("keras_resunits.serving.benchmark.find_spec", lambda name: None)
    found = benchmark(version, [2], rounds=1, requests=1)
    assert found.missing == {"onnx": ["tf2onnx", "onnx", "onnxruntime"]}
    assert str(found).endswith("not measured: onnx (no tf2onnx, onnx, onnxruntime)")


@pytest.mark.slow
def test_a_batch_that_is_given_twice_is_measured_once(version):
    found = benchmark(version, [2, 1, 2], rounds=1, requests=1)
    assert [each.batch for each in found.timed] == [2, 1]
    assert str(found).endswith("fastest at batch 2: savedmodel\nfastest at batch 1: savedmodel")


@pytest.mark.peers
def test_a_file_that_is_gone_is_named(version, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    metadata = json.loads((version / "metadata.json").read_text())
    gone = {"formats": {"openvino": {"file": "formats/model.xml", "agreement": 1.0}}}
    monkeypatch.setattr("keras_resunits.serving.benchmark._metadata", lambda _: {**metadata, **gone})
    with pytest.raises(ValueError, match=r"1 lacks formats/model\.xml, which its metadata\.json names"):
        benchmark(version, [1], rounds=1, requests=1)


def test_the_fastest_is_recommended_by_batch():
    timed = [
        Timed(SERVER, 1, [2.0, 4.0, 2.0]),
        Timed("onnx", 1, [1.0] * 3),
        Timed(SERVER, 8, [1.0]),
        Timed("onnx", 8, [2.0]),
    ]
    runtimes = [Runtime(SERVER, 10**6, lambda: np.asarray), Runtime("onnx", 10**6, lambda: np.asarray, 0.875)]
    found = Benchmark(runtimes, {SERVER: 0.25, "onnx": 0.5}, timed, {})
    assert (timed[0].median, timed[0].rate, timed[2].rate) == (2.0, 0.5, 8.0)
    assert timed[0].slow == pytest.approx(3.96)
    lines = str(found).splitlines()
    assert lines[2] == "onnx               1.0 MB   0.50 s      87.5%"
    assert lines[5] == "savedmodel          1  2000.00 ms  3960.00 ms          0"
    assert lines[8] == "onnx                8  2000.00 ms  2000.00 ms          4"
    assert lines[-2:] == ["fastest at batch 1: onnx, 2.00 times the SavedModel", "fastest at batch 8: savedmodel"]
    ax = found.plot()
    FigureCanvasAgg(ax.figure).draw()
    assert [line.get_label() for line in ax.lines] == [SERVER, "onnx"]
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, 0.5], [8, 8.0]], [[1, 1.0], [8, 4.0]]]
    assert [(label.get_text(), tick) for label, tick in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)] == [
        ("1", 1),
        ("8", 8),
    ]
    assert ax.get_xticks(minor=True).size == 0 and ax.figure.get_size_inches().tolist() == [6.4, 4.0]
    assert not ax.get_legend().get_frame_on() and ax.get_xgridlines()[0].get_alpha() == 0.3
    assert found.plot(ax) is ax


def test_runtimes_take_turns_and_the_first_requests_are_not_timed():
    asked = []
    answers = {name: lambda images, name=name: asked.append((name, len(images))) for name in ("one", "other")}
    seconds = _by_turns(answers, np.zeros((4, 2)), rounds=2, requests=3)
    turns = [("one", 4)] * 2 + [("other", 4)] * 2 + ([("one", 4)] * 3 + [("other", 4)] * 3) * 2
    assert asked == turns
    assert {name: len(each) for name, each in seconds.items()} == {"one": 6, "other": 6}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nowhere",), "nowhere: there is no such folder."),
        ((".", "--batches=0"), "argument --batches: expected an integer above 0"),
        ((".",), "is no version that `export_saved_model` wrote"),
        ((".", "--plot=nowhere/a.png"), "--plot=nowhere/a.png: there is no folder nowhere."),
    ],
)
def test_a_mistake_is_one_line(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry.run(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmark: ") and line in error and error.count("\n") == 1


def test_the_newest_version_is_measured_as_asked(tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("keras_resunits.serving.benchmark.benchmark", lambda *asked: given.append(asked))
    assert entry.run([str(tmp_path)]) == 0
    for version in ("2", "9", "10"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    assert entry.run([str(tmp_path), "--batches=2,4", "--rounds=3", "--requests=6"]) == 0
    assert given == [(tmp_path, [1, 8, 32], 5, 10), (tmp_path / "10", [2, 4], 3, 6)]
