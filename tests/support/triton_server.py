"""A real Triton server, from PyPI's `nvidia-pytriton` in an environment of its own, which `tools/triton.sh` makes.

`KERAS_RESUNITS_TRITON` names that environment; without it, tests that use this are skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ENVIRONMENT = os.environ.get("KERAS_RESUNITS_TRITON")


def python() -> str:
    """The interpreter of the environment; the test is skipped where there is none."""
    if not ENVIRONMENT:
        pytest.skip("no Triton: KERAS_RESUNITS_TRITON names no environment (tools/triton.sh makes one)")
    return str(Path(ENVIRONMENT) / "bin" / "python")


def _site_packages() -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python(), "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def _ports(n: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in listening]
    for each in listening:
        each.close()
    return ports


class Triton:
    """A running server: `rest` and `grpc` are its addresses, `log` what it printed."""

    def __init__(self, process: subprocess.Popen, http: int, grpc: int, log: Path):
        self.process, self.log = process, log
        self.rest, self.grpc = f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}"

    def wait(self, within: float = 120) -> None:
        """Wait until it and all its models are ready."""
        deadline = time.monotonic() + within
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-5000:]
            try:
                with urllib.request.urlopen(f"{self.rest}/v2/health/ready", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)


@contextmanager
def started(repository: Path, folder: Path, *options: str) -> Iterator[Triton]:
    """A server of a model repository on loopback, on CPUs only, with dynamic batching as the models ask."""
    packages = _site_packages()
    triton = packages / "pytriton" / "tritonserver"
    version = subprocess.run(
        [python(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    backends = folder / "backends"
    if not backends.exists():  # the backend starts the stub that lies beside it
        (backends / "python").mkdir(parents=True)
        for file in (triton / "backends" / "python").iterdir():
            (backends / "python" / file.name).symlink_to(file)
        stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
        (backends / "python" / stub.name).unlink(missing_ok=True)
        (backends / "python" / stub.name).symlink_to(stub)
    http, grpc = _ports(2)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "PATH": f"{Path(python()).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
    }
    command = [
        triton / "bin" / "tritonserver", f"--model-repository={repository}", f"--backend-directory={backends}",
        "--http-address=127.0.0.1", f"--http-port={http}", "--grpc-address=127.0.0.1", f"--grpc-port={grpc}",
        "--allow-metrics=false", *options,
    ]  # fmt: skip
    log = folder / "triton.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        server = Triton(process, http, grpc, log)
        server.wait()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
