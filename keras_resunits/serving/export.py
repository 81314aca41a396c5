"""Export of a model as a versioned SavedModel from images to class names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_resunits.arguments import (
    checked,
    one_of,
    require_function,
    require_layer,
    require_mapping,
    require_network,
    require_path,
    require_positive_int,
    require_text,
)
from keras_resunits.layers.backend import ON_TENSORFLOW
from keras_resunits.serving.checks import checked_k, checked_names, local, require_classifier, require_view
from keras_resunits.serving.heads import HEADS, head_of, probabilities
from keras_resunits.serving.kit.batching import BATCH_SIZES, checked_sizes
from keras_resunits.serving.versions import UNFINISHED, forget, publish

PRECISIONS = ("float32", "bfloat16")
"""In what an exported graph may compute."""


@checked(
    model=require_network,
    path=require_path,
    preprocessing=require_layer.or_none,
    metadata=require_mapping.or_none,
    check=require_function.or_none,
    head=one_of(*HEADS).or_none,
    keep=require_positive_int.or_none,
    serving_precision=one_of(*PRECISIONS),
    formats=require_text.each,
    view=one_of("stretch", "central", "paper"),
)
def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    class_names: Sequence[str | bytes] | None = None,
    preprocessing: keras.layers.Layer | None = None,
    top_k: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    check: Callable[[Path], object] | None = None,
    head: str | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    keep: int | None = None,
    serving_precision: str = "float32",
    formats: Sequence[str] = (),
    images: np.ndarray | None = None,
    view: str = "stretch",
) -> Path:
    """Export `model` to `path/<version>/` as a SavedModel for TensorFlow Serving.

    | signature | input | outputs |
    |---|---|---|
    | `serving_default` | `images`: uint8 `[batch, height, width, channels]` of the model's size, 0..255 | answers |
    | `serve_bytes` | `image_bytes`: strings `[batch]`, JPEG, PNG, GIF (first frame) or BMP files | answers, status |
    | `serve_tensors` | `tensors`: float32 `[batch, height, width, channels]`, preprocessed | answers, status |
    | `classify` (Classify) | `inputs`: serialised `tf.Example`s with a file in `image/encoded` | `classes`, `scores` |
    | `features` | `images`: as `serving_default` | `features`: float32 `[batch, n]`, what the last dense layer reads |

    The answers are

    - `probabilities`: float32 `[batch, classes]`, in the order of `class_names`;
    - `classes`: strings `[batch, k]`, the most likely first;
    - `scores`: float32 `[batch, k]`, their probabilities;

    and the status of a row is

    - `status`: int32 `[batch]`, 0 if it is answered, 1 if the image is too large, 2 if it is no image, 3 if it is
      corrupt, 4 if a value is NaN, infinite, or beyond 1e9;
    - `error`: strings `[batch]`, the same in words.

    A row that is not answered has zeros, and empty classes; others are answered as without it. Files are resized to the
    model's size as `view` says, bilinearly with antialiasing. One that claims more than 2^25 pixels is refused before
    it is decoded. Any other shape of input raises an error instead of crashing the server, and an empty batch gets an
    empty answer.

    The graph is made for answering: batch norms, gates and scalings are folded into the weights, which changes the
    answers by no more than float32 rounding does. Each weight is written once: as a constant, or as a variable where it
    takes more than 16 KB and all take more than 32 MB. Preprocessing and head are part of the SavedModel, and loading
    it requires neither this package nor Keras.

    The version is one above the highest that exists, so nothing is ever overwritten. The directory is written under
    another name and renamed when complete, so that a server that polls the folder never loads an incomplete version.
    Beside the SavedModel, it holds

    - `assets.extra/tf_serving_warmup_requests`: a request for each signature and batch size, which TensorFlow Serving
      answers before a version takes requests of clients. The two smallest of each signature are answered before the
      version is published;
    - `batching_params.pbtxt`: the batch sizes, for the server's flag `--enable_per_model_batching_parameters`;
    - `metadata.json`: the head, signatures, class names, batch sizes, norms, versions of packages, and why signatures
      are left out: image files require 1 or 3 channels and a fixed size, features a last dense layer;
    - `MODEL.md`: the same and the architecture for readers, with what `metadata` states of the model;
    - `manifest.sha256`: the SHA-256 of these files, for `sha256sum -c`.

    Args:
        model: A functional classifier of images, or a Sequential one that is built.
        path: Folder of the model; created if it does not exist.
        class_names: One name for each class, all different; bytes are decoded as UTF-8. A model with one output has two
            classes, the second of which it gives the probability of. Defaults to "0", "1", ...
        preprocessing: A layer from float32 pixels 0..255 to the model's input, such as a `keras.layers.Normalization`.
            It is called with `training=False`. Defaults to none.
        top_k: Number of classes in `classes` and `scores`. Defaults to all.
        metadata: More content of `metadata.json`. `MODEL.md` shows "data", "data_digest", "accuracy" (of the split
            "accuracy_on", by default "test"), "licence", and "configuration", whose values by name include its
            "fingerprint". Defaults to none.
        check: Called with the complete directory before it is published; an exception keeps it from being published.
        head: What the model returns: "softmax" (probabilities that sum to 1), "logits" (of a softmax), "sigmoid"
            (independent probabilities, for several labels) or "sigmoid_logits". With one output, the last three are the
            probability of the second class or its logit. Defaults to what the model's last operation shows: logits are
            those of a softmax, unless the model is compiled with a binary loss. Where it shows nothing, as a `Lambda`
            does, a few random images decide.
        batch_sizes: The batch sizes that a server forms, each larger than the one before.
        keep: After publishing, remove all but this many of the newest versions. Defaults to none removed.
        serving_precision: In what the SavedModel computes: "float32", or "bfloat16" between the first weights and the
            last, where the CPU multiplies faster. Inputs and outputs stay float32. It costs digits: measure the
            accuracy, as in `check`. Defaults to "float32".
        formats: More files, for other runtimes: "onnx", "openvino", "openvino_int8", "litert", "litert_int8". Each
            takes uint8 `images` and returns float32 `probabilities`. It lies in `formats/` of the version's folder, and
            is read back: `metadata.json` states how far its answers differ from the model's. In float32, a
            probability may differ by 1e-3. Defaults to none.
        images: uint8 `[n, height, width, channels]`, which calibrate int8, and the first 64 of which are compared.
            Required by `formats`.
        view: What the model sees of files of another size: "stretch", the whole, whatever its proportions; "central",
            the central square of 7/8 of the shorter side; or "paper", the centre of the picture whose shorter side is
            8/7 of the model's (He et al. 2015, sec. 3.4). Take the one of its evaluation. Defaults to "stretch".

    Returns:
        The directory of the new version.

    Raises:
        ImportError: if `formats` require a package of the extra `formats` that is not installed.
        ValueError: if `class_names` is not a sequence of one name for each class, or two names are equal. If `top_k` is
            not an int in 1..classes, `batch_sizes` are not positive ints in rising order, `keep` is not a positive int,
            or `preprocessing` is not a Keras layer. If the model is subclassed or not built,
            or does not have one input and one output `[batch, classes]`. If `head` contradicts the model, or is
            required; if a weight is NaN or infinite. If `view` is "central" or "paper", and the model's images are not
            square. If a format is unknown, its `images` are missing, or the model
            does not compute in float32. If `path` contains a wildcard, or is an address such as `gs://...`. Nothing is
            written then.
        RuntimeError: if the Keras backend is not TensorFlow, or a warm-up request has no finite answer. If a format
            cannot be converted, or its answers differ.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> path = kr.export_saved_model(kr.PreActResNet(depth=20, input_shape=(8, 8, 1)), tempfile.mkdtemp())
    >>> path.name
    '1'
    """
    folder = local(path)
    if not ON_TENSORFLOW:
        raise RuntimeError(f"`export_saved_model` requires Keras on TensorFlow. Received: {keras.backend.backend()}.")
    require_classifier(model)
    names = checked_names(model, class_names)
    k = checked_k(top_k, len(names))
    sizes = checked_sizes(batch_sizes)
    require_view(view, model.input_shape)
    head = head_of(model, _images(model, preprocessing), head)
    wanted = _formats(model, preprocessing, head, formats, images)
    with _made(folder) as root:
        unfinished = root / f"{UNFINISHED}{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process of the same number
        try:
            classifier = replace(_classifier(model, preprocessing, head, names, k), view=view)
            _write(classifier, model, sizes, metadata or {}, unfinished, serving_precision, wanted)
            if check is not None:
                check(unfinished)
            version = publish(unfinished, root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)  # already renamed after a success
        if keep is not None:
            forget(root, keep)
        return version


@contextmanager
def _made(root: Path) -> Iterator[Path]:
    """Create the folder and those above it; remove them if an error leaves them empty."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield root
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # not empty, or never created
                folder.rmdir()
        raise


