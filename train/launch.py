"""The command that starts several workers on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from typing import NoReturn

from .cluster.processes import LAUNCHED, free_addresses, start
from .process.commands import Parser, command, positive, reported
from .process.files import outlive_full_disks

INTRODUCTION = """Start several workers on this machine, to try and test runs for several machines.

    {launch} --workers=2 -- --epochs=3 --run=mine

Everything after `--` goes to the training command. Each worker's lines begin with its number. SIGTERM and SIGINT are
passed on to all workers. When one fails, the others have a minute to end, and the exit code is that of the first
that failed.
"""
MOST = 64  # workers on one machine, each of which imports TensorFlow
GRACE = 60.0  # seconds that the other workers have to end after the first failure


def launch(workers: int, arguments: list[str]) -> int:
    """Run `workers` workers until all end.

    Returns:
        0 if all succeeded, else the exit code of the first that failed.
    """
    addresses = free_addresses(workers)
    os.environ[LAUNCHED] = f"{command('launch')} --workers={workers} --"
    processes = [
        start(addresses, number, arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for number in range(workers)
    ]
    readers = [threading.Thread(target=_repeat, args=(n, process)) for n, process in enumerate(processes)]
    for reader in readers:
        reader.start()

    def pass_on(number, frame):
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    code = _wait(processes)
    for reader in readers:
        reader.join()
    return code


def _wait(processes: list[subprocess.Popen]) -> int:
    failed, deadline = 0, float("inf")
    while any(process.poll() is None for process in processes):
        time.sleep(0.1)
        if not failed:
            failed = next((process.returncode for process in processes if process.poll()), 0)
            deadline = time.monotonic() + GRACE if failed else deadline
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
    return failed or next((process.returncode for process in processes if process.returncode), 0)


def _repeat(number: int, process: subprocess.Popen) -> None:
    for line in process.stdout or ():
        print(f"[worker {number}] {line}", end="", flush=True)


def main() -> None:
    """Parse the command line, launch the workers, and exit with their code."""
    parser = Parser(
        prog=command("launch"),
        description=INTRODUCTION.format(launch=command("launch")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workers", type=positive, default=2, help=f"the number of workers, at most {MOST}; by default 2"
    )
    parser.add_argument("arguments", nargs="*", help="arguments for the training command, after --")
    given = parser.parse_args()
    if given.workers > MOST:
        parser.error(f"argument --workers: expected at most {MOST}, got {given.workers}")
    code = launch(given.workers, given.arguments)
    sys.exit(code if code >= 0 else 128 - code)  # killed by a signal: the exit code that shells return


def entry() -> NoReturn:
    """The command `keras-resunits-launch`, and `python -m train.launch`."""
    outlive_full_disks()  # workers whose output nobody reads would wait forever
    sys.exit(reported("launch", main))


if __name__ == "__main__":
    entry()
