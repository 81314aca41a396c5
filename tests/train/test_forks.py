"""Forked processes run a module like `python -m`."""

from __future__ import annotations

import os
import signal

from tests.support.forks import Forked
from tests.support.paths import ROOT
from tests.support.processes import Process, finished

TOLD = "import os, sys; print(sys.argv[-1][:6], 'sklearn' in sys.modules, os.getcwd(), os.environ['GIVEN'])"


def test_a_forked_process_has_its_imports_done_and_ends_like_a_command():
    outcome = finished("timeit", "-n1", "-r1", f"{TOLD}; raise ValueError('odd')", GIVEN="word")
    assert outcome.out == f"import True {ROOT} word\n"
    assert outcome.code == 1 and outcome.err.splitlines()[-1] == "ValueError: odd"
    assert "GIVEN" not in os.environ


def test_signals_reach_a_forked_process():
    process = Process(Forked("timeit", "-n1", "-r1", "print('here', flush=True); import time; time.sleep(600)"))
    process.has_said("here")
    process.popen.terminate()
    assert process.ended().code == -signal.SIGTERM