def _classifier(model, preprocessing, head: str, names: list[str], k: int):
    from keras_resunits.serving.cores import cores
    from keras_resunits.serving.signatures import Classifier

    return Classifier(cores(model, preprocessing), model.input_shape, head, names, k)


def _formats(model, preprocessing, head: str, formats: Sequence[str], images) -> Callable[[Path, Any], dict[str, Any]]:
    """Return a function that writes the formats of a graph into a folder, and tells of them."""
    if not formats:
        return lambda folder, core: {}
    from keras_resunits.serving.formats import known_formats, require_float32, require_images, write_formats

    names = known_formats(formats)
    require_images(images, model.input_shape)
    require_float32(names, model)

    def answers(asked: np.ndarray) -> np.ndarray:
        pixels = asked.astype("float32")
        outputs = model(preprocessing(pixels, training=False) if preprocessing else pixels, training=False)
        return keras.ops.convert_to_numpy(probabilities(outputs, head))

    return lambda folder, core: write_formats(folder, names, core, head, np.asarray(images), answers)


def _write(classifier, model, sizes, metadata: Mapping[str, Any], path: Path, precision: str, formats) -> None:
    from keras_resunits.serving.kit.warmup import replay, write_warmup
    from keras_resunits.serving.kit.writing import write_documents
    from keras_resunits.serving.merging import mergeable
    from keras_resunits.serving.precision import in_bfloat16
    from keras_resunits.serving.writing import write_saved_model

    core = classifier.cores.outputs
    cores = classifier.cores if precision == "float32" else classifier.cores.each(in_bfloat16)
    served = replace(classifier, cores=cores.each(mergeable))
    signatures, omitted = served.signatures()
    write_saved_model(path, signatures)
    names = [*signatures, *(other for each in signatures.values() for other in each.others)]
    write_warmup(path, signatures, classifier.shape, sizes)
    replay(path)
    known = {
        "model": model.name,
        "head": classifier.head,
        "signatures": sorted(names),
        "omitted": omitted,
        "class_names": list(classifier.names),
        "input_shape": list(classifier.shape[1:]),
        "batch_sizes": list(sizes),
        "norms": {"folded": core.norms_folded, "kept": core.norms_kept},
        "precision": precision,
        "view": classifier.view,
        "formats": formats(path, core),
    }
    write_documents(path, model, {**known, **metadata})


def _images(model, preprocessing) -> Callable[[], Any]:
    """Return a function that draws a few images for the model; of any size, if it takes any."""

    def images():
        shape = [8, *(side or 64 for side in model.input_shape[1:])]
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
        return preprocessing(pixels, training=False) if preprocessing else pixels

    return images
