"""A session calls callbacks like `Model.fit`, stops and resumes bit for bit, and survives NaN."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import PreActResNet, WideResNet
from tests.catalog import long_but
from tests.support.sittings import BATCH, CLASSES, EPOCHS, SHAPE, STEPS, Sitting, dense, here, image_data
from train.data.augmentation import Augmentation
from train.data.feeding import Feed
from train.process.errors import NumericError, Preempted
from train.run.checkpoints import Checkpoints, Position
from train.run.session import PATIENCE, SPOILT, Plan, Session
from train.settings.resolving import resolve
from train.step.optimizer import schedule
from train.step.trainer import Trainer


@pytest.fixture
def data(files):
    return image_data(files)


@pytest.fixture
def configured(parse):
    """`configured("--ema=0.9", ...)` sets the flags of the sittings that follow."""

    def configured(*flags: str) -> None:
        parse("--learning_rate=0.05", *flags)

    configured()
    return configured


def test_an_evaluation_is_the_mean_over_all_images(configured, data, tmp_path):
    sitting = Sitting(tmp_path, data)
    images, labels = data.test
    log_p = keras.ops.log_softmax(sitting.model(images.astype("float32") / 255, training=False)).__array__()
    losses, right = -log_p[np.arange(len(labels)), labels], log_p.argmax(1) == labels
    found = sitting.session.evaluate()
    assert found == {"loss": pytest.approx(losses.mean(), rel=1e-5), "accuracy": pytest.approx(right.mean())}


class Events(keras.callbacks.Callback):
    """Records every event, with the names in its logs."""

    def __init__(self):
        super().__init__()
        self.heard = []

    @property
    def order(self) -> list[tuple]:
        """Events and their numbers."""
        return [event[:-1] for event in self.heard]

    def logged(self, wanted: str) -> list[tuple]:
        """The names in the logs of one kind of event."""
        return [event[-1] for event in self.heard if event[0] == wanted]


def _note(event):
    def note(self, *arguments, logs=None):
        *position, logs = [*arguments, logs] if logs is not None else (arguments or [None])
        self.heard.append((event, *position, tuple(sorted(logs or ()))))

    return note


for _name in (f"on_{what}_{when}" for what in ("train", "test", "epoch", "train_batch") for when in ("begin", "end")):
    setattr(Events, _name, _note(_name))


def sgd_session(tmp_path, data, model, rate, epochs, *callbacks, position=None) -> Session:
    """A session of plain SGD."""
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(rate, momentum=0.9))
    checkpoints = Checkpoints(tmp_path, model, trainer.optimizer)
    feed = Feed(data, BATCH, Augmentation(), seed=0)
    return Session(trainer, feed, checkpoints, Plan(epochs, STEPS), here(), callbacks, position)


def test_callbacks_get_the_events_of_model_fit_in_its_order(tmp_path, data):
    ours, theirs = Events(), Events()
    sgd_session(tmp_path, data, dense(), 0.05, 2, ours).run()
    model = dense()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    train, test = (tf.data.Dataset.from_tensor_slices(split).batch(BATCH) for split in (data.train, data.test))
    model.fit(train, validation_data=test, epochs=2, callbacks=[theirs], verbose=0)
    assert ours.order == theirs.order
    assert ours.logged("on_test_end") == theirs.logged("on_test_end")
    assert ours.logged("on_train_batch_end") == [("loss",)] * 2 * STEPS
    (names, again) = ours.logged("on_epoch_end")
    assert names == again
    assert set(names) == {*theirs.logged("on_epoch_end")[0], "learning_rate"}


def test_a_session_resumes_from_a_position(tmp_path, data):
    events = Events()
    session = sgd_session(tmp_path, data, dense(), 0.05, 5, events, position=Position(epoch=3, step=3 * STEPS))
    session.run()
    assert [event[1] for event in events.heard if event[0] == "on_epoch_begin"] == [3, 4]
    assert session.trainer.optimizer.iterations.numpy() == 2 * STEPS
    assert session.checkpoints.steps == [4 * STEPS, 5 * STEPS]


def test_a_callback_may_end_the_training_after_an_epoch(tmp_path, data):
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1))
    model = dense()
    session = sgd_session(tmp_path, data, model, 0.05, 5, stop)
    session.run()
    assert (session.position.epoch, session.position.step) == (2, 2 * STEPS)


def test_the_loss_falls_and_the_accuracy_rises_on_a_problem_that_can_be_learnt(tmp_path, data):
    history = []
    log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: history.append(logs))
    keras.utils.set_random_seed(0)
    sgd_session(tmp_path, data, PreActResNet(8, SHAPE, CLASSES), 0.01, 12, log).run()
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert history[-1]["accuracy"] > max(0.8, history[0]["accuracy"])
    assert history[-1]["val_loss"] < history[0]["val_loss"]


def test_an_epochs_row_is_the_mean_over_its_steps_and_the_rate_of_its_last(tmp_path, data, configured):
    configured("--schedule=cosine")
    whole, twin = Sitting(tmp_path / "a", data).run(), Sitting(tmp_path / "b", data)
    batches = zip(range(STEPS), twin.feed.training(0), strict=False)
    told = [twin.trainer.train_step(*batch, tf.constant(0.0)).numpy() for _, batch in batches]
    loss, right, count, *_ = np.sum(told, 0)
    rates = [rate for *_, rate in told]
    assert rates == [np.float32(rate_of(step)) for step in range(STEPS)]
    row = whole.diary.epochs[0]
    assert count == STEPS * BATCH
    np.testing.assert_allclose((row["loss"], row["accuracy"]), (loss / count, right / count), rtol=1e-6)
    assert row["learning_rate"] == rates[-1] != rates[0]
    assert row["gradient_norm"] == twin.trainer.gradient_norm


def wide() -> keras.Model:
    """A residual network with dropout."""
    return WideResNet(10, input_shape=SHAPE, classes=CLASSES, width=1, dropout=0.3)


@pytest.mark.parametrize(
    ("network", "flags", "stops"),
    [
        pytest.param(dense, (), range(1, EPOCHS * STEPS + 1), id="every step"),
        pytest.param(
            dense,
            ("--ema=0.9", "--accumulate=2"),
            range(1, EPOCHS * STEPS),
            id="averages, accumulated",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            dense, ("--precision=mixed_float16", "--schedule=cosine"), (2, 4), id="float16", marks=pytest.mark.slow
        ),
        pytest.param(dense, ("--optimizer=nadam", "--accumulate=2"), (1, 2, 4), id="nadam", marks=pytest.mark.slow),
        pytest.param(wide, ("--ema=0.9",), (4,), id="residual with dropout", marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_after_any_step_ends_like_one_that_never_stopped(
    tmp_path, data, configured, network, flags, stops
):
    configured(*flags)
    whole = Sitting(tmp_path / "whole", data, network).run()
    rows, before = {}, 0
    for done in stops:
        # other weights and random states, which the checkpoint must replace
        sitting = Sitting(tmp_path / "parts", data, network, seed=before)
        assert sitting.restored.step == before
        with pytest.raises(Preempted, match=rf"asked to stop \(SIGTERM\): saved at step {done}\."):
            sitting.stopped_after(done).run()
        rows |= sitting.diary.epochs
        before = done
    last = Sitting(tmp_path / "parts", data, network, seed=99).run()
    assert last.state == whole.state
    assert rows | last.diary.epochs == whole.diary.epochs


def test_a_signal_during_the_test_stops_the_run_and_the_epoch_ends_on_resume(tmp_path, data, configured):
    whole = Sitting(tmp_path / "whole", data).run()
    sitting = Sitting(tmp_path / "parts", data)
    with pytest.raises(Preempted, match=rf"saved at step {STEPS}\."):
        sitting.stopped_after(STEPS, in_test=True).run()
    assert sitting.diary.epochs == {}
    rest = Sitting(tmp_path / "parts", data, seed=1)
    assert (rest.restored.epoch, rest.restored.step) == (0, STEPS)
    rest.run()
    assert (rest.state, rest.diary.epochs) == (whole.state, whole.diary.epochs)


def test_a_checkpoint_within_an_epoch_counts_the_epochs_steps_so_far(tmp_path, data, configured):
    Sitting(tmp_path, data, keep=99, every=2).run()
    sitting = Sitting(tmp_path, data, keep=99)
    assert sitting.checkpoints.steps == [2, 3, 4, 6]
    for step, images in ((6, 0), (4, BATCH), (3, 0), (2, 2 * BATCH)):
        position = sitting.checkpoints.restore()
        assert (position.step, position.epoch, position.images) == (step, step // STEPS, images)
        assert (position.loss > 0) == (images > 0)
        (tmp_path / f"step-{step:08}").rename(tmp_path / f"away-{step}")


def without(sitting: Sitting, step: int) -> Sitting:
    """All batches of its feed except one, trained on by hand."""
    batches = zip(range(EPOCHS * STEPS), sitting.feed.training(0), strict=False)
    for number, batch in batches:
        if number != step:
            sitting.trainer.train_step(*batch, tf.constant(0.0))
    return sitting


def said(capsys) -> list[str]:
    """The session's own lines; TensorFlow adds some on tracing one function for many objects."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]


