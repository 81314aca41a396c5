"""Workers find each other before TensorFlow connects them.

TensorFlow waits silently for missing workers, for an hour or forever. It holds Python's GIL meanwhile, so that neither
a thread nor a signal handler can end the process.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..process.errors import ClusterError

GO, TWICE = b"go\n", b"twice\n"


POLL = 0.5  # seconds between two checks of the clock


def meet(addresses: list[str], number: int, timeout: float) -> None:
    """Return when all workers are present; after five seconds, print the missing ones to standard error.

    The first worker listens at its address until each of the others has sent its number there. TensorFlow's server
    then takes over the port.

    Args:
        addresses: "host:port" of all workers.
        number: This worker's index in `addresses`.
        timeout: Seconds to wait.

    Raises:
        ClusterError: if a worker does not appear in time, or two have the same number.
    """
    patience = _Patience(number, timeout)
    if number == 0:
        _gather(addresses, patience)
    else:
        _report(addresses, number, patience)


@contextmanager
def fatal_after(seconds: float) -> Iterator[None]:
    """SIGALRM ends the process after `seconds`; nothing else can while TensorFlow waits and holds Python's GIL.

    Covers the moment after `meet`, when TensorFlow would wait forever for a worker that dies.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def cannot_join(addresses: list[str], number: int, why: str) -> ClusterError:
    """The error for two processes that claim the same place."""
    return ClusterError(
        f"worker {number} of {len(addresses)} cannot join at {addresses[number]}: {why}. "
        "Is the port taken, or another worker started with the same task index?"
    )


class _Patience:
    """Prints which workers are missing, and raises when the time is over."""

    def __init__(self, number: int, timeout: float):
        self.number, self.timeout, self.began, self.next = number, timeout, time.monotonic(), 5.0

    def spend(self, missing: list[str]) -> None:
        waited = time.monotonic() - self.began
        others = ", ".join(missing)
        if waited >= self.timeout:
            raise ClusterError(f"worker {self.number}: not all workers appeared in {waited:.0f} s; missing: {others}.")
        if waited >= self.next:
            print(f"waiting for workers ({waited:.0f} s of {self.timeout:.0f}): {others}", file=sys.stderr, flush=True)
            self.next += 30.0


def _gather(addresses: list[str], patience: _Patience) -> None:
    _, port = _parts(addresses[0])
    try:
        if socket.has_dualstack_ipv6():
            server = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            server = socket.create_server(("", port))
    except OSError as error:
        raise cannot_join(addresses, 0, error.strerror or str(error)) from error
    server.settimeout(POLL)
    present: dict[int, socket.socket] = {}
    with server:
        while True:
            present = {number: connection for number, connection in present.items() if _is_open(connection)}
            missing = [address for number, address in enumerate(addresses) if number and number not in present]
            if not missing:
                break
            patience.spend(missing)
            try:
                connection, _ = server.accept()
                connection.settimeout(POLL)
                number = int(connection.recv(16))
            except (OSError, ValueError):  # no connection, or not from a worker
                continue
            if number in present and _is_open(present[number]):
                connection.sendall(TWICE)
                connection.close()
            elif 0 < number < len(addresses):
                present[number] = connection
    for connection in present.values():
        with connection, suppress(OSError):  # TensorFlow detects a worker that ends just now
            connection.sendall(GO)
            connection.recv(1)  # the other side closes first, so that no port here stays in TIME_WAIT


def _report(addresses: list[str], number: int, patience: _Patience) -> None:
    while True:
        patience.spend(addresses[:1])
        try:
            with socket.create_connection(_parts(addresses[0]), timeout=POLL) as connection:
                connection.sendall(f"{number}\n".encode())
                answer = _answer(connection, addresses, patience)
        except OSError:
            answer = b""
        if answer == GO:
            return
        if answer == TWICE:
            raise cannot_join(addresses, number, f"worker {number} is already present")
        time.sleep(POLL)


def _answer(connection: socket.socket, addresses: list[str], patience: _Patience) -> bytes:
    while True:
        try:
            return connection.recv(16)
        except TimeoutError:
            patience.spend([f"{addresses[0]} (it is waiting for others)"])


def _is_open(connection: socket.socket) -> bool:
    """Whether the other side, which sends nothing after its number, still holds the connection."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(POLL)


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
