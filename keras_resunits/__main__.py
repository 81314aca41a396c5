"""`python -m keras_resunits`: which networks there are, and what they are made of."""

from __future__ import annotations

import argparse
import sys

import keras

import keras_resunits as kr
from keras_resunits.arguments import near_matches
from keras_resunits.commands import Parser

PROGRAM = "python -m keras_resunits"
EXAMPLES = """examples:
  {program} '*164*'                     the names that match
  {program} --describe wrn28_10_cifar   its units, a row each
"""


def main(argv: list[str] | None = None, program: str = PROGRAM) -> int:
    """List or describe networks; returns 0, or 2 if no name matches. Describing requires a name."""
    parser = Parser(
        prog=program,
        description="List the networks that the package builds by name, or describe them.",
        epilog=EXAMPLES.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pattern", nargs="?", help='a name, or a wildcard with "*" and "?"; all by default')
    parser.add_argument("--describe", action="store_true", help="print what each one is made of, not only its name")
    given = parser.parse_args(argv)
    if given.describe and given.pattern is None:
        parser.error("--describe requires a name or a wildcard; without --describe, all names are listed")
    names = kr.list_models("*" if given.pattern is None else given.pattern)
    if not names:
        near = near_matches(given.pattern, kr.list_models())
        why = f"no network's name matches {given.pattern!r}.{near} Without a name, all are listed."
        print(f"{program}: {why}", file=sys.stderr)
        return 2
    for name in names:
        print(f"{name}\n{described(name)}\n" if given.describe else name, flush=True)
    return 0


def described(name: str) -> str:
    """A network's table; its weights get no values, and nothing of it stays in memory."""
    with keras.StatelessScope(initialize_variables=False):
        table = str(kr.describe(kr.create(name)))
    keras.utils.clear_session()
    return table


if __name__ == "__main__":
    sys.exit(main())
