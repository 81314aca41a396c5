"""The imports of TensorFlow and Keras, which take seconds: silent, without what nothing here uses, and not searched
for garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from train.quiet import native_stderr_held

# What they import where it is installed, for TensorFlow Lite's converter, Keras' galleries of images and its wrappers
# for scikit-learn: a third of the seconds. In this process those will say that it is not installed.
UNUSED = ("jax", "matplotlib", "sklearn")


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports: a million objects come, and all stay. Python's collector waits, and passes over them ever
    after, in tracing above all. Where TensorFlow is there already, only silent."""
    first, collects = "tensorflow" not in sys.modules, gc.isenabled()
    try:
        with native_stderr_held():
            if first:
                gc.disable()
                with _absent(UNUSED), suppress(ImportError):  # whoever imports it next says what is wrong
                    import tensorflow  # noqa: F401  (and Keras with it)
            yield
    finally:
        if first and collects:
            gc.freeze()
            gc.enable()


@contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Modules not imported yet are not to be found, for a while."""
    names = tuple(name for name in names if name not in sys.modules)
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None: Python's word for a module to refuse
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
