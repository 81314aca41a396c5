"""Tiny real images for smoke tests of the experiments: crops of the two photographs that come with scikit-learn."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path

import numpy as np

from ..process.files import whole

CLASSES = ["china", "flower"]  # a temple; a dahlia
COUNTS = {"train": 32, "test": 8}  # images per class


def smoke_arrays(side: int, channels: int = 3) -> str:
    """The path of an `.npz` data set of square crops, for `--dataset`; written once per machine and user.

    Args:
        side: Height and width, in pixels.
        channels: 1 for grey, 3 for colour.
    """
    path = _folder() / f"{side}x{side}x{channels}.npz"
    if not path.exists():
        arrays: dict[str, np.ndarray] = {}
        for split, count in COUNTS.items():
            crops = [_crops(name, split, count, side, channels) for name in CLASSES]
            arrays |= {f"x_{split}": np.concatenate(crops), f"y_{split}": np.repeat(np.arange(len(CLASSES)), count)}
        with whole(path) as unfinished:
            np.savez(unfinished, allow_pickle=False, **arrays)
    return str(path)


def smoke_folder(side: int) -> str:
    """The path of a folder of JPEG crops, `train/<class>/*.jpg`; written once per machine and user.

    Args:
        side: Width, in pixels; heights are up to 4 pixels less.
    """
    from PIL import Image

    root = _folder() / f"jpeg-{side}"
    for split, count in COUNTS.items():
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i, crop in enumerate(_crops(name, split, count, side, 3)):
                path = folder / f"{i}.jpg"
                if not path.exists():
                    with whole(path) as unfinished:
                        Image.fromarray(crop[: side - i % 5]).save(unfinished)  # of several shapes, like photographs
    return str(root)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"keras_resunits-smoke-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    return folder


def _crops(name: str, split: str, count: int, side: int, channels: int) -> np.ndarray:
    """Seeded square crops, uint8 `[count, side, side, channels]`; left halves train, right halves test."""
    from sklearn.datasets import load_sample_image

    photograph = load_sample_image(f"{name}.jpg")
    half = photograph.shape[1] // 2
    photograph = photograph[:, :half] if split == "train" else photograph[:, half:]
    if channels == 1:
        photograph = photograph.mean(-1, keepdims=True).round().astype(np.uint8)
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, length - side, count) for length in photograph.shape[:2])
    return np.stack([photograph[r : r + side, c : c + side] for r, c in zip(rows, columns, strict=True)])
