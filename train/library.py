"""The command `keras-resunits`: list, describe and analyse networks, and convert weights of other libraries.

It is here and not in `keras_resunits`, whose import takes seconds, so that --help does without it.
"""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from .process.commands import CONSOLE
from .process.startup import importing

OWN = ("convert", "analyse")  # commands that parse their arguments themselves
TOOLS = ("train", "evaluate", "predict", "export", "benchmark", "compress", "answer", "launch", "client")
"""The other installed commands, without their prefix."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{CONSOLE}: {message}; see --help.\n")


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line; `convert` and `analyse` parse the arguments after them themselves."""
    parser = Parser(
        prog=CONSOLE,
        description="Residual networks for Keras 3: list, describe and analyse networks, and convert weights for them.",
        epilog=f"Training and its tools: {CONSOLE}-{', -'.join(TOOLS)}; each has --help.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    listed = commands.add_parser("list", help="print the names of the networks", description="Print their names.")
    listed.add_argument("pattern", nargs="?", default="*", help='a name, or a wildcard with "*" and "?"')
    described = commands.add_parser("describe", help="print a network unit by unit", description="Print networks.")
    described.add_argument("pattern", metavar="NAME", help='a name, or a wildcard with "*" and "?"')
    commands.add_parser("convert", help="turn a PyTorch checkpoint into a .keras file", add_help=False)
    commands.add_parser("analyse", help="write a page that shows why a trained network works", add_help=False)
    given, rest = parser.parse_known_args(argv)
    if rest and given.command not in OWN:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return given


def run_main(argv: list[str]) -> int:
    """Parse the command line, and run the library's command."""
    given = parse(argv)
    with importing():
        from keras_resunits.__main__ import main as networks
        from keras_resunits.analysis.__main__ import main as analyse
        from keras_resunits.converters.__main__ import main as convert
    if given.command in OWN:
        command = {"convert": convert, "analyse": analyse}[given.command]
        return command(argv[argv.index(given.command) + 1 :], program=f"{CONSOLE} {given.command}")
    describe = ["--describe"] * (given.command == "describe")
    return networks([given.pattern, *describe], program=f"{CONSOLE} {given.command}")


def entry() -> NoReturn:
    """The console command."""
    try:
        sys.exit(run_main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    entry()