def assert_same_values(ours: Sitting, theirs: Sitting) -> None:
    for path, a, b in zip([v.name for v in ours.trainer.variables], ours.values, theirs.values, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)


def rate_of(step: int) -> float:
    """The rate of a step before which none was skipped, counted from 0."""
    return float(schedule(resolve().recipe, EPOCHS * STEPS)(step))


LEFT_OUT = {  # on_nan, steps between saves, the bad step
    f"{way}-{every}-{bad}": (way, every, bad)
    for way, every in (("skip", None), ("rollback", 1), ("rollback", None))
    for bad in (0, 1, STEPS - 1, STEPS)
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "every", "bad"), long_but(("skip-None-0", "rollback-1-1", f"rollback-None-{STEPS}"), LEFT_OUT)
)
def test_a_batch_that_makes_nan_is_skipped_as_if_it_had_never_been(tmp_path, data, configured, way, every, bad, capsys):
    configured("--schedule=cosine")
    sitting = Sitting(tmp_path / "run", data, bad={bad}, on_nan=way, every=every).run()
    assert sitting.session.position.left_out == [bad]
    assert sitting.trainer.optimizer.iterations.numpy() == EPOCHS * STEPS - 1
    assert_same_values(sitting, without(Sitting(tmp_path / "none", data, bad=()), bad))
    (line,) = said(capsys)
    where = rf"step {bad + 1} \(epoch {bad // STEPS + 1}, rate {rate_of(bad):g}, gradient norm \S+\)"
    assert re.match(rf"train: loss became nan at {where}: continuing from step \d without that batch\.$", line)
    spoilt, other = (sitting.diary.epochs[epoch] for epoch in (bad // STEPS, 1 - bad // STEPS))
    assert spoilt.keys() == other.keys()
    assert np.isfinite([*spoilt.values(), *other.values()]).all()
    assert all(np.isfinite(value).all() for value in sitting.values)  # batch statistics too


@pytest.mark.slow
@pytest.mark.parametrize(("way", "every"), [("skip", None), ("rollback", 1)])
def test_a_batch_is_skipped_on_two_devices_too(tmp_path, data, configured, two_devices, way, every):
    configured("--schedule=cosine")
    with two_devices.scope():
        sitting = Sitting(tmp_path / "run", data, bad={1}, on_nan=way, every=every).run()
        wanted = without(Sitting(tmp_path / "none", data, bad=()), 1)
    assert sitting.session.position.left_out == [1]
    assert_same_values(sitting, wanted)


def test_a_skipped_batch_does_not_reach_the_averages(tmp_path, data, configured):
    configured("--schedule=cosine", "--ema=0.9")
    sitting = Sitting(tmp_path / "run", data, bad={1}, on_nan="skip").run()
    assert_same_values(sitting, without(Sitting(tmp_path / "none", data, bad=()), 1))


def test_a_skipped_batch_stays_skipped_on_resume(tmp_path, data, configured):
    once = Sitting(tmp_path / "once", data, bad={1}, on_nan="skip").run()
    first = Sitting(tmp_path / "twice", data, bad={1}, on_nan="skip")
    with pytest.raises(Preempted):
        first.stopped_after(1 + 1).run()
    rest = Sitting(tmp_path / "twice", data, bad={1}, on_nan="stop", seed=1).run()
    assert rest.session.position.left_out == [1]
    assert (rest.state, rest.diary.epochs) == (once.state, first.diary.epochs | once.diary.epochs)


def test_a_loss_that_is_nan_stops_the_run_names_the_step_and_leaves_the_last_checkpoint(tmp_path, data, configured):
    sitting = Sitting(tmp_path, data, bad={STEPS + 1})
    line = (
        rf"^loss became nan at step {STEPS + 2} \(epoch 2, rate [\d.e-]+, gradient norm \S+\)\. Not saved\. "
        rf"The last checkpoint is step {STEPS}\. "
        r"Lower --learning_rate in another --run, or pass --on_nan=rollback or --on_nan=skip\.$"
    )
    with pytest.raises(NumericError, match=line) as caught:
        sitting.run()
    assert caught.value.code == 3
    assert (sitting.checkpoints.steps, list(sitting.diary.epochs)) == ([STEPS], [0])
    good = Sitting(tmp_path, data, seed=1)
    assert all(np.isfinite(value).all() for value in good.values)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["skip", "rollback"])
def test_patience_ends_where_one_batch_after_the_other_makes_nan(tmp_path, data, configured, way, capsys):
    sitting = Sitting(tmp_path, data, bad=range(1, 100), on_nan=way)
    sitting.session.plan = replace(sitting.session.plan, steps=20)
    with pytest.raises(NumericError, match=rf"at step {PATIENCE + 2} .*Lower --learning_rate in another --run\.$"):
        sitting.run()
    assert len(said(capsys)) == PATIENCE
    assert sitting.session.position.left_out == list(range(1, PATIENCE + 1))


@pytest.mark.parametrize(("patience", "ends"), [(1, 2), (2, 3)])
def test_a_run_ends_once_the_best_epoch_is_as_far_back_as_patience_allows(
    tmp_path, data, configured, patience, ends, capsys
):
    configured("--learning_rate=1e-9")  # every epoch is as good as the first
    sitting = Sitting(tmp_path, data, patience=patience)
    sitting.session.plan = replace(sitting.session.plan, epochs=5)
    sitting.run()
    assert (sitting.session.position.epoch, sitting.checkpoints.best) == (ends, STEPS)
    epochs = "epoch" if patience == 1 else "epochs"
    assert said(capsys) == [f"train: no better for {patience} {epochs}: ended after epoch {ends}."]


def test_rollback_without_a_checkpoint_of_this_epoch_gives_up(tmp_path, data, configured):
    gone = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epoch and shutil.rmtree(tmp_path / f"step-{STEPS:08}")
    )
    sitting = Sitting(tmp_path, data, bad={STEPS + 1}, callbacks=[gone], on_nan="rollback")
    with pytest.raises(NumericError, match="There is no checkpoint of this epoch to roll back to"):
        sitting.run()


