"""Where images come from: one file a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from train.config import Config
from train.datasets.digits import load_digits
from train.datasets.folder import load_folder
from train.datasets.idx import holds_idx, load_idx
from train.datasets.images import ImageData, checked
from train.datasets.npz import load_npz
from train.datasets.tfds import load_tfds
from train.errors import BadInput

__all__ = ["ImageData", "load"]


def load(config: Config) -> ImageData:
    """The images that `--dataset` names, checked.

    Raises:
        BadInput: if they are not there or not fit for training.
    """
    try:
        source = _source(config.dataset)
        unread = [flag for flag in OPTIONS - source.reads if getattr(config, flag)]
        if unread:
            raise BadInput(f"--{min(unread)} means nothing for {source.title} (--dataset={config.dataset}).")
        data = source.load(config)
    except PermissionError as error:
        raise BadInput(f"--dataset={config.dataset}: {error.filename} cannot be read ({error.strerror}).") from None
    return checked(data, config.class_names)


@dataclass(frozen=True)
class _Source:
    """A kind of source: its name for people, how it is read, and which flags it heeds."""

    title: str
    load: Callable[[Config], ImageData]
    reads: frozenset[str] = frozenset()


OPTIONS = frozenset({"data_dir", "image_size", "skip_bad_images"})
DIGITS = _Source("the digits", lambda config: load_digits())
NPZ = _Source("an .npz file", lambda config: load_npz(Path(config.dataset)))
IDX = _Source("IDX files", lambda config: load_idx(Path(config.dataset)))
FOLDER = _Source(
    "a folder of images",
    lambda config: load_folder(Path(config.dataset), config.image_size, config.skip_bad_images),
    frozenset({"image_size", "skip_bad_images"}),
)
TFDS = _Source(
    "a tensorflow-datasets set",
    lambda config: load_tfds(config.dataset, config.data_dir, config.image_size),
    frozenset({"data_dir", "image_size"}),
)


def _source(dataset: str) -> _Source:
    """What `--dataset` names, by the look of it."""
    path = Path(dataset)
    if not dataset:
        raise BadInput("--dataset must not be empty.")
    if dataset == "digits":
        return DIGITS
    if path.suffix == ".npz":
        return NPZ
    if path.is_dir():
        return IDX if holds_idx(path) else FOLDER
    if path.is_file():
        raise BadInput(f"--dataset={path} is a file, but not an .npz one; wanted a folder, an .npz file or a name.")
    if path.is_absolute() or dataset.startswith((".", "~")) or dataset.endswith("/"):
        raise BadInput(f"--dataset={path}: there is no such folder.")
    return TFDS
