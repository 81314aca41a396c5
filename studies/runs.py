"""Training runs of a study: `python -m train`, one after the other, each resumed where it stopped."""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `train`, from whatever folder the study is started

from train.process.errors import NumericError  # noqa: E402
from train.run.history import read_history  # noqa: E402


class Diverged(Exception):
    """The loss of a run became NaN."""


def train(output: Path, run: str, *flags: str) -> None:
    """A run, from where it stopped; what is done is not done again.

    Raises:
        Diverged: if its loss became NaN.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "train", *flags, f"--run={run}", f"--output={output}", "--resume", "--noexport"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path})
    if done.returncode == NumericError.code:
        raise Diverged(run)
    done.check_returncode()


def results(output: Path, run: str, epochs: int) -> dict[str, float] | None:
    """The last epoch's figures of a finished run; `None` of one that has not come that far.

    They are the training loss, and the training and test error in percent. The training error is that of the epoch's
    batches, as they were augmented.
    """
    path = output / "runs" / run / "history.csv"
    history = read_history(path) if path.exists() else {}
    if len(history.get("epoch", ())) < epochs:
        return None
    last = {name: values[epochs - 1] for name, values in history.items()}
    return {
        "training loss": last["loss"],
        "training error %": 100 * (1 - last["accuracy"]),
        "test error %": 100 * (1 - last["val_accuracy"]),
    }


def finished(output: Path, run: str, epochs: int, *flags: str) -> dict[str, float]:
    """The last epoch's figures of a run, which is trained if OUT does not hold it."""
    if (found := results(output, run, epochs)) is None:
        train(output, run, f"--epochs={epochs}", *flags)
        found = results(output, run, epochs)
    assert found is not None  # it has just been trained
    return found


def trained(output: Path, run: str, most: int = 1000) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A run's network, up to `most` of its test images as the network takes them, and their labels."""
    from train.compress import examples
    from train.data.datasets import load
    from train.evaluation.networks import checkpoint_network, chosen_checkpoint
    from train.run.folder import Run
    from train.settings.config import read

    done = Run(output, run)
    config, network = read(done.config), checkpoint_network(done, chosen_checkpoint(done))
    data = load(config.source, config.augmenting.streamed, config.recipe.seed)
    return network.model, *examples(data, most, network.preprocessing)


def write_rows(path: Path, rows: Sequence[dict]) -> None:
    """A CSV file with a row for each run."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: f"{v:.4g}" if isinstance(v, float) else v for name, v in row.items()} for row in rows)


def spread(values: Iterable[float]) -> str:
    """The mean of some runs, and from the lowest to the highest.

    >>> spread([1.0]), spread([1.0, 3.0])
    ('1.00', '2.00 (1.00 to 3.00)')
    """
    values = list(values)
    several = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{several}"
