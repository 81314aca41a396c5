"""The loop trains, measures as numpy does, tells callbacks what `Model.fit` tells them, and stops at NaN."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import PreActResNet
from train.loop import NotFinite, Trainer

SHAPE, CLASSES = (4, 4, 1), 3


def linear() -> keras.Model:
    """The smallest network: one dense layer over the pixels."""
    keras.utils.set_random_seed(0)
    images = keras.Input(SHAPE)
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images)))


def trainer(model=None, rate=0.05) -> Trainer:
    model = model or linear()
    made = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(rate, momentum=0.9))
    model.compile(made.optimizer)
    return made


def batches(files, *sizes: int, shape=SHAPE) -> list:
    """Batches of these sizes, of one problem."""
    arrays = files.arrays(train=sum(sizes), shape=shape, classes=CLASSES)
    bounds = np.cumsum([0, *sizes])
    return [
        (tf.constant(arrays["x_train"][a:b]), tf.constant(arrays["y_train"][a:b]))
        for a, b in itertools.pairwise(bounds)
    ]


def callbacks(model, *more, epochs=1, steps=1):
    return keras.callbacks.CallbackList(list(more), model=model, epochs=epochs, steps=steps)


def reference(model, batches) -> tuple[float, float]:
    """Loss and accuracy over all examples, by numpy in float64."""
    images = np.concatenate([images for images, _ in batches]).astype(np.float64) / 255
    labels = np.concatenate([labels for _, labels in batches])
    logits = np.asarray(model(images.astype(np.float32), training=False), np.float64)
    log_sums = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    losses = log_sums - logits[np.arange(len(labels)), labels]
    return losses.mean(), (logits.argmax(1) == labels).mean()


class Diary(keras.callbacks.Callback):
    """Writes down every event, with the names in its logs."""

    def __init__(self):
        super().__init__()
        self.events = []


def _note(event):
    def note(self, *arguments, logs=None):
        *position, logs = [*arguments, logs] if logs is not None else (arguments or [None])
        self.events.append((event, *position, tuple(sorted(logs or ()))))

    return note


for _name in (f"on_{what}_{when}" for what in ("train", "test", "epoch", "train_batch") for when in ("begin", "end")):
    setattr(Diary, _name, _note(_name))


def test_the_loss_falls_and_the_accuracy_rises_on_a_problem_that_can_be_learnt(files):
    history, epochs = [], 12
    log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: history.append(logs))
    keras.utils.set_random_seed(0)
    train = batches(files, 8, 8, 8, shape=(8, 8, 1))
    learner = trainer(PreActResNet(8, (8, 8, 1), CLASSES), rate=0.01)
    learner.fit(iter(train * epochs), train, range(epochs), 3, callbacks(learner.model, log))
    losses = [logs["loss"] for logs in history]
    assert losses[-1] < losses[0] / 2
    assert history[-1]["accuracy"] > max(0.8, history[0]["accuracy"])
    assert history[-1]["val_loss"] < history[0]["val_loss"]


@pytest.mark.parametrize("sizes", [(6,), (6, 6), (6, 6, 1), (7, 2)])
def test_test_metrics_are_numpys_over_all_examples_however_they_are_batched(files, sizes):
    judge, test = trainer(), batches(files, *sizes)
    measured = judge.evaluate(test)
    np.testing.assert_allclose((measured["loss"], measured["accuracy"]), reference(judge.model, test), rtol=1e-5)
    assert judge.evaluate(test) == measured  # nothing is left over from the first time


def test_testing_changes_no_weight_and_no_statistic(files):
    judge = trainer(PreActResNet(8, (8, 8, 1), CLASSES))
    before = [w.numpy() for w in judge.model.weights]
    judge.evaluate(batches(files, 5, shape=(8, 8, 1)))
    for weight, old in zip(judge.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_step_is_the_gradient_of_the_mean_loss_times_the_rate(files):
    learner = trainer(rate=0.1)
    (images, labels) = batches(files, 6)[0]
    kernel, bias = (w.numpy().astype(np.float64) for w in learner.model.trainable_variables)
    expected_loss, _ = reference(learner.model, [(images, labels)])
    loss = float(learner.train_step(images, labels))
    pixels = images.numpy().reshape(6, -1) / 255
    logits = pixels @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[labels.numpy()]) / 6
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(learner.model.trainable_variables[0], kernel - 0.1 * pixels.T @ errors, atol=1e-6)
    np.testing.assert_allclose(learner.model.trainable_variables[1], bias - 0.1 * errors.sum(0), atol=1e-6)


def test_the_step_under_float16_is_the_unscaled_one(files):
    images, labels = batches(files, 6)[0]
    kernels = []
    for scaled in (False, True):
        model = linear()
        sgd = keras.optimizers.SGD(0.1)
        learner = Trainer(
            model, keras.layers.Rescaling(1 / 255), keras.optimizers.LossScaleOptimizer(sgd) if scaled else sgd
        )
        learner.train_step(images, labels)
        kernels.append(model.trainable_variables[0].numpy())
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_training_metrics_are_the_mean_over_the_epochs_steps(files):
    train = batches(files, 4, 4)
    learner, twin, history = trainer(), trainer(), []
    log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: history.append(logs))
    learner.fit(iter(train), train, range(1), 2, callbacks(learner.model, log))
    losses = [float(twin.train_step(*batch)) for batch in train]
    np.testing.assert_allclose(history[0]["loss"], np.mean(losses), rtol=1e-6)
    np.testing.assert_allclose(history[0]["val_loss"], reference(learner.model, train)[0], rtol=1e-5)


def test_callbacks_hear_the_events_of_model_fit_in_its_order(files):
    train = batches(files, 4, 4)
    ours, theirs = Diary(), Diary()
    learner = trainer()
    learner.fit(iter(train * 2), train, range(2), 2, callbacks(learner.model, ours))
    model = linear()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    stream = tf.data.Dataset.from_tensor_slices(tuple(tf.concat(part, 0) for part in zip(*train, strict=True)))
    model.fit(stream.batch(4), validation_data=stream.batch(4), epochs=2, callbacks=[theirs], verbose=0)
    assert [event[:-1] for event in ours.events] == [event[:-1] for event in theirs.events]

    def names(diary, wanted):
        return [event[-1] for event in diary.events if event[0] == wanted]

    for event in ("on_epoch_end", "on_test_end"):
        assert names(ours, event) == names(theirs, event)
    assert names(ours, "on_train_batch_end") == [("loss",)] * 4


def test_epochs_may_begin_in_the_middle(files):
    train, diary = batches(files, 4), Diary()
    learner = trainer()
    learner.fit(iter(train * 2), train, range(3, 5), 1, callbacks(learner.model, diary))
    assert [event[1] for event in diary.events if event[0] == "on_epoch_begin"] == [3, 4]
    assert learner.optimizer.iterations.numpy() == 2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(files):
    learner, diary = trainer(rate=float("inf")), Diary()
    train = batches(files, 4, 4, 4)
    with pytest.raises(NotFinite, match=r"loss became nan at step 8 \(epoch 3\)"):
        learner.fit(iter(train), train, range(2, 4), 3, callbacks(learner.model, diary))
    assert "on_epoch_end" not in [event[0] for event in diary.events]


def test_weights_that_the_epochs_last_step_spoilt_end_no_epoch(files):
    """The loss of a step is the one before its update: the last update of an epoch shows in the test loss alone."""
    learner, diary = trainer(rate=float("inf")), Diary()
    train = batches(files, 4)
    with pytest.raises(NotFinite, match=r"step 1 \(epoch 1\)"):
        learner.fit(iter(train * 2), train, range(2), 1, callbacks(learner.model, diary))
    assert "on_epoch_end" not in [event[0] for event in diary.events]
