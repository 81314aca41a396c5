"""Histories are read back and drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from train.process.errors import StorageError
from train.run.history import cut_history, draw_curves, read_history

HISTORY = """epoch,accuracy,loss,val_accuracy,val_loss
0,0.5,1.25,0.4,1.5
1,1.0,0.5,0.75,0.625
"""


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


def test_a_history_is_read_by_columns(history):
    assert read_history(history) == {
        "epoch": [0, 1],
        "accuracy": [0.5, 1.0],
        "loss": [1.25, 0.5],
        "val_accuracy": [0.4, 0.75],
        "val_loss": [1.5, 0.625],
    }


def test_an_empty_history_has_no_columns(tmp_path):
    (tmp_path / "history.csv").write_text("")
    assert read_history(tmp_path / "history.csv") == {}


def test_a_history_that_keras_wrote_is_read_back_over_two_sittings(tmp_path):
    import keras

    path = tmp_path / "history.csv"
    for epoch, append in ((0, False), (1, True)):
        logger = keras.callbacks.CSVLogger(path, append=append)
        logger.set_model(keras.Sequential())
        logger.on_train_begin()
        logger.on_epoch_end(epoch, {"loss": 0.5 + epoch, "val_loss": 0.25})
        logger.on_train_end()
    assert read_history(path) == {"epoch": [0, 1], "loss": [0.5, 1.5], "val_loss": [0.25, 0.25]}


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\x00garbage",
        HISTORY.encode() + b"2,0.6",
        HISTORY.encode() + b"2,0.6,",
        HISTORY.encode() + b"2,0.6,0.1,0.7,so",
        HISTORY.encode().replace(b"1,1.0", b"1,1.0,7"),
    ],
)
def test_a_history_that_is_damaged_is_named(history, damage):
    history.write_bytes(damage)
    cut_history(history, 9)  # as a resumed run does first
    with pytest.raises(StorageError, match=r"history\.csv is damaged \(.*\): fix it, or remove it"):
        read_history(history)


def test_the_picture_is_a_png_with_a_colour_for_each_run(history, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(HISTORY.replace("0.4", "0.1"))
    pictures = []
    for histories in ({"a": history}, {"a": history, "b": other}):
        draw_curves(histories, tmp_path / "curves.png")
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.format == "PNG"
            assert picture.size == (1200, 480)
            pictures.append(np.asarray(picture.convert("RGB")).reshape(-1, 3))
    blue, orange = [31, 119, 180], [255, 127, 14]  # matplotlib's first two colours
    assert [[(pixels == colour).all(1).any() for colour in (blue, orange)] for pixels in pictures] == [
        [True, False],
        [True, True],
    ]


def test_a_perfect_run_is_drawn_on_the_logarithmic_axis(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,accuracy,loss,val_accuracy,val_loss\n0,1.0,0.01,1.0,0.01\n")
    draw_curves({"perfect": path}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_figures_are_closed(history, tmp_path):
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    draw_curves({"a": history}, tmp_path / "curves.png")
    assert plt.get_fignums() == before
