"""The `model.py` of a Triton repository: answers from a SavedModel through a TF1 session, with TensorFlow only.

`triton.write_triton_repository` copies this file beside the SavedModel. Triton's Python backend imports it and batches
the requests; it requires TensorFlow and NumPy, below version 2 where the backend does, in the Python of the backend.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise

import numpy as np


class TritonPythonModel:
    """What the Python backend makes one of for each instance of the model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the SavedModel."""
        import tensorflow as tf

        parameters = json.loads(args["model_config"])["parameters"]
        folder = os.path.join(args["model_repository"], args["model_version"], "model.savedmodel")
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], folder)
        signature = loaded.signature_def[parameters["signature"]["string_value"]]
        self._inputs = {name: (info.name, len(info.tensor_shape.dim)) for name, info in signature.inputs.items()}
        self._outputs = {name: info.name for name, info in signature.outputs.items()}
        self._failed = tf.errors.OpError

    def execute(self, requests: list) -> list:
        """Answer requests in one call of the session; each by itself where that fails, so that none fails another."""
        import triton_python_backend_utils as triton

        parts = {
            name: [triton.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
            for name in self._inputs
        }
        feed = {tensor: _of_rank(np.concatenate(parts[name]), rank) for name, (tensor, rank) in self._inputs.items()}
        try:
            outputs = self._session.run(self._outputs, feed)
        except (self._failed, ValueError) as error:
            if len(requests) > 1:
                return [response for request in requests for response in self.execute([request])]
            return [triton.InferenceResponse(error=triton.TritonError(" ".join(str(error).split())))]
        ends = np.cumsum([0, *(len(part) for part in next(iter(parts.values())))])
        return [
            triton.InferenceResponse(
                [triton.Tensor(name, _of_rank(rows[begin:end], max(rows.ndim, 2))) for name, rows in outputs.items()]
            )
            for begin, end in pairwise(ends)
        ]

    def finalize(self) -> None:
        """Free the model."""
        self._session.close()


def _of_rank(rows: np.ndarray, rank: int) -> np.ndarray:
    """Rows of another rank by dimensions of 1 at their end: Triton has no scalar in a row."""
    return rows.reshape((*rows.shape[:rank], *(1 for _ in range(rank - rows.ndim))))
