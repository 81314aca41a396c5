"""The imports of TensorFlow and Keras, which take seconds: silent, and not searched for garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from train.quiet import native_stderr_held


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports: a million objects come, and all stay. Python's collector waits, and passes over them ever
    after, in tracing above all. Where TensorFlow is there already, only silent."""
    first = gc.isenabled() and "tensorflow" not in sys.modules
    if first:
        gc.disable()
    try:
        with native_stderr_held():
            yield
    finally:
        if first:
            gc.freeze()
            gc.enable()
