"""Where images come from: one file a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...process.errors import BadInput
from ...settings.config import Config
from .digits import load_digits
from .encoded import EncodedData, bad_images_named
from .files import load_files
from .folder import load_folder
from .idx import holds_idx, load_idx
from .images import ImageData, check_names, checked
from .npz import load_npz
from .tfds import load_tfds

__all__ = ["EncodedData", "ImageData", "bad_images_named", "identity", "load"]


def identity(data: ImageData | EncodedData) -> dict[str, Any]:
    """What tells data from other data, by name, as JSON holds it."""
    return {
        "train_count": data.train_count,
        "test_count": data.test_count,
        "image_shape": list(data.image_shape),
        "class_names": list(data.class_names or ()),
        "digest": data.digest,
    }


def load(config: Config) -> ImageData | EncodedData:
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
    if isinstance(data, EncodedData):
        return renamed(data, config.class_names)
    if config.test_view:
        raise BadInput(f"--test_view means nothing for images that are all of one size (--dataset={config.dataset}).")
    try:
        return checked(data, config.class_names)
    except BadInput as error:
        raise BadInput(f"--dataset={config.dataset}: {error}") from None


def renamed(data: EncodedData, class_names: list[str] | None) -> EncodedData:
    """The data under the classes' names that were given."""
    check_names(class_names, data.class_names)
    return replace(data, class_names=list(class_names or data.class_names))


@dataclass(frozen=True)
class _Source:
    """A kind of source: its name for people, how it is read, and which flags it heeds."""

    title: str
    load: Callable[[Config], ImageData | EncodedData]
    reads: frozenset[str] = frozenset()


OPTIONS = frozenset({"data_dir", "image_size", "skip_bad_images", "test_view"})


DIGITS = _Source("the digits", lambda config: load_digits())


NPZ = _Source("an .npz file", lambda config: load_npz(Path(config.dataset)))


IDX = _Source("IDX files", lambda config: load_idx(Path(config.dataset)))


FOLDER = _Source(
    "a folder of images",
    lambda config: _folder(config, Path(config.dataset)),
    frozenset({"image_size", "skip_bad_images", "test_view"}),
)


TFDS = _Source(
    "a tensorflow-datasets set",
    lambda config: load_tfds(
        config.dataset, config.data_dir, config.image_size, config.crop == "resized", config.test_view
    ),
    frozenset({"data_dir", "image_size", "test_view"}),
)


def _folder(config: Config, root: Path) -> ImageData | EncodedData:
    if config.crop == "resized":
        return load_files(root, config.image_size, config.skip_bad_images, config.test_view)
    return load_folder(root, config.image_size, config.skip_bad_images)


def _source(dataset: str) -> _Source:
    """What `--dataset` names, by the look of it."""
    path = Path(dataset)
    if not dataset:
        raise BadInput("--dataset must not be empty.")
    if dataset == "digits":
        return DIGITS
    if path.is_dir():
        return IDX if holds_idx(path) else FOLDER
    if path.suffix == ".npz":
        return NPZ
    if path.is_file():
        raise BadInput(f"--dataset={path} is a file, but not an .npz one; wanted a folder, an .npz file or a name.")
    if path.is_absolute() or dataset.startswith((".", "~")) or dataset.endswith("/"):
        raise BadInput(f"--dataset={path}: there is no such folder.")
    return TFDS
