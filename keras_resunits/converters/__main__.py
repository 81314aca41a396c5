"""`python -m keras_resunits.converters`: from a PyTorch checkpoint or `keras.applications` to a `.keras` file."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, indent

import keras

import keras_resunits as kr
from keras_resunits.commands import Parser
from keras_resunits.converters.checkpoints import LISTED, TORCH_SUFFIXES
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.keras_applications import KERAS_SUFFIXES
from keras_resunits.converters.layouts import TORCH_LAYOUTS
from keras_resunits.converters.loading import loader
from keras_resunits.converters.statistics import STATISTICS, normalized, statistics_of

PROGRAM = "python -m keras_resunits.converters"
DESCRIPTION = (
    "Load the weights of a PyTorch checkpoint or of keras.applications into a network of this package, and save it as "
    ".keras."
)
LIBRARIES = ("torchvision", "timm", "akamaster", "pytorchcv", "keras")
EXAMPLES = """examples:
  {program} resnet50.pth --model torchvision_resnet50 --output resnet50.keras
  {program} resnet20.th --model akamaster_resnet20 --output resnet20.keras --mean imagenet
  {program} model.safetensors --model timm_resnetv2_50 --classes 37 --output pets.keras
  {program} imagenet --model keras_resnet50 --output resnet50.keras

models, and all others of kr.list_models():
{models}
"""


def _epilog(program: str) -> str:
    names = [name for library in LIBRARIES for name in kr.list_models(f"{library}_*")]
    return EXAMPLES.format(program=program, models=indent(fill(", ".join(names), 110, break_on_hyphens=False), "  "))


def parse(argv: Sequence[str] | None, program: str = PROGRAM) -> argparse.Namespace:
    """The arguments, checked as far as they can be without reading the source."""
    parser = Parser(
        name="converters",
        prog=program,
        description=DESCRIPTION,
        epilog=_epilog(program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help=f"a PyTorch checkpoint ({', '.join(TORCH_SUFFIXES)}), weights of keras.applications "
        f"({', '.join(KERAS_SUFFIXES)}), or 'imagenet': those of keras.applications, downloaded once",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the network of SRC, by name (below)")
    parser.add_argument("--output", required=True, type=Path, metavar="X.keras", help="the file to write")
    parser.add_argument(
        "--layout",
        choices=TORCH_LAYOUTS,
        metavar="LAYOUT",
        help="the names of a PyTorch SRC's weights; detected by default: " + ", ".join(TORCH_LAYOUTS),
    )
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes; the network's default")
    parser.add_argument(
        "--input-shape", type=_shape, metavar="H,W,C", help="of the images, such as 224,224,3; the network's default"
    )
    parser.add_argument(
        "--mean",
        metavar="R,G,B",
        help="mean of the pixels, scaled to 0..1, that the weights were trained with, or a name that states deviation "
        f"too ({', '.join(STATISTICS)}); X.keras then takes pixels 0..255 and normalises them itself",
    )
    parser.add_argument("--std", metavar="R,G,B", help="standard deviation of the same pixels")
    parser.add_argument("--overwrite", action="store_true", help="replace the output where it exists")
    return parser.parse_args(argv)


def _shape(text: str) -> tuple[int, ...]:
    sides = tuple(int(side) if side.isdecimal() else 0 for side in text.split(","))
    if len(sides) != 3 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"expected H,W,C, got {text!r}")
    return sides


def convert(arguments: argparse.Namespace) -> str:
    """Do what the arguments say; returns the line to print."""
    _require_output(arguments.output, arguments.overwrite)
    statistics = statistics_of(arguments.mean, arguments.std)
    load = loader(arguments.source, arguments.layout)
    given = {"classes": arguments.classes, "input_shape": arguments.input_shape}
    model = kr.create(arguments.model, **{name: value for name, value in given.items() if value is not None})
    layout = load(model)
    _save(normalized(model, statistics) if statistics else model, arguments.output)
    return (
        f"{arguments.source} ({layout}) -> {arguments.output}: {arguments.model}, {model.count_params():,} parameters"
        + (f"; takes pixels 0..255, normalised by {statistics}" if statistics else "")
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


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Convert, and turn what a user can fix into one line and exit code 2."""
    arguments = parse(argv, program)
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
