"""Histories are read back and drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
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
        "epoch": [1, 2],
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
    assert read_history(path) == {"epoch": [1, 2], "loss": [0.5, 1.5], "val_loss": [0.25, 0.25]}


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


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """`draw(histories)` is the figure that `draw_curves` writes; a history may be the text of its file."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **more: (figures.append(figure), save(figure, *args)))

    def draw(histories):
        named = histories.items() if isinstance(histories, dict) else histories
        pairs = []
        for i, (name, text) in enumerate(named):
            (tmp_path / f"{i}.csv").write_text(text)
            pairs.append((name, tmp_path / f"{i}.csv"))
        draw_curves(dict(pairs) if isinstance(histories, dict) else pairs, tmp_path / "curves.png")
        assert (tmp_path / "curves.png").stat().st_size > 10_000
        return figures[-1]

    return draw


def written(epochs, rates=None):
    """A history of `(loss, accuracy)` an epoch, the test's as the training's."""
    rates = rates or [0.1] * len(epochs)
    rows = [f"{i},{a},{x},{a},{x},{rate}\n" for i, ((x, a), rate) in enumerate(zip(epochs, rates, strict=True))]
    return "epoch,accuracy,loss,val_accuracy,val_loss,learning_rate\n" + "".join(rows)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts() if text.get_text()]


def falls(axes):
    """Where upright lines stand."""
    return sorted(
        {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 < len(line.get_xdata())}
    )


