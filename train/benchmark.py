"""The command that times an exported model in the runtimes that are installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from .process.commands import Entry, Parser, command, positive
from .process.errors import BadInput
from .process.files import local, whole
from .process.startup import importing

INTRODUCTION = """Time an exported model in the runtimes that are installed here, batch by batch, and recommend one.

    {export} digits-preactresnet20 --formats=onnx,openvino,litert
        writes the files of other runtimes beside the SavedModel
    {benchmark} saved_models/digits-preactresnet20 --batches=1,8,32 --plot=speed.png
        the newest version, or the folder of one

The runtimes answer random images by turns on the CPU. Run it on an idle machine like the one that will serve.
"""


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog=command("benchmark"),
        description=INTRODUCTION.format(benchmark=command("benchmark"), export=command("export")).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="SAVEDMODEL", help="an exported version, or the folder of versions")
    add("--batches", type=_batches, default=[1, 8, 32], metavar="N,...", help="images in a request; 1,8,32 by default")
    add("--rounds", type=positive, default=5, metavar="N", help="turns that each runtime gets; 5 by default")
    add("--requests", type=positive, default=10, metavar="N", help="requests in a turn; 10 by default")
    add("--plot", metavar="FILE", help="draw images per second against the batch size")
    return parser.parse_args(argv)


def _batches(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def main(arguments: argparse.Namespace) -> None:
    """Measure, print, draw."""
    plot = arguments.plot and local(arguments.plot, "--plot")
    if plot and not plot.parent.is_dir():
        raise BadInput(f"--plot={arguments.plot}: there is no folder {plot.parent}.")
    folder = Path(arguments.model).expanduser()
    if not folder.is_dir():
        raise BadInput(f"{arguments.model}: there is no such folder.")
    with importing():
        import tensorflow as tf

        from keras_resunits.serving.benchmark import benchmark
        from keras_resunits.serving.versions import versions

    tf.get_logger().setLevel("ERROR")  # hides that the TF1 loader is deprecated, which servers use
    numbered = versions(folder)
    try:
        found = benchmark(numbered[-1] if numbered else folder, arguments.batches, arguments.rounds, arguments.requests)
    except ValueError as error:
        raise BadInput(str(error)) from error
    print(found)
    if plot:
        with whole(plot) as unfinished:
            found.plot().figure.savefig(unfinished, dpi=120)
        print(f"plot          {plot}")


entry = Entry("benchmark", parse, main)

if __name__ == "__main__":
    entry()
