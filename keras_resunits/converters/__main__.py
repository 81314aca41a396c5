"""The command line: a PyTorch checkpoint or weights of `keras.applications`, to a `.keras` file of ours."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, indent

import keras

from keras_resunits.converters.checkpoints import LISTED, TORCH_SUFFIXES
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.keras_applications import KERAS_SUFFIXES
from keras_resunits.converters.layouts import TORCH_LAYOUTS
from keras_resunits.converters.loading import loader
from keras_resunits.zoo.libraries import LIBRARIES
from keras_resunits.zoo.registry import create, list_models

PROGRAM = "python -m keras_resunits.converters"


DESCRIPTION = (
    "Give a network of ours the weights of a PyTorch checkpoint or of keras.applications, and save it as .keras."
)


EXAMPLES = f"""examples:
  {PROGRAM} resnet50.pth --model torchvision_resnet50 --output resnet50.keras
  {PROGRAM} resnet20.th --model akamaster_resnet20 --output resnet20.keras
  {PROGRAM} model.safetensors --model timm_resnetv2_50 --classes 37 --output pets.keras
  {PROGRAM} imagenet --model keras_resnet50 --output resnet50.keras

models:
{indent(fill(", ".join(LIBRARIES), 110, break_on_hyphens=False), "  ")}
  and those of keras_resunits.create: {", ".join(list_models("keras_*"))}, ...
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"converters: {message}; see --help.\n")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, checked as far as they can be without reading the source."""
    parser = Parser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help=f"a PyTorch checkpoint ({', '.join(TORCH_SUFFIXES)}), weights of keras.applications "
        f"({', '.join(KERAS_SUFFIXES)}), or 'imagenet': those of keras.applications, downloaded once",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the network that SRC is of, by name (below)")
    parser.add_argument("--output", required=True, type=Path, metavar="X.keras", help="the file to write")
    parser.add_argument(
        "--layout",
        choices=TORCH_LAYOUTS,
        metavar="LAYOUT",
        help="how a PyTorch SRC names its weights; found by default: " + ", ".join(TORCH_LAYOUTS),
    )
    parser.add_argument("--classes", type=int, metavar="N", help="how many classes SRC knows; the network's default")
    parser.add_argument(
        "--input-shape", type=_shape, metavar="H,W,C", help="of the images, 224,224,3 say; the network's default"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output where it exists")
    return parser.parse_args(argv)


def _shape(text: str) -> tuple[int, ...]:
    sides = tuple(int(side) if side.isdecimal() else 0 for side in text.split(","))
    if len(sides) != 3 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"wanted H,W,C, got {text!r}")
    return sides


def convert(arguments: argparse.Namespace) -> str:
    """Do what the arguments say; returns the line to print."""
    _require_output(arguments.output, arguments.overwrite)
    load = loader(arguments.source, arguments.layout)
    given = {"classes": arguments.classes, "input_shape": arguments.input_shape}
    model = create(arguments.model, **{name: value for name, value in given.items() if value is not None})
    layout = load(model)
    _save(model, arguments.output)
    return (
        f"{arguments.source} ({layout}) -> {arguments.output}: {arguments.model}, {model.count_params():,} parameters"
    )


def _require_output(path: Path, overwrite: bool) -> None:
    if path.suffix != ".keras":
        raise ConversionError(f"--output must end in .keras. Received: '{path}'.")
    if not path.parent.is_dir():
        raise ConversionError(f"--output must lie in a folder that exists. Received: '{path}'.")
    if path.is_dir():
        raise ConversionError(f"--output must be a file. Received: the folder '{path}'.")
    if path.exists() and not overwrite:
        raise ConversionError(f"'{path}' exists; --overwrite replaces it.")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            Path(folder, path.name).touch()
    except OSError as error:
        raise ConversionError(f"--output cannot be written, '{path}': {error.strerror}.") from None


def _save(model: keras.Model, path: Path) -> None:
    """All of the file or none: it is written beside its place and renamed."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder, path.name)
        model.save(written)
        os.replace(written, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, and turn what a user can mend into one line and exit code 2."""
    arguments = parse(argv)
    try:
        print(convert(arguments))
    except (ValueError, OSError) as error:
        print(f"converters: {' '.join(str(error).split())}", file=sys.stderr)
        for what in ("missing", "unused"):
            names = getattr(error, what, ())
            for name in names if len(names) > LISTED else ():  # all of them, where the line has the first few
                print(f"  {what} {name}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
