"""A run's folders, checked before any work starts."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from glob import escape, glob
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from ..process.errors import BadInput, say
from ..process.files import UNFINISHED, digest, local, stored, whole
from ..settings.conversion import Conversion


@dataclass(frozen=True)
class Run:
    """The files and folders of a run.

    Args:
        output: The folder of `runs/` and `saved_models/`.
        name: The run's name.
    """

    output: Path
    name: str

    @classmethod
    def at(cls, folder: Path) -> Run:
        """The run whose folder this is, `OUTPUT/runs/NAME`."""
        return cls(folder.parent.parent, folder.name)

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
        """The network, unit by unit, with every choice that the family made by default."""
        return self.folder / "network.txt"

    @property
    def data(self) -> Path:
        """The values that identify the run's data."""
        return self.folder / "data.json"

    @property
    def history(self) -> Path:
        """Loss and accuracy, one row per epoch."""
        return self.folder / "history.csv"

    @property
    def gates(self) -> Path:
        """The values of the scalar gates, one row per epoch; absent where the network has none."""
        return self.folder / "gates.csv"

    @property
    def curves(self) -> Path:
        """The plot of the history."""
        return self.folder / "curves.png"

    @property
    def pruning(self) -> tuple[Path, Path]:
        """What pruning cost and gained before this run, a table and a picture; absent where nothing was pruned."""
        return self.folder / "pruning.csv", self.folder / "pruning.png"

    @property
    def example(self) -> Path:
        """A test image, to try the export with."""
        return self.folder / "example.png"

    @property
    def initial(self) -> Path:
        """The copy of the file that training began from."""
        return self.folder / "initial.keras"

    def initial_file(self, given: str | None, known: str | None) -> Path | None:
        """The file that training begins or began from: the run's copy, once there is one; `None` without one.

        Args:
            given: The file that the configuration names.
            known: The SHA-256 that it has.

        Raises:
            BadInput: if both are gone, or the file is another one.
        """
        if given is None:
            return None
        path = self.initial if self.begun and self.initial.exists() else Path(given)
        if not path.is_file():
            if Conversion.of(given):
                raise BadInput(f"{self.initial} is missing: restore it (SHA-256 {known}).")
            raise BadInput(f"{self.initial} is missing, and so is {given}: restore one of them.")
        if (now := digest(path)) != known:
            raise BadInput(f"{path} was changed: its SHA-256 is {now}, but the run begins from {known}.")
        return path

    def keep_initial(self, path: Path | None) -> None:
        """Keep a copy of the file that training begins from, with which the run can do without it."""
        if path and path != self.initial:
            with whole(self.initial) as unfinished:
                shutil.copyfile(path, unfinished)

    def code_files(self, digests: Mapping[str, str] | None, given: Mapping[str, Path]) -> dict[str, Path]:
        """The files with the run's objects, by their names: the run's copies, once there are some.

        Args:
            digests: The SHA-256 of each file, by its name; `None` without one.
            given: Where a new run finds them.

        Raises:
            BadInput: if one is missing, or another one.
        """
        files = {}
        for name, known in (digests or {}).items():
            kept = self.folder / "code" / name
            files[name] = path = kept if kept.exists() or name not in given else given[name]
            if not path.is_file():
                raise BadInput(f"{path} is missing, which holds objects of the run: restore it (SHA-256 {known}).")
            if (now := digest(path)) != known:
                raise BadInput(f"{path} was changed: its SHA-256 is {now}, but the run has objects of {known}.")
        return files

    def keep_code(self, files: Mapping[str, Path]) -> None:
        """Keep copies of the files with the run's objects, with which the run can do without them."""
        for name, path in files.items():
            copy = self.folder / "code" / name
            if path != copy:
                copy.parent.mkdir(exist_ok=True)
                with whole(copy) as unfinished:
                    shutil.copyfile(path, unfinished)

    @property
    def model(self) -> Path:
        """The trained network with its preprocessing and class names, in the state that is exported."""
        return self.folder / "model.keras"

    @property
    def checkpoints(self) -> Path:
        """The run's checkpoints."""
        return self.folder / "checkpoints"

    @property
    def begun(self) -> bool:
        """Whether the run has a configuration or checkpoints, which another run must not overwrite."""
        # a folder without read permission is reported by `claim`, in one line
        return os.path.exists(self.config) or bool(glob(f"{escape(str(self.checkpoints))}/*"))

    @property
    def earlier(self) -> bool:
        """Whether a version without validation splits began the run: its data's identity names no splits."""
        return self.begun and self.data.exists() and "splits" not in self._seen

    @property
    def selects(self) -> bool:
        """Whether the run has a validation split, by which its best state is chosen."""
        return "validation" in self._seen.get("splits", ())

    @property
    def watched(self) -> str:
        """The split that is looked at after each epoch."""
        return "validation" if self.selects else "test"

    @property
    def _seen(self) -> dict[str, Any]:
        """The values that identify the run's data; empty where they cannot be read, which others report."""
        return metadata(self.folder, self.data.name)

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's events."""
        return self.folder / "tensorboard"

    @property
    def saved_models(self) -> Path:
        """The folder of the exported versions."""
        return self.output / "saved_models" / self.name

    def saved_epochs(self) -> int | None:
        """The number of epochs in the saved configuration; `None` if there is no configuration yet."""
        return json.loads(self.config.read_text())["epochs"] if self.config.exists() else None

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folders and lock them against other processes; remove them if an error leaves them empty.

        Raises:
            BadInput: if a folder cannot be written to, or another process uses it.
        """
        self.claim()
        lock = self.folder / "lock"
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open(lock, "a+b", buffering=0))
            except OSError as error:
                raise BadInput(f"--run={self.name}: {lock} cannot be written to ({error.strerror}).") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the process ends, however it ends
            except OSError:
                file.seek(0)
                raise BadInput(
                    f"--run={self.name}: {self.folder} is in use by {file.read().decode().strip()}."
                ) from None
            try:
                with stored(str(lock)):
                    file.truncate(0)
                    file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                self._clean()
                yield
            except BaseException:  # including KeyboardInterrupt, as in a download
                if list(self.folder.iterdir()) == [lock]:
                    lock.unlink()
                    self.release()
                raise

    def require_same_data(self, data: dict[str, Any]) -> None:
        """Save the data's identity when the run starts; refuse other data when it resumes.

        Args:
            data: The values that identify the data, as JSON.

        Raises:
            BadInput: if the data are not those that the run started with.
        """
        if not (self.begun and self.data.exists()):
            if self.history.exists():
                say(f"{self.data} is missing: the data cannot be compared with those that the run started with.")
            with whole(self.data) as unfinished:
                unfinished.write_text(json.dumps(data) + "\n")
            return
        changed = self.changed_data(data)
        if changed:
            raise BadInput(
                f"--resume: the data are not those that the run started with: {'; '.join(changed)}. Use another --run."
            )

    def changed_data(self, data: dict[str, Any]) -> list[str]:
        """How data differ from those that the run started with, one text per value; only saved values are compared.

        Raises:
            BadInput: if the saved values cannot be read.
        """
        try:
            began = dict(json.loads(self.data.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{self.data} cannot be read: {error}. Remove it to continue without comparing.") from None
        changed = {name: value for name, value in data.items() if name in began and began[name] != value}
        return [f"{name} was {began[name]!r}, is {value!r}" for name, value in changed.items()]

    def exported_version(self, **of: Any) -> Path | None:
        """The newest version exported from a `state` or `step`: each version's metadata.json tells which.

        Args:
            of: What it must tell, by name.
        """
        versions = [each for each in self.saved_models.glob("*") if each.name.isdecimal()]
        for version in sorted(versions, key=lambda each: int(each.name), reverse=True):
            noted = metadata(version) or self._noted_by_earlier_versions(version)
            if noted and (version / "saved_model.pb").is_file() and of.items() <= noted.items():
                return version
        return None

    def _noted_by_earlier_versions(self, version: Path) -> dict[str, Any]:
        """What exported.json, which stood beside the run, tells of a version."""
        noted = metadata(self.folder, "exported.json")
        return noted if noted.get("version") == version.name else {}

    def _clean(self) -> None:
        """Remove the unfinished files of killed processes."""
        for folder in (self.folder, self.saved_models):
            for path in folder.glob(f"{UNFINISHED}*"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

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
        """Remove the folders, and those above them, where they are empty."""
        for folder in (self.folder, self.folder.parent, self.saved_models, self.saved_models.parent, self.output):
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()


def metadata(folder: Path, name: str = "metadata.json") -> dict[str, Any]:
    """What a JSON file tells; empty where there is none, or it is damaged."""
    try:
        return dict(json.loads((folder / name).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def new_run(output: str, name: str | None, default: str) -> Run:
    """A new run: `name`, or the first of `default`, `default-2`, ... that is free.

    Raises:
        BadInput: if `name` is taken.
    """
    folder = local(output, "--output", plain=True)
    if name is None:
        names = (default if i == 1 else f"{default}-{i}" for i in count(1))
        return next(run for run in (Run(folder, name) for name in names) if not run.begun)
    _require_name(name)
    run = Run(folder, name)
    if run.begun:
        raise BadInput(f"--run={name} already exists in {run.folder}; pass --resume to continue it, or another name.")
    return run


def old_run(output: str, name: str | None, default: str) -> Run:
    """The run to resume: `name`, whether it exists or not, or the last existing one of `default`, `default-2`, ...

    Raises:
        BadInput: if no name is given and no run exists, or the run's configuration is missing.
    """
    folder = local(output, "--output", plain=True)
    if name is not None:
        _require_name(name)
        run = Run(folder, name)
    else:
        names = (default if i == 1 else f"{default}-{i}" for i in count(1))
        begun = list(takewhile(lambda run: run.begun, (Run(folder, name) for name in names)))
        if not begun:
            raise BadInput(f"--resume: there is no run {default!r} in {folder / 'runs'}.")
        run = begun[-1]
    if run.begun and not os.path.exists(run.config):
        raise BadInput(
            f"--resume: {run.config} is missing, so these flags cannot be compared with the run's. Restore it, or use "
            "another --run."
        )
    return run


def _require_name(name: str) -> None:
    if name in ("", "..") or name != Path(name).name:
        raise BadInput(f"--run={name} must be the name of a folder, not a path.")
    local(name, "--run", plain=True)
