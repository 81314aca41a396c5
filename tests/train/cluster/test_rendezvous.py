"""Workers meet, report what they wait for, and detect one that is missing, present twice, or a stranger."""

from __future__ import annotations

import re
import signal
import socket
import struct
import threading
import time

import pytest

from train.cluster import rendezvous
from train.cluster.processes import free_addresses
from train.cluster.rendezvous import fatal_after, meet
from train.process.errors import ClusterError


class Meeting:
    """Each worker is a thread; `ends` has what `meet` returned or raised, in the order in which they were started."""

    def __init__(self, count: int):
        self.addresses, self.ends, self.threads = free_addresses(count), [], []

    def start(self, number: int, timeout: float = 20) -> Meeting:
        place = len(self.ends)
        self.ends.append(None)

        def run() -> None:
            try:
                meet(self.addresses, number, timeout)
                self.ends[place] = "met"
            except ClusterError as error:
                self.ends[place] = str(error)

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()
        return self

    def over(self) -> list[str]:
        for thread in self.threads:
            thread.join(30)
        return self.ends


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_all_meet_whatever_their_order_and_the_port_is_free_for_tensorflow(order):
    meeting = Meeting(3)
    for number in order:
        meeting.start(number)
        time.sleep(0.1)
    assert meeting.over() == ["met"] * 3
    _, port = meeting.addresses[0].split(":")
    socket.create_server(("", int(port)), reuse_port=True).close()


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_worker_is_named_while_the_others_wait_and_at_the_end(number, capsys):
    meeting = Meeting(2)
    (end,) = meeting.start(number, timeout=6).over()
    missing = re.escape(meeting.addresses[1 - number])
    assert re.fullmatch(rf"worker {number}: not all workers appeared in [67] s; missing: {missing}\.", end)
    assert re.fullmatch(rf"waiting for workers \(5 s of 6\): {missing}\n", capsys.readouterr().err)


def test_a_host_that_is_unknown_is_one_that_does_not_appear():
    with pytest.raises(ClusterError, match=r"not all workers appeared in \d s; missing: nowhere\.invalid:2222\."):
        meet(["nowhere.invalid:2222", "127.0.0.1:2223"], 1, 1)


def test_a_number_that_is_present_twice_is_refused_and_the_first_continues():
    meeting = Meeting(3).start(0).start(1)
    time.sleep(1)
    meeting.start(1)
    meeting.threads[2].join(20)
    meeting.start(2)
    first, one, twice, two = meeting.over()
    assert (first, one, two) == ("met", "met", "met")
    assert re.match(r"worker 1 of 3 cannot join at .*: worker 1 is already present\. .*the same task index\?$", twice)


def test_a_second_chief_is_refused():
    meeting = Meeting(2).start(0)
    time.sleep(0.5)
    meeting.start(0)
    meeting.threads[1].join(20)
    meeting.start(1)
    first, second, other = meeting.over()
    assert (first, other) == ("met", "met")
    assert re.match(r"worker 0 of 2 cannot join at .*: Address already in use", second)


def test_one_that_went_away_while_it_waited_is_waited_for_again_and_strangers_are_no_workers():
    meeting = Meeting(3).start(0)
    host, port = meeting.addresses[0].split(":")
    time.sleep(0.5)
    for said, hard in ((b"1\n", False), (b"2\n", True), (b"GET / HTTP/1.1\r\n\r\n", False), (b"7\n", False)):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(said)
            time.sleep(0.1)
            if hard:  # as a process that is killed
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    others = [socket.create_connection((host, int(port))) for _ in range(3)]
    for connection, said in zip(others, (b"0\n", b"3\n", b"-1\n"), strict=True):
        connection.sendall(said)
    meeting.start(2)
    time.sleep(1)
    assert meeting.ends == [None, None]
    assert meeting.start(1).over() == ["met"] * 3
    for connection in others:
        with connection:
            connection.settimeout(5)
            assert connection.recv(16) == b""  # they are told nothing


@pytest.mark.parametrize("both", [True, False], ids=["IPv6 too", "IPv4 only"])
def test_workers_meet_on_machines_with_and_without_ipv6(monkeypatch, both):
    if both and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: both)
    meeting = Meeting(2)
    meeting.addresses = [address.replace("127.0.0.1", "[::1]") if both else address for address in meeting.addresses]
    assert meeting.start(0).start(1).over() == ["met"] * 2


def test_one_that_the_first_has_heard_tells_that_others_are_missing():
    meeting = Meeting(3).start(0, timeout=3).start(1, timeout=1.4)
    first, second = meeting.over()
    assert first.endswith(f"missing: {', '.join(meeting.addresses[1:])}.")  # the second has gone meanwhile
    waits = re.escape(f"missing: {meeting.addresses[0]} (it is waiting for others).")
    assert re.search(rf"appeared in [12] s; {waits}$", second)


def test_the_missing_are_named_after_five_seconds_and_every_thirty(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(rendezvous.time, "monotonic", lambda: now[0])  # a clock that does not take its time
    patience = rendezvous._Patience(0, 90)
    told = []
    for waited in range(90):
        now[0] = 100.0 + waited
        patience.spend(["a:1", "b:2"])
        if line := capsys.readouterr().err:
            told.append(line)
    assert told == [f"waiting for workers ({waited} s of 90): a:1, b:2\n" for waited in (5, 35, 65)]
    now[0] = 190.0
    with pytest.raises(ClusterError, match=r"^worker 0: not all workers appeared in 90 s; missing: a:1, b:2\.$"):
        patience.spend(["a:1", "b:2"])


def test_an_alarm_is_set_while_tensorflow_connects_and_not_longer():
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(ZeroDivisionError), fatal_after(30):
            assert 29 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL  # ends the process
            raise ZeroDivisionError
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.signal(signal.SIGALRM, handler)
