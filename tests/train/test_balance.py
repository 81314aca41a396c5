"""Class weights, balanced sampling, several seeds, and answers over mirrors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.paths import ROOT
from train import evaluate, predict
from train.data.augmentation import Augmentation
from train.data.batches import require_labels, training_batches
from train.data.datasets import ImageData
from train.evaluation.classifiers import open_classifier, with_mirrors
from train.process.errors import BadInput
from train.settings.sections import Recipe
from train.step.trainer import Trainer
from train.step.weighting import class_weights

NOBODY = tf.constant(0.0)


@pytest.fixture
def uneven(files) -> ImageData:
    """Twenty images of three classes, of which the second has one."""
    arrays = files.arrays(train=20)
    labels = np.array([0] * 12 + [1] + [2] * 7)
    return ImageData((arrays["x_train"], labels), (arrays["x_test"], arrays["y_test"]), ["a", "b", "c"])


def labels_of(data, steps: range, **options) -> np.ndarray:
    """The labels of some steps' batches."""
    batches = training_batches(data, 6, Augmentation(), seed=5, first_step=steps.start, **options)
    return np.concatenate([labels for _, labels in batches.take(len(steps)).as_numpy_iterator()])


def test_balanced_sampling_draws_each_class_as_often_and_every_image(uneven):
    found = labels_of(uneven, range(500), balanced=True)
    np.testing.assert_allclose(np.bincount(found) / len(found), 1 / 3, atol=0.03)
    images = np.concatenate(
        [
            images
            for images, _ in training_batches(uneven, 6, Augmentation(), 5, balanced=True).take(100).as_numpy_iterator()
        ]
    )
    assert {image.tobytes() for image in images} == {image.tobytes() for image in uneven.train[0]}


def test_balanced_sampling_is_a_function_of_seed_and_step(uneven):
    whole = labels_of(uneven, range(10), balanced=True)
    np.testing.assert_array_equal(labels_of(uneven, range(4, 10), balanced=True), whole[24:])
    shards = [labels_of(uneven, range(10), balanced=True, shard=i, shards=2).reshape(10, 3) for i in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(shards, axis=1).ravel(), whole)
    assert (labels_of(uneven, range(10)) != whole).any()


def test_classes_without_images_are_not_drawn(uneven):
    labels = np.where(uneven.train[1] == 1, 2, uneven.train[1])
    assert set(labels_of(replace(uneven, train=(uneven.train[0], labels)), range(50), balanced=True)) == {0, 2}


def test_unknown_labels_are_refused():
    class Unknown:
        train_labels = None

    with pytest.raises(BadInput, match="--sampling=balanced requires labels"):
        require_labels(Unknown())
    with pytest.raises(BadInput, match="--class_weights=balanced requires labels"):
        class_weights(Recipe(class_weights=["balanced"]), None, 2)


def test_balanced_weights_are_scikit_learns(uneven):
    from sklearn.utils.class_weight import compute_class_weight

    labels = uneven.train_labels
    wanted = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    found = class_weights(Recipe(class_weights=["balanced"]), labels, 4)
    np.testing.assert_allclose(found, [*wanted, 0], rtol=1e-6)


