"""What a run records while it trains."""

from __future__ import annotations

import io
import re
import shutil
import sys
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import CoupledSGD, GatedResNet, scalar_gates
from tests.support.sittings import here
from train.data.augmentation import Augmentation
from train.data.datasets import ImageData
from train.data.feeding import Feed
from train.process.errors import BadInput
from train.run import recorders as module
from train.run.checkpoints import Checkpoints
from train.run.folder import Run
from train.run.history import read_history
from train.run.recorders import (
    Curves,
    Gates,
    History,
    Progress,
    Records,
    clock,
    forgiving,
    gate_recorder,
    own_callbacks,
    peak_memory,
    recorders,
)
from train.run.session import Plan, Session
from train.step.trainer import Trainer

COLUMNS = {"learning_rate", "gradient_norm", "images_per_second", "memory_gb"}


def fitted(tmp_path, files, optimizer, epochs=2, steps=3, accumulate=None):
    """`(history, Trainer)` of a linear network, with the callbacks of a run."""
    keras.utils.set_random_seed(0)
    arrays = files.arrays(train=12, shape=(4, 4, 1))
    images = keras.Input((4, 4, 1))
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), optimizer)
    callbacks = [
        Records(batch_size=4),
        History(tmp_path / "history.csv"),
        keras.callbacks.TensorBoard(tmp_path / "tensorboard", write_graph=False),
    ]
    train = (arrays["x_train"], arrays["y_train"])
    feed = Feed(ImageData(train, train, ["0", "1"]), 4, Augmentation(), seed=0)
    checkpoints = Checkpoints(tmp_path / "checkpoints", model, optimizer)
    Session(trainer, feed, checkpoints, Plan(epochs, steps), here(), callbacks).run()
    return read_history(tmp_path / "history.csv"), trainer


def test_rate_norm_speed_and_memory_are_in_the_history(tmp_path, files):
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.5, 0.25, 0.125])
    history, _ = fitted(tmp_path, files, CoupledSGD(rate))
    assert set(history) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", *COLUMNS}
    assert history["learning_rate"] == [0.5, 0.125]  # of step 2 and of step 5, the last of each epoch
    assert all(0 < rate < 1e6 for rate in history["images_per_second"])
    assert all(0.05 < gigabytes < 1000 for gigabytes in history["memory_gb"])


def test_the_gradients_norm_is_that_of_the_epochs_last_step(tmp_path, files):
    norms = []

    class Watched(CoupledSGD):
        """Records the norm that NumPy computes."""

        def apply(self, grads, trainable_variables=None):
            tf.py_function(lambda *g: norms.append(np.sqrt(sum((each.numpy() ** 2).sum() for each in g))), grads, [])
            super().apply(grads, trainable_variables)

    history, _ = fitted(tmp_path, files, Watched(0.1))
    np.testing.assert_allclose(history["gradient_norm"], norms[2::3], rtol=1e-5)


def test_an_optimiser_without_a_norm_leaves_the_column_out(tmp_path, files):
    history, _ = fitted(tmp_path, files, keras.optimizers.SGD(0.1))
    assert COLUMNS - set(history) == {"gradient_norm"}


def test_tensorboard_gets_what_the_history_has(tmp_path, files):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history, _ = fitted(tmp_path, files, CoupledSGD(0.1))
    for split, names in (("train", COLUMNS | {"loss", "accuracy"}), ("validation", {"loss", "accuracy"})):
        events = EventAccumulator(str(tmp_path / "tensorboard" / split)).Reload()
        for name in names:
            values = [tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors(f"epoch_{name}")]
            column = name if split == "train" else f"val_{name}"
            np.testing.assert_allclose(values, history[column], rtol=1e-5)


@pytest.mark.slow
def test_the_records_of_a_whole_run_with_averages_and_accumulation(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=32))
    line = f"--dataset={data} --depth=8 --batch_size=8 --output={tmp_path} --run=mine --ema=0.9 --accumulate=2"
    line += " --clip_norm=1 --schedule=one_cycle --precision=mixed_float16"
    outcome = command(*line.split(), "--epochs=2")
    assert (outcome.code, outcome.said) == (0, []), outcome.err
    history = read_history(tmp_path / "runs" / "mine" / "history.csv")
    assert set(history) > COLUMNS | {"val_ema_loss", "val_ema_accuracy"}
    assert np.isfinite(list(history.values())).all()
    assert history["val_ema_loss"] != history["val_loss"]
    averaged = f"{history['val_ema_accuracy'][-1]:.2%}"
    assert f"test accuracy {history['val_accuracy'][-1]:.2%} ({averaged} averaged: exported)\n" in outcome.out
    resumed = command(*line.split(), "--epochs=3", "--resume", "--noexport")
    stretched = "train: --epochs=3 instead of 2: the schedule is stretched accordingly."
    assert (resumed.code, resumed.said) == (0, [stretched]), resumed.err
    assert read_history(tmp_path / "runs" / "mine" / "history.csv")["epoch"] == [1, 2, 3]
    shorter = command(*line.split(), "--epochs=1", "--resume", "--noexport")
    assert (shorter.code, shorter.said) == (2, ["train: --epochs=1, but the run to resume has already done 3."])


