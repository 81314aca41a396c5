"""Numbers at the public edge: Python's or NumPy's but no bools, all checked here and given back as Python's."""

from __future__ import annotations

import math
from numbers import Integral, Real


def is_int(value) -> bool:
    """Whether a value is an int, of Python or NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether a value is a finite number, of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def require_positive_int(value, name: str, where: str) -> int:
    """The value as an int, refusing what is no positive one.

    >>> import numpy as np
    >>> require_positive_int(np.int64(4), "growth", "DenseNet")
    4
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"`{name}` must be a positive int. Received: {name}={value!r} ({where}).")
    return int(value)


def require_number(value, name: str, where: str) -> float:
    """The value as a float, refusing what is no finite number."""
    if not is_number(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r} ({where}).")
    return float(value)


def require_rate(value, name: str, where: str) -> float:
    """The value as a float, refusing a probability of dropping that is not in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r} ({where}).")
    return float(value)


def require_share(value, name: str, where: str) -> float:
    """The value as a float, refusing a part to keep that is not in (0, 1]."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"`{name}` must be a number in (0, 1]. Received: {name}={value!r} ({where}).")
    return float(value)
