"""KServe v2, the protocol of Triton and OpenVINO Model Server: what REST and gRPC share.

A model has no labels here and one signature, which is called `ONLY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keras_resunits_client.errors import ClientError
from keras_resunits_client.protocol import Metadata, Model, Signature, Tensor
from keras_resunits_client.tensors import dtype_of

ONLY = "serving_default"
Described = Iterable[tuple[str, str, Sequence[int]]]
"""Tensors as KServe describes them: name, type and shape."""


def version_of(model: Model) -> str:
    """The version's number as text; empty for the server's choice.

    Raises:
        ClientError: for a label.

    >>> version_of(Model("digits", version=2))
    '2'
    """
    if model.label is not None:
        raise ClientError(f"model {model}: KServe v2 has no labels; expected the number of a version")
    return "" if model.version is None else str(model.version)


def described(model: Model, versions: Sequence[str], inputs: Described, outputs: Described) -> Metadata:
    """The metadata of a model; the version is the asked one, or the newest.

    >>> described(Model("digits"), ["1", "10", "9"], [("images", "UINT8", [-1, 8, 8, 3])], []).version
    '10'
    """
    newest = max(versions, key=lambda version: int(version) if version.isdecimal() else -1, default="")
    return Metadata(model.name, version_of(model) or newest, {ONLY: Signature(_tensors(inputs), _tensors(outputs))})


def _tensors(tensors: Described) -> dict[str, Tensor]:
    return {name: Tensor(dtype_of("kserve", datatype), tuple(map(int, shape))) for name, datatype, shape in tensors}
