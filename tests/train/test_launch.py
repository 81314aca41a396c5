"""The command that starts several workers: what it refuses, passes on and repeats."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import pytest

from train import launch
from train.cluster.processes import LAUNCHED, start
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


WAITING = """
import json, os, signal, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: os._exit(number))
print("ready", flush=True)
open(os.path.join({folder!r}, str(json.loads(os.environ["TF_CONFIG"])["task"]["index"])), "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_workers_whose_lines_begin_with_their_numbers(number, tmp_path, monkeypatch, capsys):
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setenv(LAUNCHED, "")  # so that the value set meanwhile is removed after the test
    monkeypatch.setattr(launch, "start", partial(start, module="timeit"))  # workers that only wait

    def asked():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=asked, daemon=True).start()
    try:
        code = launch.launch(2, ["-n1", "-r1", WAITING.format(folder=str(tmp_path))])
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert code == number
    assert sorted(capsys.readouterr().out.splitlines()) == ["[worker 0] ready", "[worker 1] ready"]
    assert os.environ[LAUNCHED].endswith("launch --workers=2 --")


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (3, 3), (-9, 137)])
def test_the_command_ends_as_its_workers_or_as_a_shell_tells_a_signal(ended, code, monkeypatch):
    given = []
    monkeypatch.setattr(launch, "launch", lambda *arguments: given.append(arguments) or ended)
    monkeypatch.setattr("sys.argv", ["launch", "--workers=64", "--", "--epochs=3"])
    with pytest.raises(SystemExit) as end:
        launch.main()
    assert (end.value.code, given) == (code, [(64, ["--epochs=3"])])
