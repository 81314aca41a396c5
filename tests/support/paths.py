"""Where the repository lies, and how another process finds it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_path() -> str:
    """The `PYTHONPATH` of a process of its own: the repository, and this process's, which may hold an older Keras."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