def test_the_picture_is_a_png_with_a_colour_for_each_run(history, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(HISTORY.replace("0.4", "0.1"))
    pictures = []
    for histories in ({"a": history}, {"a": history, "b": other}):
        draw_curves(histories, tmp_path / "curves.png")
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.format == "PNG"
            assert picture.width == 1200
            pictures.append(np.asarray(picture.convert("RGB")).reshape(-1, 3))
    blue, orange = [31, 119, 180], [255, 127, 14]  # matplotlib's first two colours
    assert [[(pixels == colour).all(1).any() for colour in (blue, orange)] for pixels in pictures] == [
        [True, False],
        [True, True],
    ]


def test_an_error_of_zero_is_drawn_as_zero_and_so_is_a_loss(draw):
    loss, error = draw({"perfect": written([(2.0, 0.1), (0.1, 0.99), (0.0, 1.0)])}).axes
    for axes, values in ((loss, [2.0, 0.1, 0.0]), (error, [90.0, 1.0, 0.0])):
        for line in axes.lines:
            np.testing.assert_allclose(line.get_ydata(), values)
        assert axes.get_ylim()[0] < 0 and axes.get_yticks()[0] == 0
        at_zero, at_most = (axes.transData.transform((0, y))[1] for y in (0, values[0]))
        assert axes.bbox.y0 < at_zero < axes.bbox.y0 + 0.1 * axes.bbox.height < at_most < axes.bbox.y1


def test_positive_values_are_on_a_logarithmic_axis_and_those_close_together_are_not(draw):
    loss, error = draw({"a": written([(2.0, 0.1), (1.9, 0.5), (1.8, 0.9)])}).axes
    assert (loss.get_yscale(), error.get_yscale()) == ("linear", "log")
    assert error.get_yticks().tolist() == [10, 20, 50, 100] and len(loss.get_yticks()) > 3


def test_a_run_of_perfection_alone_is_drawn(draw):
    for axes in draw({"a": written([(0.0, 1.0)])}).axes:
        assert axes.get_ylim()[0] < 0 < axes.get_ylim()[1]


def test_a_single_epoch_has_markers_and_a_whole_number(draw):
    for axes in draw({"one": written([(2.3, 0.1)])}).axes:
        assert axes.get_xticks().tolist() == [1]
        assert [line.get_marker() for line in axes.lines] == ["o", "o"]
        assert [line.get_markevery() for line in axes.lines] == [[0], [0]]


@pytest.mark.parametrize("epochs", [2, 3, 7, 164])
def test_ticks_stand_at_whole_epochs_of_the_run(draw, epochs):
    for axes in draw({"few": written([(2.3, 0.1)] * epochs)}).axes:
        ticks = axes.get_xticks()
        assert (ticks == ticks.round()).all() and ticks.min() >= 1 and ticks.max() <= epochs and len(ticks) > 1


def test_every_run_is_in_the_legend_with_its_last_values(draw):
    text = written([(2.3, 0.1), (0.5, 0.75)])
    figure = draw([("_hidden", text), ("a", text), ("a", text), ("$x$", text), ("empty", text.splitlines()[0])])
    last = "test loss 0.500, test error 25.00 % after 2 epochs"
    named = [f"{name}: {last}" for name in ("_hidden", "a (1)", "a (2)", "$x$")]
    assert legend(figure) == [*named, "empty: no epoch yet", "train", "test"]
    assert figure.get_suptitle() == "Loss and error over the epochs: 5 runs"
    assert [len(axes.lines) for axes in figure.axes] == [8, 8]  # train and test of four
    assert {line.get_linestyle() for line in figure.axes[0].lines} == {"-", "--"}
    assert legend(draw({"_hidden": text}))[0] == named[0]


def test_the_test_with_averaged_weights_is_a_line_of_its_own(draw):
    text = "epoch,accuracy,loss,val_accuracy,val_ema_accuracy,val_loss\n0,0.5,1,0.4,0.6,1\n1,0.6,1,0.5,0.7,1\n"
    figure = draw({"a": text})
    assert legend(figure)[1:] == ["train", "test", "test, averaged weights"]
    np.testing.assert_allclose(figure.axes[1].lines[2].get_ydata(), [40, 30])


def test_the_steps_of_the_learning_rate_are_marked_and_a_smooth_schedule_is_not(draw):
    epochs = [(2.0, 0.1), (1.0, 0.5), (0.9, 0.6), (0.5, 0.8), (0.4, 0.9), (0.4, 0.9)]
    figure = draw({"steps": written(epochs, [0.1, 0.1, 0.1, 0.01, 0.01, 0.001])})
    assert [falls(axes) for axes in figure.axes] == [[3.5, 5.5]] * 2
    assert legend(figure)[-1] == "learning rate drops (to 1/3 or less)"
    cosine = [0.05 * (1 + math.cos(math.pi * (i + 1) / 6)) for i in range(6)]
    figure = draw({"cosine": written(epochs, cosine)})
    assert [falls(axes) for axes in figure.axes] == [[]] * 2
    assert legend(figure)[-1] == "test"


def test_importing_and_drawing_change_nothing_in_the_process(history, tmp_path, spawn):
    program = f"""
import sys
import matplotlib
matplotlib.rcParams["backend"] = "svg"
before = dict(matplotlib.rcParams)
from pathlib import Path
import numpy as np
import train.evaluation.judgement as judgement
import train.run.history as history
print(matplotlib.get_backend(), dict(matplotlib.rcParams) == before, "matplotlib.pyplot" in sys.modules)
folder = Path({str(tmp_path)!r})
history.draw_curves({{"a": Path({str(history)!r})}}, folder / "curves.png")
judged = judgement.Judgement(np.array([[0.9, 0.1]]), np.array([1]), ["a", "b"])
judgement.draw_confusion(judged, folder / "confusion.png")
judgement.draw_mistakes(judged, judged.mistakes(), [np.zeros((8, 8, 1), np.uint8)], folder / "mistakes.png")
print(matplotlib.get_backend(), dict(matplotlib.rcParams) == before, "matplotlib.pyplot" in sys.modules)
"""
    outcome = spawn("-c", program)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == ["svg True False"] * 2
    assert {path.name for path in tmp_path.glob("*.png")} == {"curves.png", "confusion.png", "mistakes.png"}


@pytest.fixture
def curves(capsys):
    """`curves(...)` is `python -m train.curves ...` in this process: its exit code and its lines on stderr."""
    from train.curves import run_main

    def curves(*arguments):
        code = run_main([str(argument) for argument in arguments])
        return code, capsys.readouterr().err.splitlines()

    return curves


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "there is no such file."),
        ("", "lacks the columns epoch, loss, accuracy, val_loss, val_accuracy; it has none."),
        ("epoch,loss\n0,1\n", "lacks the columns accuracy, val_loss, val_accuracy; it has epoch, loss."),
        ("epoch,loss,accuracy,val_loss,val_accuracy\n", "has no epoch yet."),
        ("epoch,loss,accuracy,val_loss,val_accuracy\n0,1\n", "is damaged"),
        (b"\xff\xfe\x00", "is damaged"),
    ],
    ids=["missing", "empty", "columns", "header", "row", "bytes"],
)
def test_a_history_that_cannot_be_drawn_is_named_in_one_line(curves, tmp_path, content, text):
    if content is not None:
        (tmp_path / "h.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, lines = curves(tmp_path / "p.png", f"a={tmp_path / 'h.csv'}")
    assert code in (2, 4) and len(lines) == 1 and lines[0].startswith("curves: ") and text in lines[0]
    assert not (tmp_path / "p.png").exists()


def test_a_picture_that_cannot_be_written_is_named_in_one_line(curves, history, tmp_path):
    assert curves(tmp_path / "p.jpg", f"a={history}") == (
        2,
        [f"curves: the picture must end in .png; got {tmp_path}/p.jpg."],
    )
    assert curves(tmp_path / "none" / "p.png", f"a={history}") == (
        2,
        [f"curves: {tmp_path}/none: there is no such folder."],
    )
    code, lines = curves("gs://bucket/p.png", f"a={history}")
    assert code == 2 and len(lines) == 1 and "must be a local path" in lines[0]


def test_help_of_the_curves_is_no_error(curves, history):
    assert curves("-h", f"a={history}") == (0, [])
