"""Histories are read back and drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from tests.support.processes import finished
from train.process.errors import StorageError
from train.run.history import _colour, _falls, cut_history, draw_curves, read_history

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


def test_a_history_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(StorageError, match=r"history\.csv cannot be read \(Is a directory\)\.$"):
        read_history(tmp_path / "history.csv")


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


@pytest.mark.parametrize(
    ("epochs", "ticks", "margin"),
    [
        (2, [1, 2], 0.5),
        (3, [1, 2, 3], 0.5),
        (11, list(range(1, 12)), 0.5),
        (12, [2, 4, 6, 8, 10, 12], 0.5),
        (40, [5, 10, 15, 20, 25, 30, 35, 40], 0.8),
        (164, [20, 40, 60, 80, 100, 120, 140, 160], 3.28),
    ],
)
def test_ticks_stand_at_whole_epochs_of_the_run_between_small_margins(draw, epochs, ticks, margin):
    for axes in draw({"few": written([(2.3, 0.1)] * epochs)}).axes:
        assert axes.get_xticks().tolist() == ticks
        assert axes.get_xlim() == pytest.approx((1 - margin, epochs + margin))


@pytest.mark.parametrize(
    ("losses", "scale", "limits", "ticks"),
    [
        ([4.9, 1.0], "linear", (1 - 0.08 * 3.9, 4.9 + 0.08 * 3.9), None),  # by matplotlib's margin
        ([5.0, 1.0], "log", (5**-0.05, 5**1.05), [1, 2, 5]),
        ([100.0, 1.0], "log", (100**-0.05, 100**1.05), [1, 2, 5, 10, 20, 50, 100]),
        ([401.0, 1.0], "log", (401**-0.05, 401**1.05), [1, 2, 5, 10, 20, 50, 100, 200, 500]),
        ([1000.0, 1.0], "log", (1000**-0.05, 1000**1.05), [1, 10, 100, 1000]),
        ([1e10, 1.0], "log", (1e10**-0.05, 1e10**1.05), [1e0, 1e2, 1e4, 1e6, 1e8, 1e10]),
        ([4.0, 1.0, 0.0], "linear", (-0.16, 4.2), None),
        ([100.0, 1.0, 0.0], "symlog", (-0.3, 100**1.05), [0, 1, 2, 5, 10, 20, 50, 100]),
        ([0.0], "linear", (-0.04, 1.05), None),
        ([float("nan"), 2.0], "linear", None, None),
    ],
)
def test_the_values_span_the_axis(draw, losses, scale, limits, ticks):
    loss, _ = draw({"a": written([(x, 0.5) for x in losses])}).axes
    assert loss.get_yscale() == scale
    if limits:
        assert loss.get_ylim() == pytest.approx(limits)
    if ticks:
        assert loss.get_yticks() == pytest.approx(ticks)
    if scale == "symlog":
        assert (loss.yaxis.get_transform().linthresh, loss.yaxis.get_transform().linscale) == (1.0, 0.4)


WIDTHS = {"train": 0.9, "test": 1.8, "test, averaged weights": 1.2, "learning rate drops (to 1/3 or less)": 1.1}


def test_each_style_of_line_looks_like_itself_in_the_panels_and_in_the_legend(draw):
    header = "epoch,accuracy,loss,val_accuracy,val_ema_accuracy,val_ema_loss,val_loss,learning_rate\n"
    rows = [f"{i},0.5,1,0.4,0.6,0.9,1,{rate}\n" for i, rate in enumerate((0.3, 0.3, 0.1))]
    figure = draw([(f"run {i}", header + "".join(rows)) for i in range(2)])
    for axes in figure.axes:
        for i in range(2):
            lines = axes.lines[4 * i : 4 * i + 4]
            assert [line.get_linewidth() for line in lines] == list(WIDTHS.values())
            assert {to_hex(line.get_color()) for line in lines} == {to_hex(f"C{i}")}
            *_, fall = lines
            assert fall.get_zorder() == 1 and fall.get_xdata()[0] == 2.5
            assert fall._unscaled_dash_pattern == (2 * i, (1, 3))  # side by side
        assert [line.get_linestyle() for line in axes.lines[:3]] == ["--", "-", "-."]
        assert [line.get_marker() for line in axes.lines[:3]] == ["o", "o", "s"]
    drawn = figure.legends[0]
    assert legend(figure)[2:] == list(WIDTHS) and drawn._ncols == 2 and not drawn.get_frame_on()
    handles = dict(zip([text.get_text() for text in drawn.get_texts()], drawn.legend_handles, strict=True))
    assert handles[legend(figure)[0]].get_linewidth() == 4
    assert [handles[name].get_linewidth() for name in WIDTHS] == list(WIDTHS.values())


@pytest.mark.parametrize(("runs", "height"), [(1, 4.2 + 4 * 0.22), (4, 4.2 + 4 * 0.22), (6, 4.2 + 6 * 0.22)])
def test_the_picture_has_room_for_the_legend(draw, runs, height):
    figure = draw([(f"run {i}", written([(2.0, 0.5), (1.0, 0.6)])) for i in range(runs)])
    assert figure.get_size_inches() == pytest.approx([10, height])
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(entries) == 2 * max(runs, 2) and entries[max(runs, 2) :][:2] == ["train", "test"]


def test_twenty_runs_have_colours_of_their_own_the_first_ten_matplotlibs():
    colours = [to_hex(_colour(number)) for number in range(20)]
    assert colours[:10] == [to_hex(f"C{i}") for i in range(10)]
    assert len(set(colours)) == 20


@pytest.mark.parametrize(("length", "shown"), [(31, "x" * 31), (32, f"{'x' * 15}…{'x' * 15}")])
def test_a_long_name_is_cut(draw, length, shown):
    figure = draw({"x" * length: written([(2.0, 0.5)])})
    assert figure.get_suptitle() == f"Loss and error over the epochs: {shown}"
    assert legend(figure)[0] == f"{shown}: test loss 2.00, test error 50.00 % after 1 epoch"


def test_a_drop_to_a_third_is_one_and_less_is_none():
    assert _falls([0.3, 0.3, 0.1]) == [2] and _falls([0.3, 0.1, 0.1]) == [1]
    assert _falls([0.29, 0.29, 0.1]) == _falls([0.1, 0.1, 0.3]) == []
    assert _falls([0.3, 0.298, 0.09]) == [2] and _falls([0.3, 0.296, 0.09]) == []  # steady within 1 %


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


def test_the_command_draws_what_it_is_given(history, tmp_path):
    outcome = finished("train.curves", str(tmp_path / "p.png"), f"a={history}")
    assert outcome.code == 0, outcome.err
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.format == "PNG"


def test_help_of_the_curves_is_no_error(curves, history):
    assert curves("-h", f"a={history}") == (0, [])
