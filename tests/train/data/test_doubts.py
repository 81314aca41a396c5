"""Data that can be trained on, but are odd: one line each."""

from __future__ import annotations

import numpy as np
import pytest

from train.data.datasets import ImageData
from train.data.doubts import doubts

rng = np.random.default_rng(0)
IMAGES, LABELS = rng.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8), np.arange(12) % 3


def data(train=slice(0, 6), test=slice(6, 9), validation=None, labels=LABELS, names=None) -> ImageData:
    splits = [None if each is None else (IMAGES[each], labels[each]) for each in (train, test, validation)]
    return ImageData(splits[0], splits[1], names, validation=splits[2])


def test_of_usual_data_nothing_is_said():
    assert doubts(data(validation=slice(9, 12))) == []


@pytest.mark.parametrize("split", ["test", "validation"])
def test_held_out_images_that_are_trained_on_are_counted(split):
    splits = {"test": slice(6, 9), "validation": slice(9, 12), split: slice(4, 8)}
    (line,) = doubts(data(**splits))
    assert line.startswith(f"{split} images that are training images too: 2 of 4. ")


def test_an_image_is_known_whatever_its_label():
    assert doubts(data(test=slice(0, 3), labels=np.roll(LABELS, 1)))


@pytest.mark.parametrize(
    ("labels", "names", "line"),
    [
        (LABELS + 1, None, "classes without a training image: 1 of 4 (0). Labels count from 0."),
        (LABELS * 4, list("abcdefghi"), "classes without a training image: 6 of 9 (b, c, d, f, g, ...). "),
    ],
)
def test_classes_without_a_training_image_are_named(labels, names, line):
    (said,) = doubts(data(labels=labels, names=names))
    assert said.startswith(line)


def test_a_run_reports_them(command, files, tmp_path):
    arrays = files.arrays()
    path = files.npz(tmp_path / "set.npz", x_test=arrays["x_train"][:8])
    outcome = command("--depth=8", f"--dataset={path}", f"--output={tmp_path}", "--epochs=1", "--noexport")
    assert (outcome.code, len(outcome.said)) == (0, 1), outcome.err
    assert outcome.said[0].startswith("train: test images that are training images too: 8 of 8. ")