def test_rollback_where_nothing_could_be_saved_gives_up(tmp_path, data, configured, capsys):
    (tmp_path / "file").write_text("")
    sitting = Sitting(tmp_path / "file" / "checkpoints", data, bad={1}, on_nan="rollback")
    with pytest.raises(NumericError, match="There is no checkpoint of this epoch to roll back to"):
        sitting.run()


def test_an_epoch_does_not_end_with_weights_that_its_last_step_spoilt(tmp_path, data):
    """The loss of a step is the one before its update: the last update of an epoch shows only in the test loss."""
    events = Events()
    session = sgd_session(tmp_path, data, dense(), float("inf"), 2, events)
    session.plan = replace(session.plan, steps=1)
    with pytest.raises(
        NumericError, match=r"test loss became NaN or infinite at step 1 \(epoch 1, .*\)\. Not saved\. There is no"
    ):
        session.run()
    assert "on_epoch_end" not in [event[0] for event in events.heard]
    assert session.checkpoints.steps == []


class Poison(keras.callbacks.Callback):
    """After a step, a statistic is infinite, which no loss shows: normalising with it gives zeros."""

    def __init__(self, *steps: int):
        super().__init__()
        self.steps = set(steps)

    def on_train_batch_end(self, batch, logs=None):
        if batch in self.steps:
            self.steps.discard(batch)
            (variance,) = (each for each in self.model.variables if each.name == "moving_variance")
            variance.assign(np.full(variance.shape, np.inf))


