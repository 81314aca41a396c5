"""Checkpoints: everything that a run needs to resume, in one folder per step that is either whole or absent.

A folder `step-00000400/` has `state.*`, as written by `tf.train.Checkpoint`, and `manifest.json`, with the run's
position and the SHA-256 of every file. It is written under another name, flushed to the disk and renamed. No other file
records which checkpoint is the newest, so none can be lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import keras

from ..process.backend import tf
from ..process.errors import BadInput, StorageError, first_line, say
from ..process.files import digest, flush, why
from ..step.average import Average
from .history import lines

TRIES = 3  # consecutive failed saves that end the run


@dataclass
class Position:
    """The position of a run, besides its variables.

    Args:
        epoch: Epochs done, including their tests.
        step: Steps done, over all epochs.
        loss, hits, images: Sums over the steps of the current epoch.
        rate: The learning rate of the last step.
        left_out: Steps whose batches `--on_nan` skipped.
        tested: Results of the last test: `val_loss`, `val_accuracy`, and the same for the averaged weights.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    hits: float = 0.0
    images: float = 0.0
    rate: float | None = None
    left_out: list[int] = field(default_factory=list)
    tested: dict[str, float] = field(default_factory=dict)


def state_hash(variables: Iterable) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the variables' bytes: equal for runs that agree bit for bit."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:12]


