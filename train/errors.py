"""What a user can mend, or must know: said in one line with an exit code, no traceback."""


class RunError(Exception):
    """Its text says wanted, got and where; `code` is what the program exits with."""

    code = 1


class BadInput(RunError):
    """A usage or data error."""

    code = 2


class NumericError(RunError):
    """The loss is no number any more."""

    code = 3


class StorageError(RunError):
    """Checkpoints cannot be written, or none of them can be read."""

    code = 4


class ClusterError(RunError):
    """Another worker is gone, stuck, or configured otherwise."""

    code = 5


class Preempted(RunError):
    """The run was asked to stop, and can go on from where it is."""

    code = 42