class Clock:
    """Stands for `time`: its seconds are set by the test."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock_of_the_test(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_the_speed_is_that_of_training_and_the_memory_that_of_the_process(clock_of_the_test, monkeypatch):
    records, logs = Records(batch_size=4), {}
    records.on_epoch_begin(0)
    for batch in range(3):
        records.on_train_batch_end(batch)
    clock_of_the_test.now += 5
    records.on_test_begin()
    clock_of_the_test.now += 100  # the test's time does not count
    records.on_epoch_end(0, logs)
    assert logs["images_per_second"] == 3 * 4 / 5
    assert logs["memory_gb"] * 1e9 == pytest.approx(peak_memory(), rel=0.01)
    monkeypatch.setattr("sys.platform", "darwin")
    bytes_there = peak_memory()
    monkeypatch.setattr("sys.platform", "linux")
    assert peak_memory() == pytest.approx(1024 * bytes_there, rel=1e-4)


EPOCH = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 0.5, "images_per_second": 1234.4}


@pytest.mark.parametrize("notebook", [False, True])
def test_the_console_shows_a_bar_in_notebooks_and_at_once_a_line_for_each_epoch(
    clock_of_the_test, monkeypatch, notebook
):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="utf-8"))  # a log file: nothing flushes it
    progress = Progress(epochs=12, first_epoch=2, steps=250, batch_size=8, watched="validation")
    progress.on_train_begin()
    progress.on_epoch_begin(3)
    progress.on_train_batch_end(0)
    progress.on_train_batch_end(1, {"loss": 0.5})
    assert progress.bar.disable != notebook
    progress.bar.refresh()
    clock_of_the_test.now += 30
    progress.on_epoch_end(3, EPOCH | {"val_ema_accuracy": 0.625})
    line = (
        "epoch  4/12  loss 0.5000  accuracy 75.00%  validation loss 0.2500  validation accuracy 50.00%"
        "  averaged 62.50%  1,234 img/s  2:00 left\n"  # two epochs took 30 s, and eight are left
    )
    text = shown.getvalue().decode()
    assert text.endswith(line)
    assert re.search(r"epoch 4/12: .* 16\.0/2\.00k .*img/s, loss=0\.500\]", text) if notebook else text == line
    progress.on_epoch_end(11, EPOCH)
    assert shown.getvalue().decode().splitlines()[-1].endswith("accuracy 50.00%  1,234 img/s  0:00 left")


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_run_that_resumes_appends_to_its_records(tmp_path, first):
    run = Run(tmp_path, "mine")
    run.claim()
    made = recorders(run, Plan(epochs=3, steps=5), batch_size=4, first_epoch=first)
    assert [each.append for each in (made[1], gate_recorder(run, first))] == [first > 0] * 2
    assert not made[2].write_graph  # which takes longer than an epoch of a small network


def test_curves_are_drawn_of_at_least_one_epoch(tmp_path):
    run = Run(tmp_path, "mine")
    run.claim()
    for rows in ("", "1,0.5,0.5,0.5,0.5\n"):
        run.history.write_text(f"epoch,loss,accuracy,val_loss,val_accuracy\n{rows}")
        Curves(run.history, run.curves).on_train_end()
        assert run.curves.exists() == bool(rows)


def test_callbacks_of_the_users_are_keras_own_kind():
    one = keras.callbacks.Callback()
    assert (own_callbacks(None), own_callbacks([one])) == ([], [one])
    with pytest.raises(BadInput, match=r"^--callbacks must be Keras callbacks; got 'no callback'\."):
        own_callbacks([one, "no callback"])


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3599.5, "1:00:00")])
def test_times_are_printed_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_resumed_history_keeps_its_columns_whatever_is_measured(tmp_path):
    here, there = {"loss": 2.0, "memory_gb": 1.0, "val_loss": 4.0}, {"gpu_memory_gb": 7.0, "loss": 1.0, "val_loss": 3.0}
    for epoch, logs in enumerate((here, there)):
        history = History(tmp_path / "history.csv", append=epoch > 0)
        history.on_train_begin()
        history.on_epoch_end(epoch, logs)
        history.on_train_end()
    found = read_history(tmp_path / "history.csv")
    assert found.pop("memory_gb")[0] == 1.0
    assert found == {"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "val_loss": [4.0, 3.0]}


@pytest.mark.parametrize("first", [0, 1])
def test_a_history_keeps_the_count_that_it_began_with(tmp_path, first, capsys):
    run = Run(tmp_path, "mine")
    run.claim()
    rows = [f"{first + epoch},0.5" for epoch in range(3)]
    run.history.write_text("\n".join(["epoch,loss", *rows]) + "\n")
    recorders(run, Plan(epochs=4, steps=5), batch_size=4, first_epoch=2)  # the third epoch has no checkpoint
    assert capsys.readouterr().err == ""
    history = History(run.history, append=True)
    history.on_train_begin()
    for epoch in (2, 3):
        history.on_epoch_end(epoch, {"loss": 0.25})
    history.on_train_end()
    assert [row.split(",")[0] for row in run.history.read_text().split()[1:]] == [str(first + i) for i in range(4)]
    assert read_history(run.history) == {"epoch": [1, 2, 3, 4], "loss": [0.5, 0.5, 0.25, 0.25]}


def test_a_new_history_counts_from_1(tmp_path):
    history = History(tmp_path / "history.csv")
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 0.25, "val_loss": 0.5})
    history.on_train_end()
    assert (tmp_path / "history.csv").read_text().splitlines() == ["epoch,loss,val_loss", "1,0.25,0.5"]


def test_a_row_that_the_disk_has_no_room_for_waits_for_the_next_epoch(capsys):
    history = History("/dev/full")
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 0.5})
    said = "train: /dev/full: No space left on device; trying again after the next epoch.\n"
    assert capsys.readouterr().err == said
    with pytest.raises(OSError, match="No space left"):
        history.on_train_end()


def test_a_lost_history_is_reported(tmp_path, capsys):
    run = Run(tmp_path, "mine")
    run.claim()
    recorders(run, Plan(epochs=3, steps=5), batch_size=4, first_epoch=2)
    assert capsys.readouterr().err.endswith("history.csv has 0 of the 2 epochs done; the others are lost.\n")


@pytest.mark.parametrize(
    "event", ["on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end"]
)
def test_a_disk_that_is_full_at_any_event_ends_no_run(event, capsys):
    def full(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    callback = keras.callbacks.Callback()
    setattr(callback, event, full)
    getattr(forgiving(callback), event)({})
    assert re.fullmatch(r"train: Callback: disk full; the run continues\.\n", capsys.readouterr().err)


def test_gates_are_recorded_by_epoch_in_order_and_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = GatedResNet(depth=8, input_shape=(8, 8, 1))
    first, last = scalar_gates(model)["unit000"][0], scalar_gates(model)["unit002"][0]
    last.k.assign(-1.0)  # closed
    for epoch, value in enumerate((0.5, 0.25)):  # the second one in a resumed run
        recorder = Gates(tmp_path / "gates.csv", tmp_path / "tensorboard", append=epoch > 0)
        recorder.set_model(model)
        recorder.on_train_begin()
        first.k.assign(value)
        recorder.on_epoch_end(epoch, {"loss": 1.0})
        recorder.on_train_end()
    assert (tmp_path / "gates.csv").read_text().split() == [
        "epoch,unit000,unit001,unit002",
        "1,0.5,1.0,0.0",
        "2,0.25,1.0,0.0",
    ]
    events = EventAccumulator(str(tmp_path / "tensorboard" / "gates")).Reload()
    assert events.Tags()["tensors"] == [f"gates/unit00{i}" for i in range(3)]
    scalars = [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors("gates/unit000")]
    assert scalars == [(0, 0.5), (1, 0.25)]


@pytest.mark.slow
def test_a_resumed_run_records_the_gates_of_an_undisturbed_one(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    line = f"--dataset={data} --depth=8 --batch_size=8 --epochs=3 --noexport --output={tmp_path}".split()
    for run in ("whole", "disturbed"):
        assert command(*line, "--model=GatedResNet", f"--run={run}").code == 0
    whole, disturbed = (Run(tmp_path, run) for run in ("whole", "disturbed"))
    history = read_history(whole.gates)
    assert history["epoch"] == [1, 2, 3] and history["unit000"][0] != history["unit000"][2]
    shutil.rmtree(max(disturbed.checkpoints.glob("step-*")))  # the last epoch's, whose row of gates is there
    resumed = command(*line, "--model=GatedResNet", "--run=disturbed", "--resume")
    assert resumed.code == 0 and "epoch 3/3" in resumed.out and "epoch 2/3" not in resumed.out
    assert disturbed.gates.read_bytes() == whole.gates.read_bytes()
    disturbed.gates.unlink()
    later = command(*line, "--model=GatedResNet", "--run=disturbed", "--resume")
    assert later.said == [f"train: {disturbed.gates} has 0 of the 3 epochs done; the others are lost."]
    assert command(*line, "--run=without").code == 0
    assert not Run(tmp_path, "without").gates.exists()
