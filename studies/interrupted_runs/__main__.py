"""Runs that are killed on their way beside runs that are not: on one device, two, and several workers.

    python -m studies.interrupted_runs --output=OUT                                               digits, minutes
    python -m studies.interrupted_runs --ways=2-workers --dataset=FOLDER --epochs=2 --output=OUT  as long as that takes

Each way is trained twice by the same command. The second time one process, the last worker where there are several,
gets SIGKILL after a random checkpoint of the second half, and the command is given again. Prints, as Markdown, the hash
of all variables and the test accuracy that both end with, and where the second one went on; OUT keeps both runs.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

WAYS = {
    "one-device": ("train",),
    "2-devices": ("train", "--cpu_devices=2"),
    "2-workers": ("train.launch", "--workers=2", "--"),
    "3-workers": ("train.launch", "--workers=3", "--"),
}


def started(way: str, run: str, args: argparse.Namespace) -> subprocess.Popen:
    """The command, its output in a file of its own."""
    flags = [
        f"--epochs={args.epochs}",
        f"--batch_size={args.batch_size}",
        f"--checkpoint_every={args.checkpoint_every}",
    ]
    flags += [
        f"--dataset={args.dataset}",
        f"--depth={args.depth}",
        f"--run={run}",
        f"--output={args.output}",
        "--resume",
        "--noexport",
    ]
    with open(log(run, args), "a") as file:
        return subprocess.Popen([sys.executable, "-m", *WAYS[way], *flags], stdout=file, stderr=subprocess.STDOUT)


def log(run: str, args: argparse.Namespace) -> Path:
    """What a run said."""
    return Path(args.output) / f"{run}.log"


def ended(process: subprocess.Popen, run: str, args: argparse.Namespace) -> tuple[str, str]:
    """Hash and accuracy that a run tells at its end."""
    if process.wait():
        sys.exit(f"{run} ended with {process.returncode}; {log(run, args)} says why")
    said = log(run, args).read_text()
    return re.findall(r"state +([0-9a-f]{12})", said)[-1], re.findall(r"test accuracy ([\d.]+%)", said)[-1]


def kill_one(process: subprocess.Popen) -> None:
    """SIGKILL to the last worker, or to the run where it is a single process."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[-1]) if children else process.pid, signal.SIGKILL)
    process.wait()


def killed(way: str, run: str, steps: int, args: argparse.Namespace) -> int:
    """Begins a run and kills it in the second half of its `steps`; the last step that it saved."""
    process, fatal = started(way, run, args), random.uniform(0.5, 0.9) * steps
    while newest(run, args) < fatal:
        if process.poll() is not None:
            sys.exit(f"{run} ended before it was killed; {log(run, args)} says why")
        time.sleep(0.05)
    kill_one(process)
    return newest(run, args)


def newest(run: str, args: argparse.Namespace) -> int:
    """The step of a run's newest checkpoint."""
    folder = Path(args.output) / "runs" / run / "checkpoints"
    return max((int(path.name[5:]) for path in folder.glob("step-*")), default=0)


def row(way: str, args: argparse.Namespace) -> str:
    """Both runs of a way."""
    run = f"{way}-undisturbed"
    undisturbed = ended(started(way, run, args), run, args)
    steps, run = newest(run, args), f"{way}-killed"
    step = killed(way, run, steps, args)
    gone_on = ended(started(way, run, args), run, args)
    cells = [way.replace("-", " "), *undisturbed, str(step), *gone_on, "equal" if gone_on == undisturbed else "DIFFER"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}; all by default")
    parser.add_argument("--dataset", default="digits", help="as for `python -m train`")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--depth", type=int, default=8, help="of PreActResNet")
    parser.add_argument("--batch_size", type=int, default=60, help="of all devices together; 2 and 3 divide it")
    parser.add_argument("--checkpoint_every", type=int, default=5, help="steps")
    parser.add_argument("--output", required=True, help="the folder that gets everything")
    args = parser.parse_args()
    ways = args.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"--ways must be of {', '.join(WAYS)}; got {', '.join(sorted(unknown))}")
    Path(args.output).mkdir(parents=True, exist_ok=True)
    print(
        "| | undisturbed | accuracy | killed, went on from step | ended as | accuracy | |\n"
        "|---|---|---:|---:|---|---:|---|",
        flush=True,
    )
    for way in ways:
        print(row(way, args), flush=True)


if __name__ == "__main__":
    main()
