"""What a user can mend: said in one line, exit code 2, no traceback."""


class BadInput(Exception):
    """A usage or data error; its text says wanted, got and where."""
