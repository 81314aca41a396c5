"""The imports of TensorFlow and Keras, which take seconds: silent, and not searched for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from train.quiet import native_stderr_held


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports: a million objects come, and all stay. Python's collector waits, and passes over them ever
    after, in tracing above all."""
    gc.disable()
    try:
        with native_stderr_held():
            yield
    finally:
        gc.enable()
    gc.freeze()
