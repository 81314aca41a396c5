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


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (3, 3), (-9, 137)])
def test_the_command_ends_as_its_workers_or_as_a_shell_tells_a_signal(ended, code, monkeypatch):
    given = []
    monkeypatch.setattr(launch, "launch", lambda *arguments: given.append(arguments) or ended)
    monkeypatch.setattr("sys.argv", ["launch", "--workers=64", "--", "--epochs=3"])
    with pytest.raises(SystemExit) as end:
        launch.main()
    assert (end.value.code, given) == (code, [(64, ["--epochs=3"])])
