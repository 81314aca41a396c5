"""Any image classification set of tensorflow-datasets, by name."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from keras_resunits.choices import near_matches
from train.datasets.images import ImageData
from train.errors import BadInput

MIRROR_CHANGES_CLASS = ("mnist", "svhn", "digit", "emnist", "kmnist", "omniglot")


def load_tfds(name: str, data_dir: str | None = None) -> ImageData:
    """Read the set's train and test (or validation) splits into memory, downloading and preparing it where needed.

    Args:
        name: As tensorflow-datasets spells it, `cifar10`, `fashion_mnist`, `cmaterdb/bangla:1.0.0`.
        data_dir: Where prepared sets lie; tensorflow-datasets' default if not given.

    Raises:
        BadInput: if there is no such set, it cannot be downloaded, or it has no images with labels.
    """
    builder = _builder(name, data_dir)
    features = builder.info.features
    if features is None or not {"image", "label"} <= set(features):
        raise BadInput(f"--dataset={name}: wanted features 'image' and 'label'; got {sorted(features or ())}.")
    test = next((split for split in ("test", "validation") if split in builder.info.splits), None)
    if "train" not in builder.info.splits or test is None:
        raise BadInput(f"--dataset={name}: wanted splits 'train' and 'test'; got {sorted(builder.info.splits)}.")
    mirror = not any(word in name for word in MIRROR_CHANGES_CLASS) or "fashion" in name
    return ImageData(_arrays(builder, "train"), _arrays(builder, test), features["label"].names, mirror)


def _builder(name: str, data_dir: str | None):
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        hint = near_matches(name, [*tfds.list_builders(), "digits"])
        raise BadInput(
            f"unknown dataset {name!r}.{hint} Wanted 'digits', a tensorflow-datasets name, a folder, or an .npz file."
        ) from None
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(force_checksums_validation=True))
    except Exception as error:  # whatever the set's own script or the network raises, the user's way out is the same
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"--dataset={name} is not prepared in {builder.data_dir} and cannot be: {why}") from error
    return builder


def _arrays(builder, split: str):
    dataset = builder.as_dataset(split=split, batch_size=-1, as_supervised=True)
    images, labels = tfds.as_numpy(dataset)
    return np.asarray(images), np.asarray(labels)
