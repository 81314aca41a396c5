"""The sources of images, one file each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...process.errors import BadInput
from ...process.files import local
from ...settings.sections import Source
from .digits import load_digits
from .encoded import EncodedData, bad_images_named
from .files import load_files
from .folder import decoded
from .idx import holds_idx, load_idx
from .images import ImageData, check_names, checked
from .layouts import class_folders, finished, has_splits
from .npz import load_npz
from .splitting import asked, held_out, interval
from .tables import labelled
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
        "splits": data.names,
    }


def load(
    source: Source, streamed: bool = False, seed: int = 0, earlier: bool = False, lone: bool = False
) -> ImageData | EncodedData:
    """Load and check the images that `--dataset` names.

    Args:
        source: The options that select the images.
        streamed: Whether images of any size stay encoded and are decoded when needed, where the source allows it.
        seed: The run's seed, by which `--validation` and `--fold` choose images.
        earlier: Whether to read them as versions without validation splits did, for runs that these began.
        lone: Whether images without a split are those to test on: folders of classes alone, or a table of labels. The
            split `train` repeats them.

    Raises:
        BadInput: if they are missing, or cannot be used for training.
    """
    try:
        kind = _kind(source.dataset)
        unread = [flag for flag in OPTIONS - kind.reads if getattr(source, flag)]
        if unread:
            raise BadInput(f"--{min(unread)} has no effect on {kind.title} (--dataset={source.dataset}).")
        data = kind.load(Reading(source, streamed, seed, earlier, lone))
    except PermissionError as error:
        raise BadInput(f"--dataset={source.dataset}: {error.filename} cannot be read ({error.strerror}).") from None
    alone = data.test is data.train
    names = source.class_names if kind is not FOLDER or earlier else None  # else they gave the order of the classes
    if isinstance(data, EncodedData):
        data = renamed(data, names)
    elif source.test_view:
        raise BadInput(f"--test_view has no effect on images that are all of one size (--dataset={source.dataset}).")
    else:
        try:
            data = checked(data, names)
        except BadInput as error:
            raise BadInput(f"--dataset={source.dataset}: {error}") from None
    return data if kind is FOLDER or not interval(source) else divided(data, source, seed, alone)


def renamed(data: EncodedData, class_names: list[str] | None) -> EncodedData:
    """The data with the given class names, if any."""
    check_names(class_names, data.class_names)
    return replace(data, class_names=list(class_names or data.class_names), own_names=data.class_names)


def divided(data: ImageData | EncodedData, source: Source, seed: int, alone: bool = False) -> ImageData | EncodedData:
    """The data with part of the training images held out for validation, by their numbers.

    Args:
        data: The data.
        source: The options.
        seed: The run's seed.
        alone: Whether there are training images only, which `test` repeats.

    Raises:
        BadInput: if the data have a validation split, or a class would have no image on one side.
    """
    if data.selects:
        raise BadInput(f"{asked(source)} has no effect: {source.dataset} has a validation split.")
    labels = data.train[1] if isinstance(data, ImageData) else data.train.labels
    names = [str(number) for number in range(data.train_count)]
    chosen = held_out(names, labels, list(data.class_names or ()), source, seed)
    kept, held = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    counted = f"{len(held):,} of {len(names):,} training images"
    print(f"data: {counted} are the validation split ({asked(source)})", flush=True)
    if isinstance(data, ImageData):
        images, labels = data.train
        train, validation = (images[kept], labels[kept]), (images[held], labels[held])
        if alone:
            return replace(data, train=train, test=validation, tested="validation")
        return replace(data, train=train, validation=validation)
    return replace(data, train=data.train.part(kept), validation=data.train.part(held))


@dataclass(frozen=True)
class Reading:
    """What `load` was asked for; see there."""

    source: Source
    streamed: bool = False
    seed: int = 0
    earlier: bool = False
    lone: bool = False


@dataclass(frozen=True)
class _Kind:
    """A kind of source: its name in messages, the function that reads it, and the options that it uses."""

    title: str
    load: Callable[[Reading], ImageData | EncodedData]
    reads: frozenset[str] = frozenset()


def _folder(reading: Reading) -> ImageData | EncodedData:
    source, root = reading.source, Path(reading.source.dataset)
    held = interval(source) is not None or (reading.lone and not has_splits(root))
    found = labelled(source) if source.labels else class_folders(root, held)
    layout = finished(found, source, reading.seed, not reading.earlier, reading.lone)
    data: ImageData | EncodedData
    if reading.streamed:
        data = load_files(layout, source.image_size, source.skip_bad_images, source.test_view, not reading.earlier)
    else:
        data = decoded(layout, source.image_size, source.skip_bad_images, not reading.earlier)
    counts = {"validation": data.validation_count, data.tested: data.test_count, "train": data.train_count}
    print(f"data: {layout.in_words(counts)}", flush=True)
    return data


def _tfds(reading: Reading) -> ImageData | EncodedData:
    source = reading.source
    options = source.image_size, reading.streamed, source.test_view, not reading.earlier
    return load_tfds(source.dataset, source.data_dir, *options)


OF_TABLES = frozenset({"labels", "image_column", "label_column"})
OPTIONS = frozenset({"data_dir", "image_size", "skip_bad_images", "test_view", *OF_TABLES})
DIGITS = _Kind("the digits", lambda reading: load_digits())
NPZ = _Kind(
    "an .npz file", lambda reading: load_npz(Path(reading.source.dataset), held=interval(reading.source) is not None)
)
IDX = _Kind("IDX files", lambda reading: load_idx(Path(reading.source.dataset)))
FOLDER = _Kind("a folder of images", _folder, frozenset({"image_size", "skip_bad_images", "test_view", *OF_TABLES}))
TFDS = _Kind("a tensorflow-datasets set", _tfds, frozenset({"data_dir", "image_size", "test_view"}))


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
    if path.suffix.lower() in (".csv", ".tsv") and path.is_file():
        raise BadInput(f"--dataset={path} must be the folder of the images; pass the table as --labels={path}.")
    if path.is_file():
        raise BadInput(f"--dataset={path} must be a folder, an .npz file or a name; got another file.")
    if path.is_absolute() or dataset.startswith((".", "~")) or dataset.endswith("/"):
        raise BadInput(f"--dataset={path}: there is no such folder.")
    if "." in re.split("[/:]", dataset)[0]:  # no name of a set has one
        raise BadInput(f"--dataset={path}: there is no such file or folder.")
    return TFDS
