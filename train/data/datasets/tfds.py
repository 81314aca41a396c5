"""Any image classification set of tensorflow-datasets, by name."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from keras_resunits.arguments import near_matches

from ...process.backend import tf
from ...process.errors import BadInput, first_line
from ..pipelines import untuned
from .decoding import whole
from .encoded import DEFAULT_SIZE, EncodedData, EncodedSplit
from .images import ImageData, tell_narrow
from .records import records

READ_AT_ONCE = 1024


def load_tfds(
    name: str,
    data_dir: str | None = None,
    image_size: int | None = None,
    streamed: bool = False,
    protocol: str | None = None,
    exact: bool = True,
) -> ImageData | EncodedData:
    """Read the set's train, test and validation splits, downloading and preparing it where needed.

    If only the train split has labels, its last tenth is held out for testing.

    Args:
        name: The set's name in tensorflow-datasets: `cifar10`, `fashion_mnist`, `cmaterdb/bangla:1.0.0`.
        data_dir: The folder of prepared sets; tensorflow-datasets' default if not given.
        image_size: Height and width to resize to, in pixels; none by default.
        streamed: Whether images that differ in size, or are to be resized, stay encoded on the disk and are decoded
            when needed; `image_size` is then the size of the views, 224 by default.
        protocol: The test view of streamed images, one of `decoding.VIEWS`.
        exact: See `EncodedData`; of images in memory too. If false, a validation split beside a test split is left out,
            as in earlier versions.

    Raises:
        BadInput: if the set does not exist, cannot be downloaded, or has no labelled images; or if the images differ in
            size and neither `image_size` nor `streamed` is given.
    """
    builder = _builder(name, data_dir)
    pair = _pair(builder, name)  # before a download that may take hours
    image, label = (builder.info.features[key] for key in pair)
    streamed = streamed and bool(None in image.shape or image_size or protocol)
    if streamed and not isinstance(label, tfds.features.ClassLabel):
        raise BadInput(
            f"--dataset={name}: --crop=resized requires classes; {pair[1]!r} is a number of unknown range. "
            "Pass --image_size instead."
        )
    if None in image.shape and not (image_size or streamed):
        raise BadInput(
            f"--dataset={name}: images differ in size; pass --image_size to resize them to one, or --crop=resized."
        )
    _prepare(builder, name)
    names = getattr(label, "names", None)
    splits = _splits(builder, name, pair[1])
    if not exact and len(splits) > 2:
        del splits["validation"]
    if streamed:
        names = names or [str(i) for i in range(label.num_classes)]
        return EncodedData.of_splits(
            {split: _encoded(builder, part, pair) for split, part in splits.items()},
            class_names=names,
            size=image_size or DEFAULT_SIZE,
            test_protocol=protocol or "paper",
            exact=exact,
        )
    arrays = {split: _arrays(builder, part, pair, image_size, exact) for split, part in splits.items()}
    return ImageData.of_splits(arrays, class_names=names)


def _splits(builder, name: str, label: str) -> dict[str, str]:
    """The set's parts by split; without a labelled one to test on, the last tenth of 'train' is held out."""
    filled = {split for split, info in builder.info.splits.items() if info.num_examples}
    if "train" not in filled:
        raise BadInput(f"--dataset={name}: expected a split 'train' with images; got {sorted(filled) or 'empty ones'}.")
    others = [split for split in ("validation", "test") if split in filled and _labelled(builder, split, label)]
    if others:
        return {split: split for split in ("train", *others)}
    print(f"{name} has no labelled test split: the last tenth of 'train' is held out for testing.", file=sys.stderr)
    count = builder.info.splits["train"].num_examples
    kept = count - max(count // 10, 1)
    return {"train": f"train[:{kept}]", "test": f"train[{kept}:]"}


def _labelled(builder, split: str, label: str) -> bool:
    """Whether a split's labels are known: competitions ship -1 instead."""
    alone = tfds.decode.PartialDecoding({label: True})
    (first,) = builder.as_dataset(split=f"{split}[:1]", decoders=alone).as_numpy_iterator()
    return int(first[label]) >= 0


def _builder(name: str, data_dir: str | None):
    _require_own_features(name, data_dir)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        hint = near_matches(name, [*tfds.list_builders(), "digits"])
        raise BadInput(
            f"unknown dataset {name!r}.{hint} Expected 'digits', a tensorflow-datasets name, a folder, or an .npz file."
        ) from None
    except Exception as error:  # an invalid name, version or configuration
        hint = near_matches(name.replace("-", "_"), tfds.list_builders())
        raise BadInput(f"--dataset={name!r}:{hint} {error}") from error
    return builder


def _require_own_features(name: str, data_dir: str | None) -> None:
    """Refuse a prepared set whose description names features of foreign code, which reading it would import."""
    root = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser() / name.partition("/")[0].partition(":")[0]
    for path in root.rglob("features.json"):
        foreign = re.findall(r'"pythonClassName"\s*:\s*"((?!tensorflow_datasets\.)[^"]*)"', path.read_text())
        if foreign:
            raise BadInput(f"{path} names {foreign[0]!r}; expected features of tensorflow_datasets only.")


def _pair(builder, name: str) -> tuple[str, str]:
    """The names of the image and class features: `image` and `label`, or the set's supervised keys."""
    features = builder.info.features
    given = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    for image, label in ("image", "label"), builder.info.supervised_keys or ("", ""):
        if isinstance(given.get(image), tfds.features.Image) and _is_class(given.get(label)):
            return str(image), str(label)
    got = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in sorted(given.items()))
    raise BadInput(f"--dataset={name}: expected features 'image' and 'label' (a class); got {got or 'none'}.")


