"""The threads of the tests' processes.

Tests run side by side, a process for each core, and threads within an operation would only wait for one another. So an
operation has one. A command that a test starts has as many as a person's: whether it repeats to the bit depends on it.
"""

import os

ONE = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def persons_environment() -> dict[str, str]:
    """The environment without the limit."""
    return {name: value for name, value in os.environ.items() if name not in ONE}