class Checkpoints:
    """The newest checkpoints of a run, and its best.

    Args:
        folder: The folder of the checkpoints.
        model: A built network.
        optimizer: A built optimiser.
        average: Averages of the weights; none by default.
        keep: How many of the newest to keep; 3 by default. The one with the highest score is kept as well.
        worker: This process's number; only worker 0 leaves files, but all take part in saving.
        about: What a checkpoint records about its run, as JSON: `run` and `data`, which identify the run, and the
            values that are needed to use the network.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        average: Average | None = None,
        keep: int = 3,
        worker: int = 0,
        about: Mapping[str, Any] | None = None,
    ):
        self.folder, self.keep, self.worker = folder, keep, worker
        self._failures, self.about = 0, dict(about or {})
        # Keras' random states are not weights, and tf.train.Checkpoint does not find them by itself
        weights = {id(weight) for weight in model.weights}
        random = [variable.value for variable in model.variables if id(variable) not in weights]
        parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "random": random}
        self._checkpoint = tf.train.Checkpoint(**parts, **({"average": average} if average else {}))

    @property
    def steps(self) -> list[int]:
        """The steps of the existing checkpoints, in ascending order."""
        return [step_of(path) for path in _folders(self.folder)]

    def save(self, position: Position, score: float | None = None) -> bool:
        """Save, and return whether it worked; a full disk is reported, but does not end the run at once.

        Args:
            position: The run's position.
            score: The higher the better; `None` if not measured.

        Raises:
            StorageError: when saving fails for the third time in a row.
        """
        path, unfinished = self._path(position.step), self.folder / f"unfinished-{self.worker}-{position.step}"
        try:
            self._write(unfinished, position, score)
            if self.worker == 0:
                replaced = path.with_name(f"replaced-{path.name}")  # saved before the test, and again after it
                if path.exists():
                    path.rename(replaced)
                unfinished.rename(path)
                shutil.rmtree(replaced, ignore_errors=True)
                flush(self.folder)
        except (OSError, tf.errors.OpError) as error:
            self._failed(position.step, error)
            return False
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._failures = 0
        if self.worker == 0:
            self._forget()
        return True

    def restore(self) -> Position:
        """Restore the newest whole checkpoint, and rename damaged ones; without any, the position is the start.

        Raises:
            BadInput: if the checkpoint belongs to another run or network.
            StorageError: if there are checkpoints, but all are damaged.
        """
        if self.worker == 0:
            self._clean()
        damaged = []
        for step in reversed(self.steps):
            path = self._path(step)
            try:
                position = _position(path)
            except _Damage as damage:
                damaged.append(f"step {step}: {damage}")
                say(f"checkpoint {path} is damaged ({damage}); trying the one before.")
                if self.worker == 0:
                    _set_aside(path)
                continue
            self._require_own(path)
            self._read(path)
            return position
        aside = sorted(path.name for path in self.folder.glob("bad-*"))
        if damaged or aside:
            raise StorageError(
                f"no usable checkpoint in {self.folder} ({'; '.join(damaged) or ', '.join(aside)}). Refusing to "
                "start over: use another --run, or remove that folder."
            )
        return Position()

    @property
    def best(self) -> int | None:
        """The step of the checkpoint with the highest score, the first of equal ones; `None` if none has a score."""
        return next(map(step_of, _ranked(self.folder)), None)

    def restore_best(self) -> Position:
        """Restore the best undamaged checkpoint, and return its position.

        Raises:
            StorageError: if there is none.
        """
        if (path := best_checkpoint(self.folder)) is None:
            raise StorageError(f"no undamaged checkpoint in {self.folder} has a score, so none is the best.")
        self._read(path)
        return _position(path)

    def _require_own(self, path: Path) -> None:
        """Refuse a checkpoint of another run; those of earlier versions do not record their run."""
        theirs = about(path)
        if other := [
            name for name in ("run", "data") if theirs.get(name, self.about.get(name)) != self.about.get(name)
        ]:
            what = " and ".join({"run": "another configuration", "data": "other data"}[name] for name in other)
            raise BadInput(
                f"--resume: {path} belongs to another run, trained with {what}. Restore this run's own checkpoints."
            )

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08}"

    def _write(self, folder: Path, position: Position, score: float | None) -> None:
        folder.mkdir(parents=True)
        self._checkpoint.write(str(folder / "state"))
        files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.is_file()}
        manifest = {"position": asdict(position), "score": score, "files": files, "about": self.about}
        manifest["made_with"] = environment()
        (folder / "manifest.json").write_text(json.dumps(manifest | {"seal": _seal(manifest)}, indent=2) + "\n")
        for path in [*folder.iterdir(), folder]:
            flush(path)

    def _read(self, path: Path) -> None:
        try:
            self._checkpoint.read(str(path / "state")).assert_consumed()
        except (ValueError, AssertionError, IndexError, tf.errors.OpError) as error:
            raise BadInput(f"--resume: {path} does not fit this network: {error}") from error
        made, here = _manifest(path)["made_with"], environment()
        changed = [f"{name} {made.get(name)} is now {here[name]}" for name in here if made.get(name) != here[name]]
        if changed:
            say(f"{', '.join(changed)}: the run continues, but no longer bit for bit.")

    def _failed(self, step: int, error: Exception) -> None:
        self._failures += 1
        newest = f"step {self.steps[-1]} is intact" if self.steps else "there is no earlier one"
        if self._failures == TRIES:
            raise StorageError(f"{why(error)} writing step {step} to {self.folder}, {TRIES} times in a row; {newest}.")
        say(f"{why(error)} writing step {step} to {self.folder}; {newest}. Continuing; trying again at the next save.")

    def _forget(self) -> None:
        """Remove all checkpoints except the newest ones and the best."""
        steps, best = self.steps, self.best
        for step in steps[: -self.keep]:
            if step != best:
                _remove(self._path(step))

    def _clean(self) -> None:
        """Remove what a killed run was writing or removing, and restore what it was replacing."""
        for path in self.folder.glob("replaced-*"):
            original = path.with_name(path.name.removeprefix("replaced-"))
            if original.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(original)
        for path in self.folder.glob("unfinished-*"):
            shutil.rmtree(path, ignore_errors=True)


class _Damage(Exception):
    """A checkpoint's files are damaged; the text states how."""


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest undamaged checkpoint in `folder`; `None` if there is none."""
    for path in reversed(_folders(folder)):
        with suppress(_Damage):
            _position(path)
            return path
    return None


def best_checkpoint(folder: Path) -> Path | None:
    """The undamaged checkpoint in `folder` with the highest score, the first of equal ones; `None` if there is none."""
    for path in _ranked(folder):
        with suppress(_Damage):
            _position(path)
            return path
    return None


def _ranked(folder: Path) -> list[Path]:
    """The checkpoints that have a score, the highest first, of equal ones the first."""
    scores = {path: score for path in _folders(folder) if (score := _score(path)) is not None}
    return sorted(scores, key=lambda path: -scores[path])


def step_of(path: Path) -> int:
    """The step of a checkpoint, from its folder's name."""
    return int(path.name.removeprefix("step-"))


