"""The axes that analyses draw in: their sizes, their texts, and the names of units along them."""

from __future__ import annotations

import numpy as np
import pytest

from keras_resunits.analysis.drawing import axes_or_new, finished, name_units, panels
from keras_resunits.analysis.records import Record


def test_an_analysis_draws_in_given_axes_or_in_those_of_a_new_figure():
    ax = axes_or_new(None)
    assert axes_or_new(ax) is ax
    assert ax.figure.get_size_inches().tolist() == [6.4, 3.6] and ax.figure.dpi == 120
    assert ax.figure._repr_png_().startswith(b"\x89PNG")  # as a notebook shows it


def test_panels_stand_side_by_side_and_share_the_vertical_axis():
    first, *others = axes = panels(3)
    assert len(axes) == 3 and first.figure.get_size_inches() == pytest.approx([9.6, 3.4])
    first.set_ylim(2, 7)
    assert [ax.get_ylim() for ax in others] == [(2, 7)] * 2
    assert len({round(ax.get_position().y0, 6) for ax in axes}) == 1


@pytest.mark.parametrize("legend", [True, False])
def test_texts_are_small_and_written_as_they_are(legend):
    ax = axes_or_new(None)
    ax.plot([1, 2], label="loss")
    assert finished(ax, "of $x", "unit", "share", **({} if legend else {"legend": False})) is ax
    title = ax.title
    assert (title.get_text(), title.get_fontsize(), title.get_parse_math()) == ("of $x", 10, False)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("unit", "share")
    assert {side for side, spine in ax.spines.items() if spine.get_visible()} == {"left", "bottom"}
    line = ax.get_xgridlines()[0]
    assert (line.get_alpha(), line.get_linewidth()) == (0.25, 0.6)
    found = ax.get_legend()
    assert (found is not None) == legend
    if found:
        assert found.get_texts()[0].get_fontsize() == 8 and not found.get_frame_on()


@pytest.mark.parametrize(("count", "step"), [(3, 1), (10, 1), (11, 2), (20, 2), (54, 6)])
@pytest.mark.parametrize("along", ["x", "y"])
def test_ten_units_at_most_are_named(count, step, along):
    ax = axes_or_new(None)
    name_units(ax, [f"unit{i:03d}" for i in range(count)], **({} if along == "x" else {"along": along}))
    ticks, texts = getattr(ax, f"get_{along}ticks")(), getattr(ax, f"get_{along}ticklabels")()
    assert list(ticks) == list(range(0, count, step))
    assert [text.get_text() for text in texts] == [f"{i:03d}" for i in range(0, count, step)]


def test_a_record_prints_as_a_table():
    rows = [{"unit": "unit000", "share": 0.12345, "count": 12_345}, {"unit": "all", "share": None, "count": 7}]
    record = Record(rows, {"share": np.zeros(2)})
    lines = ["unit     share  count", "unit000  0.123  12345", "all          -      7"]
    assert str(record) == repr(record) == "\n".join(lines)
    assert str(Record([])) == "no rows"
