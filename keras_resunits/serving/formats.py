"""Other runtimes' files of an inference graph: ONNX, OpenVINO and LiteRT, in float32 and in int8."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_resunits.serving.graph import InferenceGraph
from keras_resunits.serving.heads import probabilities
from keras_resunits.serving.runtimes import opened

FOLDER = "formats"
"""Where they lie in a version's folder, in which a server reads the SavedModel only."""

COMPARED = 64
"""The number of images on which a file's answers are compared with the model's."""

TOLERANCE = 1e-3
"""The largest difference of a probability, in float32."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        file: Its name.
        packages: The modules that write and read it.
        write: A function of the graph, the path and, for int8, the images that calibrate it.
        integers: Whether it computes in int8.
    """

    file: str
    packages: Sequence[str]
    write: Callable[[tf.compat.v1.GraphDef, Path, np.ndarray], None]
    integers: bool = False


def known_formats(formats: Sequence[str]) -> list[str]:
    """Return the names of formats as a list.

    Raises:
        ValueError: if one is unknown.
        ImportError: if a package is not installed.

    >>> known_formats([])
    []
    """
    if isinstance(formats, str) or not set(formats) <= set(FORMATS):
        raise ValueError(f"`formats` must be some of {', '.join(FORMATS)}. Received: formats={formats!r}.")
    names = list(dict.fromkeys(formats))
    if missing := sorted({each for name in names for each in FORMATS[name].packages if not find_spec(each)}):
        raise ImportError(
            f"`formats` require {', '.join(missing)}: pip install 'keras_resunits[formats]'. Received: "
            f"formats={formats!r}."
        )
    return names


def require_images(images: Any, shape: Sequence[int | None]) -> None:
    """Refuse what is not uint8 images of the model's shape `(None, height, width, channels)`."""
    images = np.asarray(images)
    fits = images.ndim == 4 and all(want in (None, got) for want, got in zip(shape, images.shape, strict=True))
    if images.dtype != np.uint8 or not fits or not len(images):
        raise ValueError(
            f"`formats` require `images`: uint8 {[*shape]}, to compare answers and to calibrate int8. Received: "
            f"{images.dtype} {[*images.shape]}."
        )


def require_float32(formats: Sequence[str], model: keras.Model) -> None:
    """Refuse formats of a model that computes in another precision, which not every runtime has."""
    others = sorted({layer.compute_dtype for layer in model._flatten_layers()} - {"float32"})
    if formats and others:
        raise ValueError(f"`formats` require a model in float32. Received: {', '.join(others)} (model '{model.name}').")


def write_formats(
    folder: Path,
    names: Sequence[str],
    core: InferenceGraph,
    head: str,
    images: np.ndarray,
    model: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """Write files from uint8 `images` to float32 `probabilities`, and compare their answers with the model's.

    Args:
        folder: The version's.
        names: The names of the formats.
        core: The graph from float32 pixels to the model's outputs.
        head: What these are.
        images: uint8 images, which calibrate int8.
        model: From images to the model's own probabilities.

    Returns:
        By name, the file, the largest difference of a probability and the share of images with the same best class.

    Raises:
        RuntimeError: if a converter fails, or an answer in float32 differs by more than `TOLERANCE`.
    """
    if not names:
        return {}
    graph = _plain(core, (None, *images.shape[1:]), head)
    (folder / FOLDER).mkdir()
    asked = images[:COMPARED]
    wanted, told = model(asked), {}
    for name in names:
        kind = FORMATS[name]
        path = folder / FOLDER / kind.file
        with _held_back(name):
            kind.write(graph, path, images)
            found = opened(path)(asked)
        difference = float(np.abs(found - wanted).max())
        if not (kind.integers or difference <= TOLERANCE):
            raise RuntimeError(f"{path}: its answers differ from the model's by {difference:.0e}.")
        agreement = float((found.argmax(1) == wanted.argmax(1)).mean())
        told[name] = {"file": f"{FOLDER}/{kind.file}", "difference": difference, "agreement": agreement}
    return told


def _plain(core: InferenceGraph, shape: Sequence[int | None], head: str) -> tf.compat.v1.GraphDef:
    """Return the graph from uint8 `images` to `probabilities`, its weights as constants."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.uint8, shape, "images")
        weights = {name: tf.constant(array, name=name) for name, array in core.weights.items()}
        outputs = core.placed(tf.cast(images, tf.float32), weights)
        tf.identity(probabilities(outputs, head), "probabilities")
    return graph.as_graph_def()


def _loaded(definition: tf.compat.v1.GraphDef) -> tf.Graph:
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
    return graph


def _write_onnx(definition: tf.compat.v1.GraphDef, path: Path, images: np.ndarray) -> None:
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert.from_graph_def(
        definition, input_names=["images:0"], output_names=["probabilities:0"], opset=18
    )
    for node in model.graph.node:
        node.input[:] = [name.removesuffix(":0") if name == "images:0" else name for name in node.input]
        node.output[:] = [name.removesuffix(":0") if name == "probabilities:0" else name for name in node.output]
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.name = tensor.name.removesuffix(":0")
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _write_openvino(definition: tf.compat.v1.GraphDef, path: Path, images: np.ndarray) -> None:
    import openvino

    openvino.save_model(openvino.convert_model(_loaded(definition)), path, compress_to_fp16=False)


def _write_openvino_int8(definition: tf.compat.v1.GraphDef, path: Path, images: np.ndarray) -> None:
    import nncf
    import openvino

    model = openvino.convert_model(_loaded(definition))
    calibrating = nncf.Dataset([image[np.newaxis] for image in images])
    openvino.save_model(nncf.quantize(model, calibrating, subset_size=len(images)), path, compress_to_fp16=False)


def _write_litert(definition: tf.compat.v1.GraphDef, path: Path, images: np.ndarray) -> None:
    path.write_bytes(_converter(definition).convert())


def _write_litert_int8(definition: tf.compat.v1.GraphDef, path: Path, images: np.ndarray) -> None:
    converter = _converter(definition)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(converter.convert())


def _converter(definition: tf.compat.v1.GraphDef) -> Any:
    graph = _loaded(definition)
    images, found = (graph.get_tensor_by_name(f"{name}:0") for name in ("images", "probabilities"))
    return tf.compat.v1.lite.TFLiteConverter(definition, [images], [found])


FORMATS: Mapping[str, Format] = {
    "onnx": Format("model.onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx),
    "openvino": Format("model.xml", ("openvino",), _write_openvino),
    "openvino_int8": Format("model_int8.xml", ("openvino", "nncf"), _write_openvino_int8, integers=True),
    "litert": Format("model.tflite", ("ai_edge_litert",), _write_litert),
    "litert_int8": Format("model_int8.tflite", ("ai_edge_litert",), _write_litert_int8, integers=True),
}
"""The formats by name."""


@contextmanager
def _held_back(name: str) -> Iterator[None]:
    """Hold back what converters print, native code included; show it if they fail.

    Raises:
        RuntimeError: in place of any error of a converter.
    """
    sys.stdout.flush(), sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as held:
        for stream in (1, 2):
            os.dup2(held.fileno(), stream)
        failed = True
        try:
            yield
            failed = False
        except Exception as error:
            raise RuntimeError(f"format {name!r}: {error}") from error
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            for stream, own in zip((1, 2), kept, strict=True):
                os.dup2(own, stream)
                os.close(own)
            if failed:
                held.seek(0)
                os.write(2, held.read())
