"""Measure what an export costs, and what loads it: CPU seconds, memory and the size on the disk.

    python -m benchmarks.export --depths=164,1001 --rounds=3 --stock

Every export has a process of its own, and so has the session that loads it and answers one image. "Load" is that of
TensorFlow's C++ loader, which TensorFlow Serving links, in a third process, without Python's TensorFlow. Seconds are
those of all the process' threads, in the call alone: they hardly depend on what else the machine does. Memory is the
process' peak, with the imports: the exporter's (Keras) and the server's (TensorFlow only). `--stock` adds Keras' own
export of the same network of stock Keras layers. Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

PARTS = ("export", "load", "serve")
"""What is measured, each in a process of its own."""

GAMMA = 0.1
"""What all gammas are multiplied by, so that a thousand layers of random norms do not overflow."""


def export(depth: int, stock: bool, folder: Path) -> dict[str, float]:
    """In this process: export a PreActResNet to `folder/1`."""
    import keras_resunits as kr
    from benchmarks.serving import trained
    from benchmarks.training_step.stock_keras import preact_bottleneck

    model = trained(preact_bottleneck(depth) if stock else kr.PreActResNet(depth))
    for variable in model.variables:
        if variable.name == "gamma":
            variable.assign(GAMMA * variable)
    if stock:
        found = _timed(lambda: model.export(folder / "1", format="tf_saved_model", verbose=False))
    else:
        found = _timed(lambda: kr.export_saved_model(model, folder))
    size = sum(path.stat().st_size for path in (folder / "1").rglob("*") if path.is_file())
    return {"export": found, "peak": _peak(), "size": size / (4 * model.count_params())}


def serve(folder: Path) -> dict[str, float]:
    """In this process: load `folder/1` in a session, and answer one image."""
    import numpy as np

    from benchmarks.loading import Served

    served = Served(folder / "1")
    served.seconds(np.zeros((1, 32, 32, 3)))
    return {"python": served.load_seconds, "memory": _peak()}


def load(folder: Path) -> dict[str, float]:
    """In this process: load `folder/1` as TensorFlow Serving does."""
    from tests.support.cpp_loader import CppModel, library

    library()  # outside of the time: a server is linked with it
    return {"load": _timed(lambda: CppModel(str(folder / "1")))}


def _timed(function: Callable[[], object]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def _peak() -> float:
    """The largest memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measured(depth: int, stock: bool) -> dict[str, float]:
    """All of them, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [f"--depths={depth}", f"--alone={folder}", *(["--stock"] if stock else [])]
        return {name: figure for what in PARTS for name, figure in _alone(what, asked).items()}


def _alone(what: str, arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.export", f"--what={what}", *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:])} failed; its own lines say why")
    return json.loads(done.stdout.splitlines()[-1])


def row(depth: int, stock: bool, rounds: int) -> str:
    """A row of the table."""
    found = [measured(depth, stock) for _ in range(rounds)]
    figures = {name: statistics.median(each[name] for each in found) for name in found[0]}
    cells = "{export:.1f} | {peak:.0f} | {size:.2f} | {load:.2f} | {python:.2f} | {memory:.0f}".format(**figures)
    return f"| {depth} | {'stock Keras' if stock else 'keras_resunits'} | {cells} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", default="164", help="separated by commas; 2 more than a multiple of 9")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stock", action="store_true", help="measure Keras' own export too")
    parser.add_argument("--what", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    depths = [int(depth) for depth in args.depths.split(",")]
    if args.alone:
        parts = dict(zip(PARTS, (partial(export, depths[0], args.stock), load, serve), strict=True))
        print(json.dumps(parts[args.what](args.alone)))
        return
    print(
        "| depth | | export, s | its peak, MB | size / weights | load, s | load in Python, s | a server's memory, MB |"
    )
    print("|---:|---|" + "---:|" * 6, flush=True)
    for depth in depths:
        for stock in (False, True) if args.stock else (False,):
            print(row(depth, stock, args.rounds), flush=True)


if __name__ == "__main__":
    main()
