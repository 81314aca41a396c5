"""Measure the memory and the time of a training step against the depth, with and without `remat`, and draw them.

    python -m benchmarks.remat docs/images/remat.png --depths=20,38,56,74,110 --remat=none,auto,norms --rounds=3
    python -m benchmarks.remat OUT.png --block=bottleneck --depths=110,164,542,1001 --rounds=1 --steps=3
    python -m benchmarks.remat OUT.png --model=densenet_bc100_12_cifar --block= --depths=100 --remat=none,3,norms

Every measurement has a process of its own: networks with units of one kind, the training program's step, the same batch
over and over. Tensors are the peak of TensorFlow's allocator in a step, in a second process with the allocator that
counts. Memory is the growth of the process, at its peak, from before the first step; it includes the step's graph. A
row also has the program's estimate of it. Time is the median of the steps after the first. The table has the medians of
the rounds, each of which measures every row once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MIB = 2**20


def begun(model: str, block: str, depth: int, remat: str, batch: int) -> tuple[Any, tuple]:
    """A trainer, and the arguments of its step."""
    import keras
    import numpy as np
    import tensorflow as tf

    import train  # noqa: F401  (says how TensorFlow starts)
    from train.process.startup import trace_lightly
    from train.settings.sections import Network, Recipe
    from train.step.network import network
    from train.step.optimizer import optimizer
    from train.step.trainer import Trainer

    trace_lightly()
    chosen = Network(model=model, depth=depth, block=block or None)
    built = network(chosen, (32, 32, 3), 10, remat=None if remat == "none" else remat)
    trainer = Trainer(built, keras.layers.Rescaling(1 / 255), optimizer(Recipe(epochs=1), 100, built))
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (batch, 32, 32, 3), np.uint8))
    return trainer, (images, tf.constant(rng.integers(0, 10, batch)), tf.constant(0.0))


def measure(steps: int, *chosen) -> dict[str, float]:
    """In this process: bytes, estimated bytes and seconds of a step, and seconds until the first has ended."""
    began = time.perf_counter()
    trainer, arguments = begun(*chosen)
    from train.step.activations import estimated_bytes

    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use
    before = _status("VmRSS")
    estimate = estimated_bytes(trainer.train_step.get_concrete_function(*arguments).graph)
    trainer.train_step(*arguments).numpy()
    start, seconds = time.perf_counter() - began, []
    for _ in range(steps):
        began = time.perf_counter()
        trainer.train_step(*arguments).numpy()
        seconds.append(time.perf_counter() - began)
    grown = _status("VmHWM") - before
    return {"bytes": grown, "estimate": estimate, "seconds": statistics.median(seconds), "start": start}


COUNTING = {"TF_CPU_ALLOCATOR_USE_BFC": "1"}
"""The allocator of the CPU counts only with this in the environment."""


def allocated(*chosen) -> dict[str, float]:
    """In this process, which has `COUNTING`: the peak of what TensorFlow allocates in a second step."""
    import tensorflow as tf

    trainer, arguments = begun(*chosen)
    trainer.train_step(*arguments).numpy()
    tf.config.experimental.reset_memory_stats("CPU:0")
    trainer.train_step(*arguments).numpy()
    return {"tensors": tf.config.experimental.get_memory_info("CPU:0")["peak"]}


def _status(name: str) -> int:
    """A size in /proc/self/status, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not found:
        sys.exit(f"/proc/self/status has no {name}")
    return int(found[1]) * 1024


def measured(depth: int, remat: str, args: argparse.Namespace) -> dict[str, float]:
    """The same in two processes of their own."""
    return alone("time", {}, depth, remat, args) | alone("tensors", COUNTING, depth, remat, args)


def alone(what: str, environment: dict[str, str], depth: int, remat: str, args: argparse.Namespace) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.remat", "-", f"--depths={depth}", f"--remat={remat}"]
    command += [f"--model={args.model}", f"--block={args.block}", f"--batch={args.batch}", f"--steps={args.steps}"]
    command += [f"--alone={what}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", **environment}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"depth {depth}, remat={remat} failed; its own lines say why")
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: dict[tuple[int, str], dict[str, float]]) -> str:
    """The rows as Markdown."""
    head = "| depth | remat | tensors, MiB | memory, MiB | estimate, MiB | step, ms | start, s |"
    lines = [head, "|---:|---|" + "---:|" * 5]
    for (depth, remat), row in rows.items():
        sizes = " | ".join(f"{row[name] / MIB:.0f}" for name in ("tensors", "bytes", "estimate"))
        figures = f"{sizes} | {1000 * row['seconds']:.0f} | {row['start']:.1f}"
        lines.append(f"| {depth} | {remat} | {figures} |")
    return "\n".join(lines)


def draw(path: str, rows: dict[tuple[int, str], dict[str, float]], args: argparse.Namespace) -> None:
    """Memory and time against the depth, a line for each `remat`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = (("tensors", MIB, "tensors of a step, MiB at their peak"), ("seconds", 1 / 1000, "time of a step, ms"))
    for axes, (name, unit, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for remat in dict.fromkeys(remat for _, remat in rows):
            points = [(depth, row[name] / unit) for (depth, kind), row in rows.items() if kind == remat]
            axes.plot(*zip(*points, strict=True), marker="o", label=f"remat={remat}")
        axes.set(xlabel=f"depth of {args.model}, batch {args.batch}", ylabel=label, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", help="the file to draw")
    parser.add_argument("--model", default="PreActResNet", help="a family or a name, built at each depth")
    parser.add_argument("--block", default="basic", help="the units' branch; empty for the model's own")
    parser.add_argument("--depths", default="20,38,56,74,110", help="separated by commas; 6n+2 for basic units")
    parser.add_argument("--remat", default="none,auto,norms", help="values of `remat`, separated by commas")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="timed steps in each process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", choices=("time", "tensors"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    depths = [int(depth) for depth in args.depths.split(",")]
    pairs = [(depth, remat) for depth in depths for remat in args.remat.split(",")]
    if args.alone:
        chosen = args.model, args.block, *pairs[0], args.batch
        print(json.dumps(measure(args.steps, *chosen) if args.alone == "time" else allocated(*chosen)))
        return
    seen: dict[tuple[int, str], list[dict[str, float]]] = {pair: [] for pair in pairs}
    for i in range(args.rounds):
        for pair, figures in seen.items():
            figures.append(measured(*pair, args))
            print(f"round {i + 1}/{args.rounds}  {pair}  {figures[-1]}", file=sys.stderr, flush=True)
    rows = {
        pair: {name: statistics.median(each[name] for each in figures) for name in figures[0]}
        for pair, figures in seen.items()
    }
    print(table(rows))
    draw(args.picture, rows, args)


if __name__ == "__main__":
    main()
