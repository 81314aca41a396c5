"""Time a network's training step (batch 64, 32x32): this package, stock Keras layers, native PyTorch.

    python -m benchmarks.training_step --rounds=5
    python -m benchmarks.training_step --rounds=5 --peers stock_keras bare_kernels native_torch
    python -m benchmarks.training_step --rounds=5 --networks preact_basic-20 wide-16 dense-100 --peers native_torch

A network is a family and a depth: PreActResNet-164 with bottlenecks by default, PreActResNet-20, WRN-16-4,
DenseNet-BC-100-12, or smaller ones to try the benchmark.

Every measurement is a process of its own; a round runs all contenders once, one after the other, so that a machine that
drifts is unjust to none. Three figures a process: seconds from its start to the end of the first step, images a second,
from the median of the steps after that, and the most memory that it had. The table gives the median over the rounds,
and the median of the ratios round by round. Five rounds of the second line take about 20 minutes on 2 cores; without
oneDNN, bfloat16 takes several times as long as float32.

Ours runs as the training program does: with oneDNN's kernels (`train/__init__.py`), without imports that nothing uses
and without two of TensorFlow's graph optimisers (`train/process/startup.py`). Stock Keras runs as
TensorFlow begins, with oneDNN (the same where TensorFlow finds AVX512_VNNI or the like, and begins with it), and begun
in all as ours, which tells what the layers do from what the start does. "TensorFlow's kernels alone" is the same
network with one layer a kernel and nothing else (`bare_kernels.py`): what our layers and optimiser cost is the
difference to it. Where the steps differ the peers have the better hand: of those in Keras none does weight decay.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import product

from benchmarks.machine import machine

BATCH = 64
PEERS = {  # module, what it is started with, name
    "ours": ("ours", {"TF_ENABLE_ONEDNN_OPTS": "1"}, "keras_resunits"),
    "ours_remat": ("ours_remat", {"TF_ENABLE_ONEDNN_OPTS": "1"}, 'keras_resunits, `remat="auto"`'),
    "ours_without": ("ours", {"TF_ENABLE_ONEDNN_OPTS": "0"}, "keras_resunits, without oneDNN"),
    "stock_keras": ("stock_keras", {}, "stock Keras layers"),
    "stock_keras_onednn": ("stock_keras", {"TF_ENABLE_ONEDNN_OPTS": "1"}, "stock Keras layers, oneDNN"),
    "stock_keras_begun_alike": (
        "stock_keras_begun_alike",
        {"TF_ENABLE_ONEDNN_OPTS": "1"},
        "stock Keras layers, begun as ours",
    ),
    "bare_kernels": ("bare_kernels", {"TF_ENABLE_ONEDNN_OPTS": "1"}, "TensorFlow's kernels alone"),
    "native_torch": ("native_torch", {}, "native PyTorch, `channels_last`"),
}
PRECISIONS = ("float32", "bfloat16")


FAMILIES = ("preact_bottleneck", "preact_basic", "wide", "dense")


def known(text: str) -> str:
    """A network's family and depth.

    Raises:
        ArgumentTypeError: if it is not one.
    """
    family, _, depth = text.partition("-")
    if family not in FAMILIES or not depth.isdecimal():
        raise argparse.ArgumentTypeError(f"must be {', '.join(FAMILIES)} with a depth, as in wide-16; got {text}")
    return text


def _named(network: str) -> tuple[str, int]:
    family, _, depth = network.partition("-")
    return family, int(depth)


def measure(peer: str, network: str, precision: str, steps: int, began: float) -> dict[str, float]:
    """In this process: seconds to the first step's end, images a second after it, and the most memory, in MiB."""
    import numpy as np

    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(BATCH, 32, 32, 3)).astype("float32"), rng.integers(0, 10, BATCH)
    step, images, labels = (_torch if peer == "native_torch" else _keras)(peer, network, precision, images, labels)
    step(images, labels)
    first = time.time() - began
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step(images, labels)
        seconds.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first": first, "rate": BATCH / statistics.median(seconds), "memory": memory}


def _torch(peer, network, precision, images, labels):
    import torch

    from . import native_torch

    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return (
        native_torch.compile_step(*_named(network), bfloat16=precision == "bfloat16"),
        images,
        torch.from_numpy(labels),
    )


def _keras(peer, network, precision, images, labels):
    import importlib

    contender = importlib.import_module(
        f".{PEERS[peer][0]}", __package__
    )  # imports Keras and TensorFlow in its own way
    import keras
    import tensorflow as tf

    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    return contender.compile_step(*_named(network)), tf.constant(images), tf.constant(labels)


def measured(peer: str, network: str, precision: str, steps: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [
        sys.executable,
        "-m",
        str(__package__),
        f"--peer={peer}",
        f"--networks={network}",
        f"--precision={precision}",
    ]
    began = [f"--steps={steps}", "--began", repr(time.time())]
    inherited = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment = {**inherited, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", **PEERS[peer][1]}
    process = subprocess.run(command + began, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


Results = dict[tuple[str, str, str], list[dict[str, float]]]  # by network, precision and peer


def table(results: Results) -> str:
    """Medians, and medians of the ratios to this package, as Markdown."""
    lines = [
        "| network | | precision | images/s | ours is faster by | s to the first step's end | ours is sooner by | "
        "memory, MiB |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for (network, precision, peer), theirs in results.items():
        ours = results[network, precision, "ours"]
        rate, first, memory = (statistics.median(r[name] for r in theirs) for name in ("rate", "first", "memory"))
        faster = statistics.median(o["rate"] / t["rate"] for o, t in zip(ours, theirs, strict=True))
        sooner = statistics.median(t["first"] / o["first"] for o, t in zip(ours, theirs, strict=True))
        ratios = f"{rate:.1f} | {faster:.2f}x | {first:.1f} | {sooner:.2f}x | {memory:,.0f}"
        lines.append(f"| {network} | {PEERS[peer][2]} | {precision} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes for each contender and precision")
    parser.add_argument("--steps", type=int, default=5, help="timed steps in each process")
    parser.add_argument("--networks", nargs="+", type=known, default=["preact_bottleneck-164"], metavar="FAMILY-DEPTH")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="beside ours; all by default")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=PRECISIONS, help="this one alone; both by default")
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(measure(args.peer, args.networks[0], args.precision, args.steps, args.began)))
        return
    precisions = (args.precision,) if args.precision else PRECISIONS
    peers = dict.fromkeys(("ours", *args.peers))
    results: Results = {each: [] for each in product(args.networks, precisions, peers)}
    for i in range(args.rounds):
        for (network, precision, peer), seen in results.items():
            seen.append(measured(peer, network, precision, args.steps))
            figures = f"{seen[-1]['rate']:6.1f} images/s, first step after {seen[-1]['first']:5.1f} s"
            turn = f"round {i + 1}/{args.rounds}  {network:<22}{peer:<24}{precision:<10}{figures}"
            print(turn, file=sys.stderr, flush=True)
    print(f"{machine()}; {args.rounds} rounds of {args.steps} steps\n\n{table(results)}")


if __name__ == "__main__":
    main()
