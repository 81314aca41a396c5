"""The command `keras-resunits-client`, and `python -m keras_resunits_client`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

NAME = "keras-resunits-client"
EXAMPLES = f"""examples:
  {NAME} predict http://localhost:8501 digits photos/ --out=answers.csv
  {NAME} predict grpc://localhost:8001 digits photos/ --protocol=kserve --batch=64 --workers=8
  {NAME} status grpc://localhost:8500 digits
  {NAME} metadata http://localhost:8501 digits --version=2

Pictures are sent as they are if the model takes files, else they are decoded and resized here.
Exit codes: 0, every picture is answered; 2, a mistake or a server that cannot be used, in one line,
or pictures without an answer, which the csv lists with their status and error.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"client: {message}; see --help.\n")


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog=NAME,
        description="Send requests to a model in TensorFlow Serving, Triton or OpenVINO Model Server.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    predict = commands.add_parser("predict", help="classify pictures, and write a csv file")
    status = commands.add_parser("status", help="print the versions of the model, and their states")
    metadata = commands.add_parser("metadata", help="print the signatures of the model")
    for each in (predict, status, metadata):
        _add_server(each)
    _add_pictures(predict)
    return parser.parse_args(argv)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="http[s]://HOST:PORT for REST, grpc[s]://HOST:PORT for gRPC")
    parser.add_argument("model", metavar="MODEL", help="the model's name in the server")
    parser.add_argument("--protocol", choices=("tensorflow", "kserve"), default="tensorflow",
                        help="TensorFlow Serving's, or KServe v2: Triton, OpenVINO (default: tensorflow)")  # fmt: skip
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, metavar="N", help="the version's number (default: the newest)")
    which.add_argument("--label", help="the version's label; not with --protocol=kserve")
    parser.add_argument("--deadline", type=_positive, default=60.0, metavar="SECONDS",
                        help="the time for a request with all its attempts (default: 60)")  # fmt: skip
    parser.add_argument("--attempts", type=_count, default=5, metavar="N",
                        help="the most attempts for a request, after growing random pauses (default: 5)")  # fmt: skip


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a picture, or a folder of pictures")
    parser.add_argument(
        "--out", type=Path, metavar="CSV", help="the file to write, when it is complete (default: print it)"
    )
    parser.add_argument("--signature", metavar="NAME",
                        help="not with --protocol=kserve (default: serve_bytes, else serving_default)")  # fmt: skip
    parser.add_argument("--batch", type=_count, default=32, metavar="N", help="pictures in a request (default: 32)")
    parser.add_argument("--workers", type=_count, default=4, metavar="N", help="requests at once (default: 4)")
    parser.add_argument("--top", type=_count, default=3, metavar="K", help="classes in a row of the csv (default: 3)")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected positive seconds; got {text}")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1; got {text}")
    return number


def main(argv: list[str]) -> int:
    """Run a command; return its exit code."""
    given = parse(argv)
    from keras_resunits_client import Client, ClientError, Retries

    retries = Retries(deadline=given.deadline, attempts=given.attempts)
    signature = getattr(given, "signature", None)
    try:
        with Client(given.url, given.model, protocol=given.protocol, version=given.version, label=given.label,
                    signature=signature, retries=retries) as client:  # fmt: skip
            if given.command == "status":
                return print_status(client)
            return print_metadata(client) if given.command == "metadata" else predict(client, given)
    except ClientError as error:
        return said(str(error))


def print_status(client) -> int:
    """Print a line for each version; the code is 2 unless one is available."""
    versions = client.status()
    for each in versions:
        print(f"{client.model.name} {each.number} {each.state} {each.error}".rstrip())
    if any(each.state == "AVAILABLE" for each in versions):
        return 0
    return said(f"model {client.model}: no version is available")


def print_metadata(client) -> int:
    """Print the signatures, a line for each tensor."""
    metadata = client.metadata()
    print(f"model {metadata.model}" + (f", version {metadata.version}" if metadata.version else ""))
    for name, signature in sorted(metadata.signatures.items()):
        print(name)
        for arrow, tensors in (("<-", signature.inputs), ("->", signature.outputs)):
            for each, tensor in sorted(tensors.items()):
                print(f"  {arrow} {each}: {tensor}")
    return 0


def predict(client, given: argparse.Namespace) -> int:
    """Write the csv."""
    from keras_resunits_client.pictures import found
    from keras_resunits_client.table import whole, write

    files = found(given.paths)
    if given.out is None:
        answers = list(progress(client.answers(files, given.batch, given.workers), len(files)))
        write(answers, sys.stdout, given.top)
    else:
        with whole(given.out) as stream:
            answers = list(progress(client.answers(files, given.batch, given.workers), len(files)))
            write(answers, stream, given.top)
    failed = [answer for answer in answers if answer.status != "ok"]
    if not failed:
        return 0
    first = f"{failed[0].path}: {failed[0].status}: {failed[0].error}"
    return said(f"{len(failed)} of {len(answers)} pictures have no answer; the first is {first}")


def progress(items: Iterable, total: int) -> Iterable:
    """A bar on a terminal, if tqdm is installed."""
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        from tqdm import tqdm

        return tqdm(items, total=total, unit="picture")
    return items


def said(text: str) -> int:
    """Print one line to standard error; return the code of a mistake."""
    print(f"client: {' '.join(text.split()).rstrip('.')}.", file=sys.stderr)
    return 2


def entry() -> NoReturn:
    """The console command."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    entry()
