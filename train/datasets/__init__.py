"""Where images come from: one file a source."""

from __future__ import annotations

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
    path = Path(config.dataset)
    if not config.dataset:
        raise BadInput("--dataset must not be empty.")
    if config.dataset == "digits":
        data = load_digits()
    elif path.suffix == ".npz":
        data = load_npz(path)
    elif path.is_dir():
        data = load_idx(path) if holds_idx(path) else load_folder(path, config.image_size, config.skip_bad_images)
    elif path.is_file():
        raise BadInput(f"--dataset={path} is a file, but not an .npz one; wanted a folder, an .npz file or a name.")
    elif path.is_absolute() or config.dataset.startswith((".", "~")) or config.dataset.endswith("/"):
        raise BadInput(f"--dataset={path}: there is no such folder.")
    else:
        data = load_tfds(config.dataset, config.data_dir, config.image_size)
    return checked(data, config.class_names)
