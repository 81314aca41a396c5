"""A client of model servers: TensorFlow Serving, and KServe v2 as in Triton and OpenVINO Model Server.

It requires NumPy, Pillow for pictures that are sent as pixels, and grpcio for gRPC; never TensorFlow or Keras. It is a
package of its own because the import of `keras_resunits` imports Keras.
"""

from keras_resunits_client.answers import Answer
from keras_resunits_client.client import Client
from keras_resunits_client.errors import ClientError, DeadlineExceeded, Refused, Unavailable
from keras_resunits_client.protocol import Metadata, Signature, Tensor, Version
from keras_resunits_client.retries import Retries

__all__ = [
    "Answer",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Metadata",
    "Refused",
    "Retries",
    "Signature",
    "Tensor",
    "Unavailable",
    "Version",
]