def _is_class(feature) -> bool:
    """Whether a feature is a single integer."""
    one = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
    return one and np.issubdtype(feature.np_dtype, np.integer)


def _prepare(builder, name: str) -> None:
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(force_checksums_validation=True))
    except Exception as error:  # whatever the set's script or the network raises, the user has the same options
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"--dataset={name} is not prepared in {builder.data_dir} and cannot be: {why}") from error


def _encoded(builder, split: str, pair: tuple[str, str]) -> EncodedSplit:
    """The split's encoded images, by index, from the prepared TFRecord files."""
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise BadInput(f"{builder.data_dir} is prepared as {builder.info.file_format.value}; expected tfrecord.")
    features = builder.info.features
    parts = builder.info.splits[split].file_instructions
    image, label = pair
    count, read = records([(Path(part.filename), part.skip, part.take) for part in parts])
    _require_count(builder, split, count)

    def example(index):
        record = features.deserialize_example(read(index), decoders={image: tfds.decode.SkipDecoding()})
        return record[image], record[label]

    return EncodedSplit(count, example, lambda number: f"record {number} of '{split}' in {builder.data_dir}")


def _arrays(builder, split: str, pair: tuple[str, str], image_size: int | None, exact: bool):
    feature = builder.info.features[pair[0]]
    of_jpeg = feature.np_dtype == np.uint8 and feature.shape[-1] in (1, 3)
    own = exact and of_jpeg  # TensorFlow Datasets decodes JPEGs faster, to other pixels, and does not turn them

    def of_one_size(record):
        image, label = (record[key] for key in pair)
        image = whole(image, feature.shape[-1]) if own else image
        highest = tf.reduce_max(image) if image.dtype == tf.uint16 else tf.constant(0, tf.uint16)
        if image_size and image.dtype == tf.uint16:  # to 8 bits first: the resized image has them
            image = tf.cast(tf.cast(image, tf.int32) // 257, tf.uint8)
        if image_size:
            image = tf.image.resize(image, (image_size, image_size), antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        return image, label, highest

    encoded = {pair[0]: tfds.decode.SkipDecoding()} if own else None
    wanted = tfds.decode.PartialDecoding(dict.fromkeys(pair, True), encoded)
    dataset = builder.as_dataset(split=split, decoders=wanted).map(of_one_size, num_parallel_calls=tf.data.AUTOTUNE)
    try:
        images, labels, highest = zip(*untuned(dataset.batch(READ_AT_ONCE)).as_numpy_iterator(), strict=True)
    except tf.errors.DataLossError as error:
        raise BadInput(f"{builder.data_dir}: the records of '{split}' are damaged: {first_line(error)}.") from None
    if image_size and (most := max(int(each.max()) for each in highest)):
        tell_narrow([most])  # without a new size, `checked` sees the values themselves
    arrays = np.concatenate(images), np.concatenate(labels)
    _require_count(builder, split, len(arrays[0]))
    return arrays


def _require_count(builder, split: str, count: int) -> None:
    """Check that a split has as many records as the set's description states."""
    told = builder.info.splits[split].num_examples
    if count != told:
        raise BadInput(f"{builder.data_dir}: expected {told} records in '{split}' (dataset_info.json); got {count}.")