@pytest.mark.parametrize("every", [1, None], ids=["every step", "every epoch"])
def test_a_spoilt_state_behind_a_finite_loss_is_never_saved(tmp_path, data, configured, every):
    sitting = Sitting(tmp_path, data, callbacks=[Poison(1)], every=every)
    with pytest.raises(NumericError, match=r"^weights or statistics became NaN or infinite at step \d .*Not saved\."):
        sitting.run()
    assert sitting.checkpoints.steps == ([1] if every else [])


@pytest.mark.parametrize("way", ["skip", "rollback"])
def test_a_spoilt_state_is_rolled_back(tmp_path, data, configured, way, capsys):
    sitting = Sitting(tmp_path, data, callbacks=[Poison(1)], every=1, on_nan=way).run()
    (line,) = said(capsys)
    assert line.startswith(f"train: {SPOILT} at step 2 (epoch 1, ") and line.endswith("from step 1 without that batch.")
    assert sitting.session.position.left_out == [1]
    assert all(np.isfinite(value).all() for value in sitting.values if value.dtype.kind == "f")


def test_a_skipped_batch_makes_no_checkpoint_without_progress(tmp_path, data, configured):
    sitting = Sitting(tmp_path, data, bad={1}, on_nan="skip", every=1, keep=99).run()
    assert sitting.checkpoints.steps == [0, 1, 3, 4, 5, 6]


def test_a_run_does_not_end_before_its_last_step_is_saved(tmp_path, data, configured, monkeypatch):
    sitting = Sitting(tmp_path, data)
    tries, write = [], sitting.checkpoints._write

    def full(folder, position, score):
        tries.append(position.step)
        if tries.count(EPOCHS * STEPS) == 1:
            raise OSError(28, "No space left on device")
        write(folder, position, score)

    monkeypatch.setattr(sitting.checkpoints, "_write", full)
    sitting.run()
    assert (tries, sitting.checkpoints.steps) == ([3, 6, 6], [3, 6])
