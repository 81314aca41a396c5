"""The imports of TensorFlow and Keras: silent, and faster.

They take seconds. Packages that nothing here uses are left out, and garbage collection is off meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from .errors import RunError, StorageError, WrongBackend
from .files import why

# Optional imports of TensorFlow Lite's converter, of Keras' image galleries and of its scikit-learn wrappers: a third
# of the import time. In this process, those features report that the package is not installed.
UNUSED = ("jax", "matplotlib", "sklearn")
ENVIRONMENT = {
    # On CPUs without AVX512_VNNI or similar, TensorFlow disables these kernels; on one such CPU, training was 1.6 times
    # as fast with them (docs/results/speed.md).
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",  # hides messages about drivers that TensorFlow did not find
}
"""Environment variables that are set for TensorFlow, unless the user has set them."""


def require_tensorflow_backend() -> None:
    """Refuse another backend before Keras imports it, which fails if it is absent or misspelt.

    Raises:
        WrongBackend: if `KERAS_BACKEND` names another.
    """
    chosen = os.environ.get("KERAS_BACKEND", "")
    if chosen not in ("", "tensorflow"):
        raise WrongBackend(f"training requires Keras on TensorFlow; got KERAS_BACKEND={chosen}.")


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports, silence TensorFlow and pause garbage collection.

    They create about a million objects, which all stay alive. Afterwards these are frozen, so that the collector skips
    them, which matters most in tracing. Where TensorFlow is already imported, this only silences it.
    """
    first, collects = "tensorflow" not in sys.modules, gc.isenabled()
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    try:
        with native_stderr_held():
            if first:
                gc.disable()
                with _absent(UNUSED), suppress(ImportError):  # the next import reports what is wrong
                    import tensorflow  # noqa: F401  (and Keras with it)

                    forget_keras_json()
            yield
    finally:
        if first and collects:
            gc.freeze()
            gc.enable()


def forget_keras_json() -> None:
    """Use Keras' own defaults, not those of the user's `keras.json`, which would change what a configuration means."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


@contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Inside the block, importing one of `names` fails, unless it was imported before."""
    names = tuple(name for name in names if name not in sys.modules)
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None makes an import fail
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@contextmanager
def native_stderr_held() -> Iterator[None]:
    """Hold back what the process, native code included, writes to standard error.

    It is shown if the block fails with an unexpected error, but not after a `RunError` or Ctrl-C.

    Raises:
        StorageError: if no temporary file can be made.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError as error:
            raise StorageError(f"{why(error)} making a temporary file; TMPDIR sets its folder.") from error
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, RunError):  # expected, or self-explanatory
            raise
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


# These do not make training steps faster, and take 0.6 s for a network of 164 layers.
FRUITLESS = ("arithmetic_optimization", "constant_folding")


def trace_lightly() -> None:
    """On the CPU, switch off the TensorFlow graph optimisers that cost more time than they save.

    With other devices, for which nothing was measured, all stay on.
    """
    import tensorflow as tf

    if {device.device_type for device in tf.config.list_physical_devices()} == {"CPU"}:
        tf.config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, False))
