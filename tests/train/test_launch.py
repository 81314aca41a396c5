"""The command that starts several workers: what it refuses."""

from __future__ import annotations

import pytest

from train import launch
from train.process.commands import reported


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--workers=0", "launch: argument --workers: expected an integer above 0, at most 2147483647, got '0'"),
        ("--workers=100000", "launch: argument --workers: expected at most 64, got 100000"),
        ("--bogus", "launch: unrecognized arguments: --bogus"),
    ],
)
def test_a_mistake_is_reported_in_one_line(argument, text, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["launch", argument])
    assert reported("launch", launch.main) == 2
    assert capsys.readouterr().err == f"{text}; see --help.\n"
