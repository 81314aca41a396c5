"""The imports of TensorFlow and Keras, which take seconds: silent, without what nothing here uses, and not searched
for garbage."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from .errors import RunError, StorageError
from .files import why

# What they import where it is installed, for TensorFlow Lite's converter, Keras' galleries of images and its wrappers
# for scikit-learn: a third of the seconds. In this process those will say that it is not installed.
UNUSED = ("jax", "matplotlib", "sklearn")
ENVIRONMENT = {
    # On CPUs without AVX512_VNNI and the like TensorFlow leaves these kernels out; with them training was 1.6 times
    # as fast on one of them (docs/results/measured.md).
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",  # messages about drivers that TensorFlow did not find are no news
}
"""How TensorFlow starts, where the environment does not say otherwise."""


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports: a million objects come, and all stay. Python's collector waits, and passes over them ever
    after, in tracing above all. Where TensorFlow is there already, only silent."""
    first, collects = "tensorflow" not in sys.modules, gc.isenabled()
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
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


@contextmanager
def native_stderr_held() -> Iterator[None]:
    """Hold back what is written to standard error at the level of the process; show it if the block fails without
    saying why, not if the user ends it."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError as error:
            raise StorageError(f"{why(error)} making a temporary file; TMPDIR names the folder.") from error
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, RunError):  # which say what is wrong
            raise
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


# In training steps these find nothing that makes them faster; to look takes 0.6 s for a network of 164 layers.
FRUITLESS = ("arithmetic_optimization", "constant_folding")


def trace_lightly() -> None:
    """On processors, leave out those of TensorFlow's graph optimisers that cost more than they bring. With other
    devices, where nobody measured, all stay."""
    import tensorflow as tf

    if {device.device_type for device in tf.config.list_physical_devices()} == {"CPU"}:
        tf.config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, False))
