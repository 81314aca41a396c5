"""Time the training step on one worker and on several, split into computing, exchanging gradients, and input.

    python -m benchmarks.scaling --workers=1,2 --rounds=5
    python -m benchmarks.scaling --workers=1,2,3,4 --statistics=synchronized,local --rows=docs/results/scaling.csv

Every worker is a process of its own on one core, which it has to itself while there are as many cores as workers, so
that more workers are more hardware. Each gets the same number of images (weak scaling). A round measures every cluster
once, and beside it as many workers at the same time that know nothing of each other, which share memory and caches as
the cluster does. Of each step's seconds

- "compute" is what a step of those takes when the batch is at hand: forwards, backwards, update;
- "exchange" is what that step takes longer in the cluster: the gradients' sums, the batch statistics of synchronised
  batch normalisation, and waiting for the slowest;
- "input" is what a step of the cluster takes longer when its batch comes from the pipeline.

All are medians over the steps, then over the rounds. Efficiency is the cluster's images a second over those of as many
workers that each have the machine to themselves. `--statistics` are those of the batch norms, synchronised or local.
`--rows` writes the figures of every round, with the messages and bytes in the graph of the step, for `python -m
benchmarks.planning`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks.planning.messages import counted
from train.cluster.processes import free_addresses, tf_config

KINDS = ("synchronized", "local")
Cluster = tuple[int, str]  # how many workers, and whose batch a norm sees


def measure(number: int, workers: int, kind: str, depth: int, batch: int, steps: int) -> dict[str, float]:
    """In this process, worker `number`: seconds a step, fed by the pipeline, and with one batch over and over.

    Beside them the messages of a step, and their bytes.
    """
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[number % os.cpu_count()]})
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_resunits import CoupledSGD, PreActResNet
    from train.cluster.strategy import make_strategy
    from train.data.augmentation import Augmentation
    from train.data.datasets import ImageData
    from train.data.feeding import Feed
    from train.step.network import synchronize
    from train.step.trainer import Trainer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    place = make_strategy("auto", "", 1, 300.0, 60.0)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2048, 32, 32, 3), np.uint8), rng.integers(0, 10, 2048)
    data = ImageData((images, labels), (images[:1], labels[:1]), [str(i) for i in range(10)])
    with place.strategy.scope():
        keras.utils.set_random_seed(0)
        model = PreActResNet(depth)
        if workers > 1 and kind == "synchronized":
            synchronize(model)
        trainer = Trainer(model, keras.layers.Rescaling(1 / 255), CoupledSGD(0.1))
        batches = Feed(data, batch * workers, Augmentation(4, True), 0, workers).training(0)
        asked = tf.constant(0.0)
        first = next(batches)
        trainer.train_step(*first, asked).numpy()
        fed = _median(lambda: trainer.train_step(*next(batches), asked).numpy(), steps)
        at_hand = _median(lambda: trainer.train_step(*first, asked).numpy(), steps)
        sent = counted(trainer.train_step.get_concrete_function(*first, asked).graph)
    return {"fed": fed, "at_hand": at_hand, "messages": len(sent), "bytes": sum(sent)}


def _median(step, steps: int) -> float:
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measured(workers: int, kind: str, args: argparse.Namespace) -> dict[str, float]:
    """Figures of workers at the same time, as one cluster or each by itself ("none"): those of the slowest."""
    connected = kind != "none"
    addresses = free_addresses(workers)
    processes = []
    for number in range(workers):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        if connected:
            environment["TF_CONFIG"] = tf_config(addresses, number)
        command = [
            sys.executable,
            "-m",
            "benchmarks.scaling",
            f"--depth={args.depth}",
            f"--batch={args.batch}",
            f"--steps={args.steps}",
        ]
        command += [f"--workers={workers if connected else 1}", f"--statistics={kind}", f"--number={number}"]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"a worker of {workers} failed; its own lines say why")
    figures = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {name: max(each[name] for each in figures) for name in figures[0]}


def table(results: dict[Cluster, list[dict[str, float]]], batch: int) -> str:
    """Medians over the rounds, as Markdown."""

    def median(cluster: Cluster, name: str) -> float:
        return statistics.median(each[name] for each in results[cluster])

    alone = min(results)
    lines = ["| workers | statistics | images/s | efficiency | step, ms | compute | exchange | input |"]
    lines.append("|---:|---|" + "---:|" * 6)
    for workers, kind in results:
        fed, at_hand, compute = (median((workers, kind), name) for name in ("fed", "at_hand", "compute"))
        rate, single = workers * batch / fed, batch / median(alone, "fed")
        milliseconds = [1000 * each for each in (fed, compute, at_hand - compute, fed - at_hand)]
        shown = " | ".join(f"{each:.0f}" for each in milliseconds)
        lines.append(f"| {workers} | {kind} | {rate:.1f} | {rate / workers / single:.0%} | {shown} |")
    return "\n".join(lines)


def write(path: str, results: dict[Cluster, list[dict[str, float]]], args: argparse.Namespace) -> None:
    """Every round's figures, one a line."""
    with open(path, "w", newline="") as file:
        columns = ["workers", "statistics", "cores", "depth", "batch", "compute", "at_hand", "fed", "messages", "bytes"]
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for (workers, kind), seen in results.items():
            common = {"workers": workers, "statistics": kind, "cores": len(os.sched_getaffinity(0))}
            common |= {"depth": args.depth, "batch": args.batch}
            writer.writerows({**common, **_rounded(each)} for each in seen)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    """Seconds to the microsecond."""
    return {name: round(figure, 6) for name, figure in figures.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="sizes of the clusters, the first of one; 1,2 by default")
    parser.add_argument("--statistics", default="synchronized", help="of batch norms: synchronized,local for both")
    parser.add_argument("--rows", help="the .csv file to write")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of either kind in each process")
    parser.add_argument("--depth", type=int, default=20, help="of PreActResNet")
    parser.add_argument("--batch", type=int, default=64, help="images a step and worker")
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = [int(size) for size in args.workers.split(",")]
    kinds = args.statistics.split(",")
    if args.number is not None:
        print(json.dumps(measure(args.number, sizes[0], kinds[0], args.depth, args.batch, args.steps)))
        return
    if sizes[0] != 1:
        parser.error(f"--workers must begin with 1, which the others are compared with; got {args.workers}")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--statistics must be of {', '.join(KINDS)}; got {unknown[0]}")
    results: dict[Cluster, list[dict[str, float]]] = {
        (size, kind): [] for size in sizes for kind in (kinds if size > 1 else ["none"])
    }
    for i in range(args.rounds):
        for (size, kind), seen in results.items():
            if kind in (kinds[0], "none"):
                alone = measured(size, "none", args)
            figures = measured(size, kind, args) if size > 1 else alone
            seen.append({**figures, "compute": alone["at_hand"]})
            print(f"round {i + 1}/{args.rounds}  {size} workers, {kind}  {seen[-1]}", file=sys.stderr, flush=True)
            if args.rows:
                write(args.rows, results, args)
    print(table(results, args.batch))


if __name__ == "__main__":
    main()
