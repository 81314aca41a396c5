"""A run's folders, found fit before any work is done."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from train.errors import BadInput


@dataclass(frozen=True)
class Run:
    """Where a run writes.

    Args:
        output: The folder that holds `runs/` and `saved_models/`.
        name: The run's name.
    """

    output: Path
    name: str

    @property
    def folder(self) -> Path:
        """Configuration, history, curves, TensorBoard and checkpoints."""
        return self.output / "runs" / self.name

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.folder / "config.json"

    @property
    def network(self) -> Path:
        """The network, unit by unit: every choice that a family made by itself."""
        return self.folder / "network.txt"

    @property
    def history(self) -> Path:
        """Loss and accuracy, a row an epoch."""
        return self.folder / "history.csv"

    @property
    def curves(self) -> Path:
        """The history as a picture."""
        return self.folder / "curves.png"

    @property
    def checkpoints(self) -> Path:
        """The last epochs' checkpoints."""
        return self.folder / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's events."""
        return self.folder / "tensorboard"

    @property
    def saved_models(self) -> Path:
        """The exported versions."""
        return self.output / "saved_models" / self.name

    def claim(self) -> None:
        """Make the folders.

        Raises:
            BadInput: if one cannot be written to.
        """
        for folder in (self.folder, self.saved_models):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                self.release()
                raise BadInput(f"--output={self.output}: {folder} cannot be written to ({error.strerror}).") from None

    def release(self) -> None:
        """Take the folders back as far as they are empty, and those above them."""
        for folder in (self.folder, self.folder.parent, self.saved_models, self.saved_models.parent, self.output):
            with suppress(OSError):  # not empty, or never made
                folder.rmdir()


def new_run(output: str, name: str | None, default: str) -> Run:
    """A run nobody has started: `name`, or `default`, `default-2`, ... whichever is free.

    Raises:
        BadInput: if `name` is taken.
    """
    output = os.path.expanduser(output)
    if name is None:
        names = (default if i == 1 else f"{default}-{i}" for i in count(1))
        return next(run for run in (Run(Path(output), name) for name in names) if not run.config.exists())
    if name in ("", "..") or name != Path(name).name:
        raise BadInput(f"--run={name} must be the name of a folder, not a path.")
    run = Run(Path(output), name)
    if run.config.exists():
        raise BadInput(f"--run={name} exists already in {run.folder}; pass --resume to go on with it, or another name.")
    return run


def old_run(output: str, name: str | None, default: str) -> Run:
    """The run to resume: `name`, or the last of `default`, `default-2`, ...

    Raises:
        BadInput: if there is none.
    """
    output = os.path.expanduser(output)
    if name is None:
        for i in count(2):
            if not Run(Path(output), f"{default}-{i}").config.exists():
                name = default if i == 2 else f"{default}-{i - 1}"
                break
    run = Run(Path(output), name or default)
    if not run.config.exists():
        raise BadInput(f"--resume: there is no run {run.name!r} in {run.output / 'runs'}.")
    return run
