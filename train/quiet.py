"""TensorFlow's start without its notices of drivers it did not find, which no log level silences."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from train.errors import RunError, StorageError
from train.files import why


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
