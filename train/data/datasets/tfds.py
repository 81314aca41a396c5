"""Any image classification set of tensorflow-datasets, by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from keras_resunits.arguments import near_matches

from ...process.backend import tf
from ...process.errors import BadInput, first_line
from .encoded import DEFAULT_SIZE, EncodedData, EncodedSplit
from .images import ImageData
from .records import records

READ_AT_ONCE = 1024


def load_tfds(
    name: str,
    data_dir: str | None = None,
    image_size: int | None = None,
    streamed: bool = False,
    protocol: str | None = None,
) -> ImageData | EncodedData:
    """Read the set's train and test (or validation) splits, downloading and preparing it where needed.

    A set that has images with labels to train on alone holds out the last tenth of them.

    Args:
        name: As tensorflow-datasets spells it, `cifar10`, `fashion_mnist`, `cmaterdb/bangla:1.0.0`.
        data_dir: Where prepared sets lie; tensorflow-datasets' default if not given.
        image_size: Height and width to resize to, in pixels; none by default.
        streamed: Whether images that differ in size, or are to have another, stay on the disk as the files they are
            and are decoded as they are wanted; `image_size` is then that of the views, 224 by default.
        protocol: How a streamed image is looked at to test: one of `decoding.VIEWS`.

    Raises:
        BadInput: if there is no such set, it cannot be downloaded, it has no images with labels, or they differ in size
            and neither `image_size` nor `streamed` is given.
    """
    builder = _builder(name, data_dir)
    pair = _pair(builder, name)  # before a download that may take hours
    image, label = (builder.info.features[key] for key in pair)
    streamed = streamed and bool(None in image.shape or image_size or protocol)
    if streamed and not isinstance(label, tfds.features.ClassLabel):
        raise BadInput(
            f"--dataset={name}: {pair[1]!r} is a number of unknown range; wanted classes for --crop=resized. "
            "Pass --image_size without it."
        )
    if None in image.shape and not (image_size or streamed):
        raise BadInput(
            f"--dataset={name}: images differ in size; pass --image_size to resize them to one, or --crop=resized."
        )
    _prepare(builder, name)
    names = getattr(label, "names", None)
    splits = _splits(builder, name, pair[1])
    if streamed:
        train, test = (_encoded(builder, split, pair) for split in splits)
        names = names or [str(i) for i in range(label.num_classes)]
        return EncodedData(train, test, names, image_size or DEFAULT_SIZE, protocol or "paper")
    train, test = (_arrays(builder, split, pair, image_size) for split in splits)
    return ImageData(train, test, names)


def _splits(builder, name: str, label: str) -> tuple[str, str]:
    """The splits to train and to test on; without labelled images to test on the last tenth of 'train' is held out."""
    filled = {split for split, info in builder.info.splits.items() if info.num_examples}
    if "train" not in filled:
        raise BadInput(f"--dataset={name}: wanted a split 'train' with images; got {sorted(filled) or 'empty ones'}.")
    for test in ("test", "validation"):
        if test in filled and _labelled(builder, test, label):
            return "train", test
    print(f"{name} has no labelled test split: the last tenth of 'train' tests.", file=sys.stderr)
    count = builder.info.splits["train"].num_examples
    kept = count - max(count // 10, 1)
    return f"train[:{kept}]", f"train[{kept}:]"


def _labelled(builder, split: str, label: str) -> bool:
    """Whether a split's labels are known: competitions ship -1 in their stead."""
    alone = tfds.decode.PartialDecoding({label: True})
    (first,) = builder.as_dataset(split=f"{split}[:1]", decoders=alone).as_numpy_iterator()
    return int(first[label]) >= 0


def _builder(name: str, data_dir: str | None):
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        hint = near_matches(name, [*tfds.list_builders(), "digits"])
        raise BadInput(
            f"unknown dataset {name!r}.{hint} Wanted 'digits', a tensorflow-datasets name, a folder, or an .npz file."
        ) from None
    except Exception as error:  # a name, version or configuration that cannot be
        hint = near_matches(name.replace("-", "_"), tfds.list_builders())
        raise BadInput(f"--dataset={name!r}:{hint} {error}") from error
    return builder


def _pair(builder, name: str) -> tuple[str, str]:
    """What the set calls its image and its class: `image` and `label`, or the pair that it names to learn from."""
    features = builder.info.features
    given = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    for image, label in ("image", "label"), builder.info.supervised_keys or ("", ""):
        if isinstance(given.get(image), tfds.features.Image) and _is_class(given.get(label)):
            return str(image), str(label)
    got = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in sorted(given.items()))
    raise BadInput(f"--dataset={name}: wanted features 'image' and 'label' (a class); got {got or 'none'}.")


def _is_class(feature) -> bool:
    """Whether a feature is one whole number."""
    one = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
    return one and np.issubdtype(feature.np_dtype, np.integer)


def _prepare(builder, name: str) -> None:
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(force_checksums_validation=True))
    except Exception as error:  # whatever the set's own script or the network raises, the user's way out is the same
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"--dataset={name} is not prepared in {builder.data_dir} and cannot be: {why}") from error


def _encoded(builder, split: str, pair: tuple[str, str]) -> EncodedSplit:
    """The split's images as they lie in the prepared TFRecord files, by number."""
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise BadInput(f"{builder.data_dir} is prepared as {builder.info.file_format.value}; wanted tfrecord.")
    features = builder.info.features
    parts = builder.info.splits[split].file_instructions
    image, label = pair
    count, read = records([(Path(part.filename), part.skip, part.take) for part in parts])
    _require_count(builder, split, count)

    def example(index):
        record = features.deserialize_example(read(index), decoders={image: tfds.decode.SkipDecoding()})
        return record[image], record[label]

    return EncodedSplit(count, example, lambda number: f"record {number} of '{split}' in {builder.data_dir}")


def _arrays(builder, split: str, pair: tuple[str, str], image_size: int | None):
    def of_one_size(record):
        image, label = (record[key] for key in pair)
        if image_size:
            image = tf.image.resize(image, (image_size, image_size), antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        return image, label

    wanted = tfds.decode.PartialDecoding(dict.fromkeys(pair, True))
    dataset = builder.as_dataset(split=split, decoders=wanted).map(of_one_size, num_parallel_calls=tf.data.AUTOTUNE)
    try:
        images, labels = zip(*dataset.batch(READ_AT_ONCE).as_numpy_iterator(), strict=True)
    except tf.errors.DataLossError as error:
        raise BadInput(f"{builder.data_dir}: the records of '{split}' are damaged: {first_line(error)}.") from None
    arrays = np.concatenate(images), np.concatenate(labels)
    _require_count(builder, split, len(arrays[0]))
    return arrays


def _require_count(builder, split: str, count: int) -> None:
    """Refuse a split that has another number of records than the set's own description says."""
    told = builder.info.splits[split].num_examples
    if count != told:
        raise BadInput(f"{builder.data_dir}: '{split}' has {count} records, its dataset_info.json says {told}.")
