"""Retries: how often, how long between, and when no more."""

from __future__ import annotations

import time

import pytest

from keras_resunits_client import DeadlineExceeded, Refused, Retries, Unavailable
from keras_resunits_client import retries as module


def failing(times: int, error: type[Exception] = Unavailable):
    """A request that fails some times; `seconds` lists what each attempt had left."""
    seconds: list[float] = []

    def request(left: float) -> str:
        seconds.append(left)
        if len(seconds) <= times:
            raise error("no luck")
        return "answer"

    return request, seconds


def test_every_attempt_has_the_rest_of_the_deadline():
    request, seconds = failing(2)
    assert Retries(deadline=5, pause=0.02).call(request) == "answer"
    assert 5 >= seconds[0] > seconds[1] > seconds[2] > 4


def test_pauses_are_drawn_below_a_bound_that_doubles(monkeypatch):
    bounds = []
    monkeypatch.setattr(module.random, "uniform", lambda low, high: bounds.append((low, high)) or 0)
    with pytest.raises(Unavailable):
        Retries(attempts=6, pause=0.1, longest=0.5).call(failing(9)[0])
    assert bounds == [(0, 0.1), (0, 0.2), (0, 0.4), (0, 0.5), (0, 0.5), (0, 0.5)]


def test_only_what_may_pass_is_tried_again():
    request, seconds = failing(9, Refused)
    with pytest.raises(Refused):
        Retries().call(request)
    assert len(seconds) == 1


def test_no_attempt_begins_after_the_deadline():
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.3 s; the last attempt: no luck"):
        Retries(deadline=0.3, attempts=1000, pause=0.05, longest=0.1).call(failing(1000)[0])
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("wrong", [{"deadline": 0}, {"deadline": float("nan")}, {"attempts": 0}])
def test_limits_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retries(**wrong)
