"""Workers as processes on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack

from ..process.commands import PACKAGE

LAUNCHED = "KERAS_RESUNITS_LAUNCHED"  # tells workers the command that started them


def free_addresses(count: int) -> list[str]:
    """Free local addresses, `127.0.0.1:port`."""
    with ExitStack() as opened:  # all at once, so that no two are the same
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def tf_config(addresses: list[str], number: int) -> str:
    """The value of `TF_CONFIG` for worker `number`.

    >>> tf_config(["a:1", "b:1"], 1)
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    """
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})


def worker_environment(addresses: list[str], number: int) -> dict[str, str]:
    """The environment variables that make a process worker `number`, on the CPU."""
    return {"TF_CONFIG": tf_config(addresses, number), "CUDA_VISIBLE_DEVICES": ""}


def start(addresses: list[str], number: int, arguments: list[str], module: str = PACKAGE, **popen) -> subprocess.Popen:
    """Start worker `number` of a cluster as a process: `python -m module arguments`."""
    command = [sys.executable, "-m", module, *arguments]
    # in its own process group, so that Ctrl-C arrives once, from the launcher, and not again from the terminal
    beside = {**os.environ, **worker_environment(addresses, number)}
    return subprocess.Popen(command, env=beside, text=True, process_group=0, **popen)
