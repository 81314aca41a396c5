"""Files of other runtimes, opened in their own: from uint8 images to probabilities, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

Answer = Callable[[np.ndarray], np.ndarray]
"""From uint8 images `[batch, height, width, channels]` to float32 `[batch, classes]`."""


def opened(path: Path, precision: str = "f32") -> Answer:
    """Open a file that an export wrote, by its suffix: `.onnx`, `.xml` (OpenVINO) or `.tflite`.

    Args:
        path: The file.
        precision: OpenVINO's "f32" or "bf16", in which it computes what is float32 in the file. Its own default is
            "bf16" where the CPU has it. Defaults to "f32".
    """
    return {".onnx": _onnx, ".xml": lambda file: _openvino(file, precision), ".tflite": _litert}[path.suffix](path)


def _onnx(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def _openvino(path: Path, precision: str) -> Answer:
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda images: np.array(model(images)[0])


def _litert(path: Path) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    ((given,), (found,)) = interpreter.get_input_details(), interpreter.get_output_details()
    shape = None

    def answer(images: np.ndarray) -> np.ndarray:
        nonlocal shape
        if images.shape != shape:
            interpreter.resize_tensor_input(given["index"], images.shape)
            interpreter.allocate_tensors()
            shape = images.shape
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(found["index"])

    return answer
