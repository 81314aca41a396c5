"""The command `keras-resunits`: list and describe networks, and convert weights of other libraries.

It is here and not in `keras_resunits`, whose import takes seconds, so that --help does without it.
"""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from .process.commands import CONSOLE
from .process.startup import importing


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line; the converters parse the arguments after `convert` themselves."""
    parser = argparse.ArgumentParser(
        prog=CONSOLE,
        description="Residual networks for Keras 3: list and describe networks by name, and convert weights for them.",
        epilog=f"Training and its tools: {CONSOLE}-train, -evaluate, -answer, -launch, each with --help.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    listed = commands.add_parser("list", help="print the names of the networks", description="Print their names.")
    listed.add_argument("pattern", nargs="?", default="*", help='a name, or a wildcard with "*" and "?"')
    described = commands.add_parser("describe", help="print a network unit by unit", description="Print networks.")
    described.add_argument("pattern", metavar="NAME", help='a name, or a wildcard with "*" and "?"')
    commands.add_parser("convert", help="turn a PyTorch checkpoint into a .keras file", add_help=False)
    given, rest = parser.parse_known_args(argv)
    if rest and given.command != "convert":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return given


def run_main(argv: list[str]) -> int:
    """Parse the command line, and run the library's command."""
    given = parse(argv)
    with importing():
        from keras_resunits.__main__ import main as networks
        from keras_resunits.converters.__main__ import main as convert
    if given.command == "convert":
        return convert(argv[argv.index("convert") + 1 :], program=f"{CONSOLE} convert")
    describe = ["--describe"] * (given.command == "describe")
    return networks([given.pattern, *describe], program=f"{CONSOLE} {given.command}")


def entry() -> NoReturn:
    """The console command."""
    try:
        sys.exit(run_main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
