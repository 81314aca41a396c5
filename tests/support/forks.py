"""`python -m MODULE ...`, forked from a process that has the imports behind it: they are half of a small run's seconds.

The server that forks is multiprocessing's. A forked process differs from a command in its beginning and its end:
nothing is written while TensorFlow is imported, what TensorFlow reads from the environment then is the server's,
strings have the server's hashes, there is no standard input, and the process leaves by `os._exit`, without what is
registered for the interpreter's end. Where that matters, and once for each strategy (`test_strategy.py`,
`test_main.py`), tests `spawn`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from train.cluster.processes import worker_environment

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.preloaded"])


class Forked:
    """As much of a `subprocess.Popen` as the tests use.

    Args:
        module: What runs as `__main__`.
        arguments: Its command line.
        cwd: The folder that it runs in.
        environment: Beside the test's own.
    """

    def __init__(self, module: str, *arguments: str, cwd: Path = ROOT, **environment: str):
        (out, its_out), (err, its_err) = (CONTEXT.Pipe(duplex=False) for _ in range(2))
        given = (module, arguments, cwd, {**os.environ, **environment}, (its_out, its_err))
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
        """Until it ends."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()


def forked_worker(addresses: list[str], number: int, module: str, *arguments: str, **options) -> Forked:
    """Worker `number` of a cluster, as `train.launch` starts it."""
    return Forked(module, *arguments, **worker_environment(addresses, number), **options)


def _run(module: str, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], streams) -> None:
    """In the forked process."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.fileno(), number)
        stream.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
