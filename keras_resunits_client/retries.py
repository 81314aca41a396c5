"""A request again, after a pause, until it is answered or its deadline is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from keras_resunits_client.errors import DeadlineExceeded, Unavailable

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Retries:
    """How often and for how long a request is tried.

    Pauses are drawn at random between zero and a bound that doubles with every attempt, so that clients that failed
    together do not return together.

    Args:
        deadline: Seconds for a request with all its attempts and pauses.
        attempts: The largest number of attempts.
        pause: Bound of the first pause, in seconds.
        longest: Bound of all pauses, in seconds.

    Raises:
        ValueError: for a deadline that is not positive, or no attempt.

    Example:

    >>> Retries(deadline=1).call(lambda seconds: round(seconds))
    1
    """

    deadline: float = 60.0
    attempts: int = 5
    pause: float = 0.2
    longest: float = 5.0

    def __post_init__(self):
        if not self.deadline > 0:
            raise ValueError(f"`deadline` must be positive seconds. Received: deadline={self.deadline!r}.")
        if self.attempts < 1:
            raise ValueError(f"`attempts` must be at least 1. Received: attempts={self.attempts!r}.")

    def call(self, request: Callable[[float], Answer]) -> Answer:
        """The answer of `request(seconds)`, which is called again as long as it raises `Unavailable`.

        Raises:
            Unavailable: that of the last attempt.
            DeadlineExceeded: if no time is left for another attempt.
        """
        ends = time.monotonic() + self.deadline
        for attempt in range(self.attempts):
            try:
                return request(ends - time.monotonic())
            except Unavailable as error:
                pause = random.uniform(0, min(self.longest, self.pause * 2**attempt))
                if attempt == self.attempts - 1:
                    raise
                if time.monotonic() + pause >= ends:
                    raise DeadlineExceeded(
                        f"no answer within {self.deadline:g} s; the last attempt: {error}"
                    ) from error
                time.sleep(pause)
        raise AssertionError("at least one attempt returns or raises")