def about(path: Path) -> dict[str, Any]:
    """What a checkpoint records about its run; empty for those of earlier versions."""
    return _manifest(path).get("about", {})


def results_at(path: Path) -> dict[str, float]:
    """The results of the last test of a checkpoint's state; empty if it was saved before one."""
    return Position(**_manifest(path)["position"]).tested


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdecimal())


def environment() -> dict[str, Any]:
    """What the last bits of results depend on, besides the program and the type of machine."""
    return {
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "devices": tf.distribute.get_strategy().num_replicas_in_sync,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),  # not on macOS
        "intra-op threads": tf.config.threading.get_intra_op_parallelism_threads()
        or os.environ.get("TF_NUM_INTRAOP_THREADS", 0),
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }


def _position(path: Path) -> Position:
    """The position in a checkpoint, after checking every file's checksum."""
    manifest = _manifest(path)
    for name, wanted in manifest["files"].items():
        try:
            found = digest(path / name)
        except FileNotFoundError as error:
            raise _Damage(f"{name}: {error.strerror}") from error
        except OSError as error:
            raise _unreadable(error) from error
        if found != wanted:
            raise _Damage(f"{name}: checksum")
    return Position(**manifest["position"])


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        Position(**manifest["position"])
        if not all(Path(name).name == name for name in manifest["files"]):
            raise ValueError("a file outside the folder")
        if manifest.pop("seal") != _seal(manifest):
            raise ValueError("checksum")
        return manifest
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Damage(f"manifest.json: {first_line(error)}") from error
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> StorageError:
    """A file that is there and cannot be read says nothing about its content: the checkpoint is left as it is."""
    return StorageError(f"{error.filename} cannot be read ({error.strerror}); nothing was changed.")


def _seal(manifest: dict[str, Any]) -> str:
    """The manifest's own checksum."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _score(path: Path) -> float | None:
    try:
        return _manifest(path).get("score")
    except _Damage:
        return None


def require_checkpoint(history: Path, folder: Path, step: int) -> None:
    """Refuse to start over where the history shows more than one epoch; report it where the first epoch starts again.

    Args:
        history: The run's history, which need not exist.
        folder: The folder of its checkpoints.
        step: The step to resume from.

    Raises:
        StorageError: if `step` is 0, but the history has more than one epoch.
    """
    rows = lines(history)[1:] if history.exists() else []  # without the header
    done = sum(row.endswith(b"\n") for row in rows)
    if not step and history.exists() and done <= 1:  # an epoch's row is written before its checkpoint
        say(f"no checkpoint in {folder}: the first epoch starts again.")
    if not step and done > 1:
        raise StorageError(
            f"no checkpoint in {folder}, but {history} has {done} epochs. Refusing to start over: restore the "
            f"checkpoints, use another --run, or remove {history}."
        )


def _set_aside(path: Path) -> None:
    names = (f"bad-{path.name}" if i == 1 else f"bad-{path.name}-{i}" for i in count(1))
    path.rename(next(each for each in map(path.with_name, names) if not each.exists()))


def _remove(path: Path) -> None:
    """Rename before removing, so that a killed removal leaves no partial checkpoint."""
    doomed = path.with_name(f"unfinished-{path.name}")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
