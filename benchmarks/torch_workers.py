"""Time PyTorch's DistributedDataParallel as `benchmarks.scaling` times ours: PreActResNet-20, a core for each worker.

    python -m benchmarks.torch_workers --workers=1,2 --rounds=5

A round measures every number of workers once. Every worker trains on one batch over and over, and its batch norms have
local statistics: PyTorch has no synchronised norm on the CPU. Efficiency is the images a second over those of as
many workers that each have the machine to themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from train.cluster.processes import free_addresses


def measure(number: int, workers: int, address: str, args: argparse.Namespace) -> float:
    """In this process, worker `number`: seconds a step."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[number % os.cpu_count()]})
    import torch
    from torch import distributed
    from torch.nn import functional as F
    from torch.nn.parallel import DistributedDataParallel

    from benchmarks.training_step.native_torch import preact_basic

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = preact_basic(args.depth).to(memory_format=torch.channels_last)
    distributed.init_process_group("gloo", f"tcp://{address}", rank=number, world_size=workers)
    shared = DistributedDataParallel(model) if workers > 1 else model
    optimizer = torch.optim.SGD(shared.parameters(), 0.1, 0.9, nesterov=True, weight_decay=1e-4)
    images = torch.randn(args.batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (args.batch,))
    seconds = []
    for _ in range(args.steps + 1):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(shared(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - began)
    distributed.destroy_process_group()
    return statistics.median(seconds[1:])


def measured(workers: int, args: argparse.Namespace) -> float:
    """Seconds a step of the slowest of some workers."""
    (address,) = free_addresses(1)
    command = [sys.executable, "-m", "benchmarks.torch_workers", f"--workers={workers}", f"--address={address}"]
    command += [f"--depth={args.depth}", f"--batch={args.batch}", f"--steps={args.steps}"]
    processes = [
        subprocess.Popen([*command, f"--number={number}"], stdout=subprocess.PIPE, text=True)
        for number in range(workers)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"a worker of {workers} failed; its own lines say why")
    return max(json.loads(output.splitlines()[-1]) for output in outputs)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, the first of them 1; 1,2 by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="timed steps in each process")
    parser.add_argument("--depth", type=int, default=20, help="of PreActResNet, 6n + 2")
    parser.add_argument("--batch", type=int, default=64, help="images a step and worker")
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = [int(size) for size in args.workers.split(",")]
    if args.number is not None:
        print(json.dumps(measure(args.number, sizes[0], args.address, args)))
        return
    if sizes[0] != 1:
        parser.error(f"--workers must begin with 1, which the others are compared with; got {args.workers}")
    seen: dict[int, list[float]] = {size: [] for size in sizes}
    for i in range(args.rounds):
        for size, seconds in seen.items():
            seconds.append(measured(size, args))
            print(f"round {i + 1}/{args.rounds}  {size} workers  {seconds[-1]:.4f} s", file=sys.stderr, flush=True)
    print("| workers | images/s | efficiency | step, ms |\n|---:|---:|---:|---:|")
    for size, seconds in seen.items():
        step, alone = statistics.median(seconds), statistics.median(seen[1])
        print(f"| {size} | {size * args.batch / step:.1f} | {alone / step:.0%} | {1000 * step:.0f} |")


if __name__ == "__main__":
    main()
