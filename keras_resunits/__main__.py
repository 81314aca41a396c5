"""`python -m keras_resunits`: which networks there are, and what they are made of."""

from __future__ import annotations

import argparse
import sys

from keras_resunits.analysis.describe import describe
from keras_resunits.zoo.registry import create, list_models

PROGRAM = "python -m keras_resunits"


EXAMPLES = f"""examples:
  {PROGRAM} '*164*'                 the names that match
  {PROGRAM} --describe wrn28_10_cifar   its units, a row each
"""


def main(argv: list[str] | None = None) -> int:
    """The command line: 0, or 2 where nothing matches.

    >>> main(["densenet121*"])
    densenet121
    0
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "pattern", nargs="?", default="*", help='a name, or a wildcard with "*" and "?"; all by default'
    )
    parser.add_argument("--describe", action="store_true", help="show what each one is made of, not its name alone")
    given = parser.parse_args(argv)
    names = list_models(given.pattern)
    if not names:
        print(f"{PROGRAM}: no network's name matches {given.pattern!r}; without it, all are listed.", file=sys.stderr)
        return 2
    for name in names:
        print(f"{name}\n{describe(create(name))}\n" if given.describe else name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