@pytest.mark.parametrize("distributions", [False, True])
def test_a_weighted_step_is_the_gradient_of_the_weighted_mean(distributions):
    weights, rate = np.array([0.5, 3.0], "float32"), 0.1
    rng = np.random.default_rng(0)
    images, classes = rng.integers(0, 256, (4, 2, 2, 1)).astype("uint8"), np.array([0, 1, 1, 0])
    labels = 0.75 * np.eye(2, dtype="float32")[classes] + 0.125 if distributions else classes
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(keras.layers.Flatten()(inputs)))
    kernel = model.weights[0].numpy().astype("float64")
    x = images.reshape(4, 4) / 255
    logits = x @ kernel
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = labels if distributions else np.eye(2)[classes]
    factor = y @ weights
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(rate), class_weights=weights)
    loss, *_ = trainer.train_step(tf.constant(images), tf.constant(labels), NOBODY).numpy()
    np.testing.assert_allclose(loss / 4, (factor * -(y * np.log(p)).sum(1)).mean(), rtol=1e-5)
    gradient = x.T @ (factor[:, None] * (p - y)) / 4
    np.testing.assert_allclose(model.weights[0].numpy(), kernel - rate * gradient, rtol=1e-4, atol=1e-6)
    tested = trainer.test_step(tf.constant(images), tf.constant(classes), tf.ones(4), NOBODY).numpy()
    logits = x @ model.weights[0].numpy()
    unweighted = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), classes]
    np.testing.assert_allclose(tested[0], unweighted.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--class_weights=1,2,3", r"--class_weights must have 2 numbers, one for each class; got 3\."),
        ("--class_weights=1,-2", r"--class_weights must be balanced, or a number >= 0 for each class; got 1,-2\."),
        ("--class_weights=often", r"got often\."),
        ("--sampling=even", r"--sampling=even: value should be one of <balanced>"),
        ("--seeds=1", r"--seeds must be >= 2"),
    ],
)
def test_wrong_values_are_refused_in_one_line(command, files, tmp_path, flag, line):
    data = files.npz(tmp_path / "set.npz")
    outcome = command(f"--dataset={data}", f"--output={tmp_path / 'out'}", "--depth=8", flag)
    assert (outcome.code, len(outcome.said)) == (2, 1) and re.search(line, outcome.said[0]), outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_several_seeds_are_the_runs_of_each_and_their_mean(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=32, test=24))
    line = (f"--dataset={data}", f"--output={tmp_path}", "--depth=8", "--epochs=1", "--noexport", "--batch_size=8")
    line = (*line, "--class_weights=balanced", "--sampling=balanced")
    both = command(*line, "--seeds=2", "--seed=3", "--run=mine")
    assert both.code == 0, both.err
    states = re.findall(r"^state +(\w+)", both.out, re.MULTILINE)
    reached = [float(each) for each in re.findall(r"^test accuracy ([\d.]+)%$", both.out, re.MULTILINE)]
    mean = r"^test accuracy ([\d.]+)% \+- ([\d.]+)% \(mean and deviation of 2 seeds"
    said = re.search(mean, both.out, re.MULTILINE)
    np.testing.assert_allclose(
        [float(each) for each in said.groups()], [np.mean(reached), np.std(reached, ddof=1)], atol=0.01
    )
    alone = command(*line, "--seed=4", "--run=alone")
    assert re.search(r"^state +(\w+)", alone.out, re.MULTILINE)[1] == states[1] != states[0]
    for seed in (3, 4):
        assert json.loads((tmp_path / "runs" / f"mine-seed{seed}" / "config.json").read_text())["seed"] == seed
    again = command(*line, "--seeds=2", "--seed=3", "--run=mine", "--resume")
    assert again.code == 0 and said[0] in again.out, again.err


@pytest.mark.slow
def test_flips_answer_with_the_mean_over_image_and_mirror(command, files, tmp_path, capsys):
    data = files.npz(tmp_path / "set.npz")
    line = (f"--dataset={data}", f"--output={tmp_path}", "--depth=8", "--epochs=1", "--noexport", "--run=mine")
    assert command(*line, "--noflip").code == 0
    folder, images = tmp_path / "runs" / "mine", files.arrays()["x_test"]
    plain = open_classifier(str(folder), None, "auto")
    wanted = (plain.answer(images) + plain.answer(images[:, :, ::-1])) / 2
    found = with_mirrors(plain).probabilities(images)
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    assert np.abs(found - plain.answer(images)).max() > 1e-4
    crops = np.stack([images, images], axis=1)
    np.testing.assert_allclose(with_mirrors(plain).probabilities(crops), wanted, atol=1e-6)
    assert evaluate.entry.run([str(folder), "--flips"]) == 0
    assert "mean over image and mirror" in capsys.readouterr().out
    np.save(tmp_path / "images.npy", images)
    output = tmp_path / "predictions.csv"
    options = ["--flips", "--probabilities", f"--output={output}"]
    assert predict.entry.run([str(folder), str(tmp_path / "images.npy"), *options]) == 0
    rows = [row.split(",") for row in output.read_text().splitlines()[1:]]
    np.testing.assert_allclose([[float(each) for each in row[-2:]] for row in rows], wanted, atol=1e-4)


@pytest.mark.parametrize("module", ["train.evaluate", "train.predict", "train.export"])
def test_a_command_whose_output_nobody_reads_any_more_ends_without_a_traceback(module):
    code = f"import sys; from {module} import entry; sys.argv = ['x', '--help']; sys.stdout.write('#' * 10**6); entry()"
    line = f'{sys.executable} -c "{code}" | head -c 10'
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "#" * 10 and not done.stderr
