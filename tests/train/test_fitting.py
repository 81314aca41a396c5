"""`fit`: the training program as a function."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from train import Fitted, fit
from train.fitting import _guarded
from train.process.errors import BadInput
from train.process.startup import FRUITLESS

FAST = {"depth": 8, "epochs": 1, "batch_size": 64}


@pytest.fixture(scope="module")
def arrays():
    digits = load_digits()
    images = (digits.images[..., None] * 15).astype("uint8")
    return (images[:512], digits.target[:512]), (images[512:768], digits.target[512:768])


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory):
    train, test = arrays
    return fit(train, test=test, output=tmp_path_factory.mktemp("fit"), run="mine", **FAST)


def test_a_run_of_arrays_has_history_model_and_figure(run, arrays):
    assert run.history["epoch"] == [1]
    assert isinstance(run.plot(), Figure)
    found = run.predict(arrays[1][0])
    assert found.shape == (256, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    accuracy = np.mean(found.argmax(axis=1) == arrays[1][1])
    assert accuracy == pytest.approx(run.history["val_accuracy"][-1], abs=1 / 256)


def test_a_run_is_read_again_resumed_and_evaluated(run, arrays):
    again = Fitted(run.folder)
    assert again.history == run.history
    longer = fit(
        arrays[0], test=arrays[1], output=run.folder.parents[1], run="mine", resume=True, **FAST | {"epochs": 2}
    )
    assert longer.history["epoch"] == [1, 2]
    assert longer.history["loss"][0] == run.history["loss"][0]
    assert longer.evaluate()["accuracy"] == pytest.approx(longer.history["val_accuracy"][-1])


@pytest.mark.slow
def test_a_run_is_exported_and_the_newest_version_returned(run):
    assert run.export().name == "1"
    assert run.export(top_k=3).name == "2"


def process_state():
    """What `fit` sets for the whole process."""
    options = tf.config.optimizer.get_experimental_options()
    return {
        "policy": keras.config.dtype_policy().name,
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
        "level": tf.get_logger().level,
        "options": {name: options.get(name, True) for name in FRUITLESS},
    }


def test_the_process_is_left_as_it_was(arrays, tmp_path):
    started = process_state()
    keras.config.set_dtype_policy("mixed_bfloat16")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    tf.get_logger().setLevel("DEBUG")
    try:
        tf.config.optimizer.set_experimental_options({FRUITLESS[0]: False, FRUITLESS[1]: True})
        before = process_state()
        with pytest.raises(BadInput, match="larger than the training set"):
            fit(arrays[0], test=arrays[1], output=tmp_path, **FAST | {"batch_size": 4096})
        with _guarded():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            keras.config.set_dtype_policy("float32")
            tf.config.optimizer.set_experimental_options({FRUITLESS[0]: True, FRUITLESS[1]: False})
            assert tf.get_logger().level == logging.WARNING
        assert process_state() == before
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), started["signals"], strict=True):
            signal.signal(number, handler)
        tf.get_logger().setLevel(started["level"])
        tf.config.optimizer.set_experimental_options(started["options"])


def test_the_newest_version_is_the_highest_number(run, tmp_path, monkeypatch):
    for name in ("9", "10", "older"):
        (tmp_path / name).mkdir()
    given = []
    monkeypatch.setattr("train.export.main", lambda arguments: given.append(arguments))
    assert run.export(output=tmp_path, formats=["onnx"]) == tmp_path / "10"
    assert given[0].formats == ["onnx"] and Path(given[0].output) == tmp_path


def test_nothing_is_exported_unless_asked_for(run):
    assert not (run.folder.parents[1] / "saved_models").exists()


def test_an_unknown_option_names_the_nearest(tmp_path):
    with pytest.raises(TypeError, match=r"fit\(\) has no option 'depht'\. .*depth"):
        fit("digits", depht=8, output=tmp_path)


def test_arrays_and_paths_are_not_mixed(arrays, tmp_path):
    with pytest.raises(BadInput, match="require arrays as `dataset`; got dataset='digits'"):
        fit("digits", test=arrays[1], output=tmp_path)


def test_what_is_neither_a_name_nor_a_pair_is_refused(arrays, tmp_path):
    (images, labels), _ = arrays
    for dataset, wrong in (
        ((images, labels, labels), r"dataset must be a path, a name, or a pair \(images, labels\); got tuple of 3"),
        (images, "got ndarray"),
        (None, "got NoneType"),
        (([images[0], images[1][:5]], [0, 1]), "train images must have one shape: "),
        ((images, np.array([object()] * len(images))), "train labels must be numbers; got objects such as object"),
        ((images, labels.astype(str).astype(object)), r"train labels must be integers \[n\]; got <U1 .* np\.unique"),
    ):
        with pytest.raises(BadInput, match=wrong) as error:
            fit(dataset, validation=0.25, output=tmp_path, **FAST)
        assert len(str(error.value)) < 400


def test_arrays_to_evaluate_are_refused(run, arrays):
    with pytest.raises(BadInput, match=r"^data must be a path or a name; got tuple\. Save arrays in an \.npz file\."):
        run.evaluate(arrays[1])


def test_integers_that_are_objects_are_labels(arrays, tmp_path):
    """As pandas keeps them in a column of several types."""
    (images, labels), _ = arrays
    fit((list(images), labels.astype(object)), validation=0.25, output=tmp_path, run="objects", **FAST)
    fit((images, labels), validation=0.25, output=tmp_path, run="integers", **FAST)
    kept = [Fitted(tmp_path / "runs" / name).history["loss"] for name in ("objects", "integers")]
    assert kept[0] == kept[1] and len(list((tmp_path / "arrays").iterdir())) == 1


def test_errors_speak_of_keywords(run, arrays, tmp_path, capsys):
    for options, wrong in (
        ({"learning_rate": -1.0}, r"^learning_rate must be > 0"),
        ({"depth": 8, "initial_model": "net.pth"}, r"^depth=8 has no effect with initial_model"),
        ({"freeze": "stam", "depth": 8}, r"^freeze: 'stam' fits no part of the network"),
        ({"run": run.folder.name, "output": run.folder.parents[1]}, r"pass resume=True to continue it"),
    ):
        with pytest.raises(BadInput, match=wrong) as error:
            fit(*arrays[:1], test=arrays[1], **{"output": tmp_path, **options})
        assert "--" not in str(error.value)
    with pytest.raises(BadInput, match=r"^argument split: invalid choice: 'dev' .*\)\.$"):
        run.evaluate(split="dev")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"is not the folder of a run: it has no config\.json"):
        Fitted(tmp_path)


def test_one_option_does_not_reach_the_next_call(run, tmp_path, arrays):
    with pytest.raises(BadInput, match="already exists"):
        fit(arrays[0], test=arrays[1], output=run.folder.parents[1], run="mine")
    plain = fit(arrays[0], test=arrays[1], output=tmp_path, **FAST)
    assert plain.folder.name.startswith("arrays-")


def test_arrays_alone_are_divided_by_validation(arrays, tmp_path):
    (images, labels), _ = arrays
    with pytest.raises(BadInput, match=r"lacks x_test, y_test.*or hold out training images by validation=0\.2"):
        fit((images, labels), output=tmp_path, **FAST)
    run = fit((images, labels), validation=0.25, output=tmp_path, **FAST)
    held = run.evaluate()["images"]
    assert 0.2 < held / len(images) < 0.3
