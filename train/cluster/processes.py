"""Workers as processes of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

from ..process.commands import PACKAGE

LAUNCHED = "KERAS_RESUNITS_LAUNCHED"  # tells workers the command that started them


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def tf_config(addresses: list[str], number: int) -> str:
    """What tells worker `number` its place.

    >>> tf_config(["a:1", "b:1"], 1)
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    """
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})


def worker_environment(addresses: list[str], number: int) -> dict[str, str]:
    """What makes a process worker `number`, on the processor."""
    return {"TF_CONFIG": tf_config(addresses, number), "CUDA_VISIBLE_DEVICES": ""}


def start(addresses: list[str], number: int, arguments: list[str], module: str = PACKAGE, **popen) -> subprocess.Popen:
    """Worker `number` of a cluster, as a process: `python -m module arguments`."""
    command = [sys.executable, "-m", module, *arguments]
    # a group of its own: Ctrl-C comes once, from the launcher, not a second time from the terminal
    beside = {**os.environ, **worker_environment(addresses, number)}
    return subprocess.Popen(command, env=beside, text=True, process_group=0, **popen)
