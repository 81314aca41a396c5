"""`python -m keras_resunits.analysis`: a page with every analysis of a `.keras` file."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_resunits.analysis.report import report
from keras_resunits.commands import Parser

PROGRAM = "python -m keras_resunits.analysis"
NAMES = (("images", "labels"), ("x_test", "y_test"))
"""Names under which an .npz file may hold images and their classes."""


def parse(argv: Sequence[str] | None, program: str) -> argparse.Namespace:
    """The arguments, checked as far as they can be without reading files."""
    parser = Parser(
        name="analysis",
        prog=program,
        description="Write a page that shows why a trained network works: how signal and gradient pass its units, "
        "which paths train it, what each unit adds, and what the network loses without it.",
    )
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="a network of this package with its classifier")
    parser.add_argument(
        "data",
        metavar="DATA.npz",
        type=Path,
        help="images as the model takes them, [n, height, width, channels], and their classes: "
        + ", or ".join(" and ".join(pair) for pair in NAMES),
    )
    parser.add_argument(
        "--report", metavar="FILE.html", type=Path, default=Path("report.html"), help="the page to write"
    )
    parser.add_argument(
        "--images", metavar="N", type=_count, default=1000, help="use the first N images; 1000 by default"
    )
    return parser.parse_args(argv)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected an integer above 0, got {text!r}")
    return int(text)


def analyse(arguments: argparse.Namespace) -> None:
    """Do what the arguments say.

    Raises:
        ValueError: if a file is none of those that are expected.
        OSError: if a file cannot be read or written.
    """
    if not arguments.report.parent.is_dir():
        raise ValueError(f"--report must lie in a folder that exists. Received: '{arguments.report}'.")
    images, labels = examples(arguments.data, arguments.images)
    if arguments.model.suffix != ".keras" or not arguments.model.is_file():
        raise ValueError(f"MODEL must be a .keras file. Received: '{arguments.model}'.")
    page = report(_loaded(arguments.model), images, labels)
    unfinished = arguments.report.with_name(f"{arguments.report.name}.unfinished-{os.getpid()}")
    unfinished.write_text(page)
    unfinished.replace(arguments.report)
    print(f"{len(images):,} images -> {arguments.report}")


def _loaded(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever the file's content makes Keras raise
        why = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"MODEL must be a .keras file of a network of this package. Received: '{path}': {why}"
        ) from error


def examples(path: Path, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of an .npz file, and their classes.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for images, labels in NAMES:
                if {images, labels} <= set(arrays):
                    return arrays[images][:most].astype("float32"), arrays[labels][:most]
            found = ", ".join(arrays) or "nothing"
    except (zipfile.BadZipFile, ValueError, EOFError, AttributeError, IndexError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"DATA must be an .npz file of arrays. Received: '{path}' ({why}).") from error
    wanted = ", or ".join(" and ".join(pair) for pair in NAMES)
    raise ValueError(f"DATA must have the arrays {wanted}. Received: '{path}' with {found}.")


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Analyse, and turn what a user can fix into one line and exit code 2."""
    arguments = parse(argv, program)
    try:
        analyse(arguments)
    except (ValueError, OSError) as error:
        print(f"analysis: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
