"""The gates of a run over its epochs, read from files."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import keras_resunits as kr

TEXT = "epoch,unit000,unit001\n1,0.9,1.1\n2,0.5,NA\n3,0.25,1.25\n"


@pytest.fixture
def record(tmp_path):
    """The folder of a run with a record of three epochs."""
    (tmp_path / "gates.csv").write_text(TEXT)
    return tmp_path


def test_a_record_is_read_from_a_run_or_a_file(record):
    found = kr.analysis.gates_over_time(record)
    assert found.units == ("unit000", "unit001")
    assert found.rows[1] == {"epoch": 2, "unit000": 0.5, "unit001": None}
    np.testing.assert_array_equal(found.arrays["epoch"], [1, 2, 3])
    np.testing.assert_array_equal(found.arrays["gates"], [[0.9, 1.1], [0.5, np.nan], [0.25, 1.25]])
    assert kr.analysis.gates_over_time(str(record / "gates.csv")).rows == found.rows
    assert str(found).splitlines()[2].split() == ["2", "0.5", "-"]


def test_the_picture_has_an_epoch_a_column_and_a_unit_a_row(record):
    axes = Figure().subplots()
    assert kr.analysis.gates_over_time(record).plot(axes) is axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array()[:, 2], [0.25, 1.25])
    assert image.get_extent() == [0.5, 3.5, 1.5, -0.5]
    assert axes.get_legend() is None and not any(line.get_visible() for line in axes.get_xgridlines())
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["000", "001"]


def test_a_run_without_a_record_is_refused_with_the_reason(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gates.csv' does not exist.*Networks without scalar gates write none"):
        kr.analysis.gates_over_time(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one row. Received: .* with nothing ... and 0 rows"),
        ("epoch,unit000\n", "at least one row"),
        ("step,unit000\n1,1.0\n", r"Received: .* with step, unit000 ... and 1 rows"),
        (TEXT + "4,0.2\n", "is damaged: a row must have 3 values. Received: 2"),
        (TEXT + "4,0.2,x\n", "is damaged: could not convert string to float: 'x'"),
    ],
)
def test_what_is_no_record_is_refused(text, message, tmp_path):
    (tmp_path / "gates.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        kr.analysis.gates_over_time(tmp_path)
