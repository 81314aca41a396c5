"""The sources of images, one file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...process.errors import BadInput
from ...process.files import local
from ...settings.sections import Source
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
    """The values that identify the data, by name; each can be written as JSON."""
    return {
        "train_count": data.train_count,
        "test_count": data.test_count,
        "image_shape": list(data.image_shape),
        "class_names": list(data.class_names or ()),
        "own_class_names": list(data.own_names or ()),
        "digest": data.digest,
    }


def load(source: Source, streamed: bool = False) -> ImageData | EncodedData:
    """Load and check the images that `--dataset` names.

    Args:
        source: The options that select the images.
        streamed: Whether images of any size stay encoded and are decoded when needed, where the source allows it.

    Raises:
        BadInput: if they are missing, or cannot be used for training.
    """
    try:
        kind = _kind(source.dataset)
        unread = [flag for flag in OPTIONS - kind.reads if getattr(source, flag)]
        if unread:
            raise BadInput(f"--{min(unread)} has no effect on {kind.title} (--dataset={source.dataset}).")
        data = kind.load(source, streamed)
    except PermissionError as error:
        raise BadInput(f"--dataset={source.dataset}: {error.filename} cannot be read ({error.strerror}).") from None
    if isinstance(data, EncodedData):
        return renamed(data, source.class_names)
    if source.test_view:
        raise BadInput(f"--test_view has no effect on images that are all of one size (--dataset={source.dataset}).")
    try:
        return checked(data, source.class_names)
    except BadInput as error:
        raise BadInput(f"--dataset={source.dataset}: {error}") from None


def renamed(data: EncodedData, class_names: list[str] | None) -> EncodedData:
    """The data with the given class names, if any."""
    check_names(class_names, data.class_names)
    return replace(data, class_names=list(class_names or data.class_names), own_names=data.class_names)


@dataclass(frozen=True)
class _Kind:
    """A kind of source: its name in messages, the function that reads it, and the options that it uses."""

    title: str
    load: Callable[[Source, bool], ImageData | EncodedData]
    reads: frozenset[str] = frozenset()


OPTIONS = frozenset({"data_dir", "image_size", "skip_bad_images", "test_view"})
DIGITS = _Kind("the digits", lambda source, streamed: load_digits())
NPZ = _Kind("an .npz file", lambda source, streamed: load_npz(Path(source.dataset)))
IDX = _Kind("IDX files", lambda source, streamed: load_idx(Path(source.dataset)))
FOLDER = _Kind(
    "a folder of images",
    lambda source, streamed: _folder(source, streamed),
    frozenset({"image_size", "skip_bad_images", "test_view"}),
)
TFDS = _Kind(
    "a tensorflow-datasets set",
    lambda source, streamed: load_tfds(source.dataset, source.data_dir, source.image_size, streamed, source.test_view),
    frozenset({"data_dir", "image_size", "test_view"}),
)


def _folder(source: Source, streamed: bool) -> ImageData | EncodedData:
    root = Path(source.dataset)
    if streamed:
        return load_files(root, source.image_size, source.skip_bad_images, source.test_view)
    return load_folder(root, source.image_size, source.skip_bad_images)


def _kind(dataset: str) -> _Kind:
    """The kind of source that `--dataset` names."""
    path = Path(dataset)
    if not dataset:
        raise BadInput("--dataset must not be empty.")
    local(dataset, "--dataset")
    if dataset == "digits":
        return DIGITS
    if path.is_dir():
        return IDX if holds_idx(path) else FOLDER
    if path.suffix == ".npz":
        return NPZ
    if path.is_file():
        raise BadInput(f"--dataset={path} must be a folder, an .npz file or a name; got another file.")
    if path.is_absolute() or dataset.startswith((".", "~")) or dataset.endswith("/"):
        raise BadInput(f"--dataset={path}: there is no such folder.")
    return TFDS
