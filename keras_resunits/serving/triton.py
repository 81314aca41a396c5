"""An export as a model repository of Triton, which answers from it with its Python backend."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_resunits.serving import triton_model

DEFAULT = "serving_default"
SIGNATURES = (DEFAULT, "serve_bytes")
SAVED_MODEL = "model.savedmodel"
"""The folder of the SavedModel in a version of Triton's."""


def write_triton_repository(
    export: str | os.PathLike,
    repository: str | os.PathLike,
    name: str | None = None,
    signatures: Sequence[str] | None = None,
    max_batch_size: int = 64,
    max_delay: float = 0.002,
) -> list[Path]:
    """Write an exported SavedModel as models of a Triton repository, with dynamic batching.

    KServe's protocol has no signatures, so each becomes a model: `serving_default` is called `name`, and any other
    `name_signature`. A model holds `config.pbtxt` and `<version>/` with the SavedModel and a `model.py` that loads it
    through a TF1 session. The Python of Triton's Python backend requires TensorFlow. A row of one scalar, such as the
    bytes of a picture, is `[batch, 1]` there. A version appears when it is complete, and none is overwritten.

    Args:
        export: A version of `export_saved_model`, or the folder of versions, for the newest.
        repository: Triton's `--model-repository`; created if it does not exist.
        name: The model's name. Defaults to that of the folder of versions.
        signatures: The signatures to serve. Defaults to `serving_default` and `serve_bytes`, as far as there.
        max_batch_size: Rows that Triton may answer in one call. Defaults to 64.
        max_delay: Seconds that a request may wait for others. Defaults to 0.002.

    Returns:
        The directories of the new versions.

    Raises:
        ValueError: if `export` holds no SavedModel whose directory is a number, if it lacks a signature or one is
            without a batch dimension, if a name is not made of letters, digits and `_.-`, if a number is out of range,
            or if the version exists. Nothing is written then.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> from keras_resunits.serving.triton import write_triton_repository
    >>> model = kr.PreActResNet(depth=8, input_shape=(8, 8, 1))
    >>> export = kr.export_saved_model(model, tempfile.mkdtemp())
    >>> versions = write_triton_repository(export, tempfile.mkdtemp(), "digits")
    >>> [version.parent.name for version in versions]
    ['digits', 'digits_serve_bytes']
    >>> sorted(path.name for path in versions[0].iterdir())
    ['model.py', 'model.savedmodel']
    """
    version = _version(Path(export))
    name = version.parent.name if name is None else name
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise ValueError(f"`name` must be made of letters, digits and _ . -. Received: name={name!r}.")
    if not (isinstance(max_batch_size, int) and max_batch_size >= 1):
        raise ValueError(f"`max_batch_size` must be a positive int. Received: max_batch_size={max_batch_size!r}.")
    if not 0 <= max_delay < float("inf"):
        raise ValueError(f"`max_delay` must be finite seconds. Received: max_delay={max_delay!r}.")
    found = _signatures(version)
    chosen = list(model_names(version, name)) if signatures is None else list(signatures)
    if not chosen or (missing := [each for each in chosen if each not in found]):
        expected = ", ".join(missing if chosen else SIGNATURES)
        raise ValueError(f"`export` must have signature {expected}. Received: {version} with {', '.join(found)}.")
    folders = {each: Path(repository) / _model(name, each) for each in chosen}
    for folder in folders.values():
        if (folder / version.name).exists():
            raise ValueError(f"`repository` must not hold this version yet. Received: {folder / version.name}.")
    configurations = {
        each: _configuration(folder.name, each, found[each], max_batch_size, max_delay)
        for each, folder in folders.items()
    }
    return [_written(version, folder, configurations[each]) for each, folder in folders.items()]


def model_names(version: Path, name: str) -> dict[str, str]:
    """Return the names of the models that are served by default, by the signature of a version."""
    found = _signatures(version)
    return {each: _model(name, each) for each in SIGNATURES if each in found}


def _model(name: str, signature: str) -> str:
    return name if signature == DEFAULT else f"{name}_{signature}"


def _version(export: Path) -> Path:
    """The directory of the SavedModel."""
    if not (export / "saved_model.pb").is_file() and export.is_dir():
        versions = [path for path in export.iterdir() if path.name.isdecimal()]
        export = max(versions, key=lambda path: int(path.name), default=export)
    export = export.absolute()
    if not (export / "saved_model.pb").is_file() or not export.name.isdecimal():
        raise ValueError(f"`export` must hold a SavedModel in a directory whose name is a number. Received: {export}.")
    return export


def _signatures(version: Path) -> dict[str, Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    (graph,) = [each for each in saved.meta_graphs if "serve" in each.meta_info_def.tags]
    return {name: each for name, each in graph.signature_def.items() if not name.startswith("__")}


def _configuration(model: str, signature: str, its: Any, max_batch_size: int, max_delay: float) -> str:
    inputs, outputs = (
        ",\n".join(_tensor(name, info) for name, info in sorted(side.items())) for side in (its.inputs, its.outputs)
    )
    return f"""name: "{model}"
backend: "python"
max_batch_size: {max_batch_size}
dynamic_batching {{ max_queue_delay_microseconds: {round(max_delay * 1e6)} }}
instance_group [ {{ kind: KIND_CPU }} ]
parameters {{ key: "signature" value {{ string_value: "{signature}" }} }}
input [
{inputs}
]
output [
{outputs}
]
"""


def _tensor(name: str, info: Any) -> str:
    """A tensor without its batch dimension."""
    import tensorflow as tf

    dtype, shape = tf.as_dtype(info.dtype), info.tensor_shape
    sizes = [dim.size for dim in shape.dim]
    if shape.unknown_rank or sizes[:1] != [-1]:
        raise ValueError(f"`export` must have a batch dimension in '{name}'. Received: shape {sizes}.")
    kinds = {tf.string: "STRING", tf.float32: "FP32", tf.float64: "FP64", tf.float16: "FP16", tf.bfloat16: "BF16"}
    kind = kinds.get(dtype, dtype.name.upper())
    return f'  {{ name: "{name}" data_type: TYPE_{kind} dims: [ {", ".join(map(str, sizes[1:] or [1]))} ] }}'


def _written(version: Path, folder: Path, configuration: str) -> Path:
    """Write the configuration, then the version under another name, which it loses when it is complete."""
    unfinished, known = folder / f".unfinished-{os.getpid()}", folder / "config.pbtxt"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(version, unfinished / SAVED_MODEL)
        shutil.copyfile(triton_model.__file__, unfinished / "model.py")
        if not (known.exists() and known.read_text() == configuration):  # Triton loads all versions again for a new one
            (unfinished / known.name).write_text(configuration)
            (unfinished / known.name).replace(known)
        return unfinished.rename(folder / version.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # already renamed after a success
