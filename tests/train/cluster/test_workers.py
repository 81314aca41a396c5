"""Workers that differ are refused before they start, and the end of one is told by what it means to the others."""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf

from train.cluster.strategy import Place, require_one_device
from train.cluster.workers import _cause, chief_first, leaving_together, require_agreement
from train.process.errors import BadInput, ClusterError

WANTED = {"seed": 3, "run": "mine"}


@pytest.fixture
def two(two_devices):
    """Worker 1 of two; each device stands for a worker, and both have the same numbers."""
    return Place(two_devices, "two devices", number=1, workers=2)


def test_the_numbers_of_all_workers_are_gathered(two):
    assert two.gathered([7, 8]).tolist() == [[7, 8], [7, 8]]
    assert two.all_did(True) is True and two.all_did(False) is False
    alone = Place(tf.distribute.get_strategy(), "the CPU")
    assert (alone.is_chief, two.is_chief) == (True, False)
    assert alone.all_did(True) is True and alone.all_did(False) is False


class Unlike(Place):
    """Beside a worker 0 whose last number is another, on two devices each; only two processes could really differ."""

    def gathered(self, numbers):
        theirs = [*numbers[:-1], numbers[-1] - 1]
        return np.array([theirs, theirs, numbers, numbers])


def test_workers_agree_or_are_told_what_differs(two):
    require_agreement(two, WANTED)
    unlike = Unlike(two.strategy, two.taken, number=1, workers=2)
    with pytest.raises(ClusterError, match=r"^worker 1 has seed=3, unlike worker 0\. Start all with the same flags"):
        require_agreement(unlike, WANTED)
    require_agreement(Unlike(two.strategy, two.taken), WANTED)  # one worker has nobody to agree with
    assert unlike.all_did(True) is False  # the other did not


class Later(Unlike):
    """Beside a worker 1 whose first two numbers are others, and which leaves at once."""

    def gathered(self, numbers):
        if self.watch.gathered:
            raise tf.errors.UnavailableError(None, None, "gone")
        self.watch.gathered += 1
        theirs = [number + 1 for number in numbers]
        return np.array([numbers, numbers, theirs, theirs])


class Watched:
    """Keeps what was watched."""

    def __init__(self):
        self.gathered, self.what = 0, []

    def __call__(self, what):
        self.what.append(what)
        return nullcontext()


def test_every_worker_and_every_value_is_compared_under_the_watch(two):
    later = Later(two.strategy, two.taken, number=0, workers=2, watch=Watched())
    with pytest.raises(ClusterError, match=r"^worker 0 has run='mine', seed=3, unlike worker 1\. .* --output\.$"):
        require_agreement(later, WANTED)
    place = Place(two.strategy, two.taken, number=1, workers=2, watch=Watched())
    assert chief_first(place, lambda: "read") == "read"
    assert later.watch.what == place.watch.what == ["comparing flags and data"]


@pytest.mark.parametrize("number", [0, 1])
def test_each_worker_does_what_is_the_chiefs_to_do_first_once(two_devices, number):
    done = []

    def what():
        done.append(number)
        return f"made by {number}"

    assert chief_first(Place(two_devices, "", number, workers=2), what) == f"made by {number}"
    assert done == [number]


def test_a_single_worker_raises_its_errors_as_they_are():
    with pytest.raises(ZeroDivisionError), leaving_together(Place(tf.distribute.get_strategy(), "the CPU")):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        (ZeroDivisionError("by mine"), 1, "ZeroDivisionError: by mine"),
        (BadInput("wrong"), 2, "train: wrong"),
        (tf.errors.AbortedError(None, None, "/task:0"), ClusterError.code, "worker 1 of 2: worker 0 ended"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_any_error_of_one_of_two_ends_the_process_at_once(two, monkeypatch, capsys, error, code, last):
    ended = []

    def exit_now(code):
        ended.append(code)
        raise SystemExit  # as nothing after it runs

    monkeypatch.setattr(os, "_exit", exit_now)
    with pytest.raises(SystemExit), leaving_together(two):
        raise error
    assert ended == [code]
    assert last in capsys.readouterr().err.splitlines()[-1]


GONE = "Collective ops is aborted by: connection reset by /job:worker/replica:0/task:{} Additional GRPC error"


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        (tf.errors.DeadlineExceededError, "too late", r"^another worker did not answer: it is stuck or gone\. Start"),
        (tf.errors.UnavailableError, "/task:0 heartbeat timeout", r"^worker 0 did not answer: .* \(/task:0 heartbeat"),
        (tf.errors.AbortedError, GONE.format(0), r"^worker 0 ended, or was restarted without the others\. Start"),
        (tf.errors.UnavailableError, GONE.format(0), r"^worker 0 is gone; its own .* \(connection \S+ by \S+0\)\.$"),
        (tf.errors.InternalError, GONE.format(1), r"^another worker is gone; "),  # task 1 is this worker
        (tf.errors.CancelledError, "/task:0 and /task:2", r"^worker 0 and 2 or one of them is gone; its own last line"),
        (tf.errors.UnavailableError, "Graph execution error: /task:0", r"^worker 0 is gone; .* checkpoint\.$"),
        (tf.errors.UnavailableError, "x" * 300, r" \(x{160}\)\.$"),
        (tf.errors.InvalidArgumentError, "x" * 300, r"^InvalidArgumentError: x{200}\.$"),
    ],
)
def test_an_error_of_an_exchange_tells_what_became_of_the_others(two, kind, text, line):
    with pytest.raises(ClusterError, match=line):
        raise ClusterError(_cause(kind(None, None, text), two))


def test_a_compiled_step_requires_one_device(two):
    require_one_device(False, two)
    require_one_device(True, Place(tf.distribute.get_strategy(), "the CPU"))
    with pytest.raises(BadInput, match=r"^--jit_compile requires one device, got 2 \(two devices\); pass"):
        require_one_device(True, two)
