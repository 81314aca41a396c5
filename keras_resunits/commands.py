"""The library's commands: how they report mistakes."""

from __future__ import annotations

import argparse


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line.

    Args:
        name: What begins the line. Defaults to the program's name.
        **kwargs: Keyword arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, name: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self._name = name

    def error(self, message):
        """Print the line and end with exit code 2."""
        self.exit(2, f"{self._name or self.prog}: {message}; see --help.\n")
