"""`python -m MODULE ...`, forked from a process with the imports done, which are half of a small run's time.

The fork server is multiprocessing's. A forked process differs from a command in its start and end. Importing TensorFlow
prints nothing, and reads the server's environment; strings have the server's hashes; there is no standard input; and
the process ends by `os._exit`, without exit handlers. Where that matters, and once for one process and for several
workers (`test_program.py`, `test_strategy.py`), tests use `spawn`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.threads import persons_environment
from train.cluster.processes import worker_environment

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.preloaded"])


class Forked:
    """The part of `subprocess.Popen` that the tests use.

    Args:
        module: The module to run as `__main__`, or the path of a script or of a folder with one.
        arguments: Its command line.
        cwd: The working folder.
        environment: Variables in addition to the test's.
    """

    def __init__(self, module: str, *arguments: str, cwd: Path = ROOT, **environment: str):
        (out, its_out), (err, its_err) = (CONTEXT.Pipe(duplex=False) for _ in range(2))
        given = (module, arguments, cwd, {**persons_environment(), **environment}, (its_out, its_err))
        self._process = CONTEXT.Process(target=_run, args=given, daemon=True)
        self._process.start()
        for stream in (its_out, its_err):
            stream.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(stream.fileno())) for stream in (out, err))
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; `None` while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; return the exit code."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()


def forked_worker(addresses: list[str], number: int, module: str, *arguments: str, **options) -> Forked:
    """Worker `number` of a cluster, started as by `train.launch`."""
    return Forked(module, *arguments, **worker_environment(addresses, number), **options)


def _run(module: str, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], streams) -> None:
    """Run the module or script in the forked process."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.fileno(), number)
        stream.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    if os.sep in module:
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
