"""Workers find each other before TensorFlow looks for them: it waits without a word, for an hour or for ever, and holds
Python's lock meanwhile, so that no thread and no signal handler could end it."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..process.errors import ClusterError

GO, TWICE = b"go\n", b"twice\n"


POLL = 0.5  # seconds until a wait looks at the clock


def meet(addresses: list[str], number: int, timeout: float) -> None:
    """Return when all workers are there; what is waited for is said on standard error after five seconds.

    The first worker listens at its address until each of the others has told its number there. TensorFlow's server
    takes the port over.

    Args:
        addresses: "host:port" of all workers.
        number: Which of them this is.
        timeout: Seconds.

    Raises:
        ClusterError: if one does not appear in time, or two have one number.
    """
    patience = _Patience(number, timeout)
    if number == 0:
        _gather(addresses, patience)
    else:
        _report(addresses, number, patience)


@contextmanager
def fatal_after(seconds: float) -> Iterator[None]:
    """SIGALRM ends the process after `seconds`: all that can, where a thread waits that holds Python's lock.

    For the moment after `meet`, in which a worker that dies would leave TensorFlow waiting for it.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def cannot_join(addresses: list[str], number: int, why: str) -> ClusterError:
    """Two processes for one place."""
    return ClusterError(
        f"worker {number} of {len(addresses)} cannot join at {addresses[number]}: {why}. "
        "Is the port taken, or another worker started with the same task index?"
    )


class _Patience:
    """Says what is waited for, and until when."""

    def __init__(self, number: int, timeout: float):
        self.number, self.timeout, self.began, self.next = number, timeout, time.monotonic(), 5.0

    def spend(self, missing: list[str]) -> None:
        waited = time.monotonic() - self.began
        others = ", ".join(missing)
        if waited >= self.timeout:
            raise ClusterError(f"worker {self.number}: not all workers appeared in {waited:.0f} s; wanted {others}.")
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
            except (OSError, ValueError):  # nobody came, or somebody else did
                continue
            if number in present and _is_open(present[number]):
                connection.sendall(TWICE)
                connection.close()
            elif 0 < number < len(addresses):
                present[number] = connection
    for connection in present.values():
        with connection, suppress(OSError):  # one that ends just now is TensorFlow's to find out
            connection.sendall(GO)
            connection.recv(1)  # the other side closes first, and so keeps no port of this one busy


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
            raise cannot_join(addresses, number, "it is there already")
        time.sleep(POLL)


def _answer(connection: socket.socket, addresses: list[str], patience: _Patience) -> bytes:
    while True:
        try:
            return connection.recv(16)
        except TimeoutError:
            patience.spend([f"{addresses[0]} (it waits for others)"])


def _is_open(connection: socket.socket) -> bool:
    """Whether the other side, which says no more than its number, still holds the connection."""
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
