"""The precision of the layers that surgery makes: that of the network, whatever the session's policy is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import keras

from keras_resunits.units.unit import units_of

T = TypeVar("T")
P = ParamSpec("P")


def in_its_policy(operation: Callable[Concatenate[keras.Model, P], T]) -> Callable[Concatenate[keras.Model, P], T]:
    """Let an operation run in the dtype policy of the network's first unit: a series of another would round values."""

    @wraps(operation)
    def run(model: keras.Model, *args: P.args, **kwargs: P.kwargs) -> T:
        outer = keras.config.dtype_policy()
        keras.config.set_dtype_policy(next((unit.dtype_policy for unit in units_of(model)), outer))
        try:
            return operation(model, *args, **kwargs)
        finally:
            keras.config.set_dtype_policy(outer)

    return run
