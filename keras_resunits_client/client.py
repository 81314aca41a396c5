"""A client of one model in a server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from keras_resunits_client.answers import Answer, in_order
from keras_resunits_client.connecting import connect
from keras_resunits_client.errors import ClientError, Refused
from keras_resunits_client.pictures import found
from keras_resunits_client.protocol import STRING, UNNAMED, Arrays, Metadata, Model, Signature, Tensor, Version, type_of
from keras_resunits_client.retries import Retries
from keras_resunits_client.sending import Sender
from keras_resunits_client.tensors import of_strings

PREFERRED = ("serve_bytes", "serving_default")
"""The signatures that are taken by default, the first that the model has."""


class Client:
    """A client of one model in TensorFlow Serving, Triton or OpenVINO Model Server; threads may share it.

    Args:
        url: The server: `http://HOST:PORT` or `https://HOST:PORT` for REST, `grpc://HOST:PORT` or `grpcs://HOST:PORT`
            for gRPC.
        model: The model's name.
        protocol: "tensorflow", or "kserve" for KServe v2. Defaults to "tensorflow".
        version: The version's number. Defaults to the newest.
        label: In place of a version, its label, such as "stable"; "tensorflow" only.
        signature: The signature. Defaults to `serve_bytes` for bytes and `serving_default` for pixels, as far as the
            model has them. KServe v2 has none: there, name the model that the signature was written as.
        retries: Deadline, attempts and pauses of every request. Defaults to `Retries()`.

    Raises:
        ClientError: for an address or protocol that does not exist, or both a version and a label.

    Example:

    >>> client = Client("http://localhost:8501", "digits")
    >>> client.predict(images)  # doctest: +SKIP
    {'probabilities': array(...), 'classes': array(...), 'scores': array(...)}
    >>> for answer in client.answers(["photos/"]):  # doctest: +SKIP
    ...     print(answer.path, answer.status, answer.classes[:1], answer.error)
    >>> client.close()
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        protocol: str = "tensorflow",
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        retries: Retries | None = None,
    ):
        if version is not None and label is not None:
            raise ClientError(f"expected a version or a label; got version {version} and label {label!r}")
        self.model = Model(model, version, label)
        self._protocol = connect(url, protocol)
        self._retries = retries or Retries()
        if signature is not None and not self._protocol.has_signatures:
            raise ClientError(f"KServe v2 has no signatures; got {signature!r}. Name the model of that signature")
        self._asked = signature

    def status(self) -> list[Version]:
        """The versions of the model, and the state of each.

        Raises:
            ClientError: as for `predict`.
        """
        return self._retries.call(lambda seconds: self._protocol.status(self.model, seconds))

    def metadata(self) -> Metadata:
        """The signatures of the model, with names, types and shapes, without TensorFlow's own (`__...`).

        Raises:
            ClientError: as for `predict`.
        """
        found = self._retries.call(lambda seconds: self._protocol.metadata(self.model, seconds))
        public = {name: each for name, each in found.signatures.items() if not name.startswith("__")}
        return replace(found, signatures=public)

    @cached_property
    def signatures(self) -> Mapping[str, Signature]:
        """The signature that was asked for; else those of `serve_bytes` and `serving_default` that the model has.

        Raises:
            ClientError: as for `predict`, or if the model has none of them.
        """
        has = self.metadata().signatures
        expected = PREFERRED if self._asked is None else (self._asked,)
        if found := {name: has[name] for name in expected if name in has}:
            return found
        raise ClientError(
            f"model {self.model}: expected signature {' or '.join(expected)}; it has {', '.join(sorted(has))}"
        )

    def predict(self, inputs: np.ndarray | Sequence[bytes] | Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The outputs of the model by name, for one batch, of the first of `signatures` that takes the inputs.

        Args:
            inputs: The only input, or all inputs by name; the first dimension is the batch. Strings are a list of
                `bytes`, one a row. Numbers are an array of the signature's type: it is checked, never cast.

        Returns:
            The outputs by name, of the signature's types; strings are arrays of `bytes`.

        Raises:
            ValueError: for inputs of another name, type or shape than the signatures'. Nothing is sent then.
            Refused: if the server knows no such model, or answers with another error.
            Unavailable: if it cannot be reached, or is too busy, in all attempts.
            DeadlineExceeded: if it does not answer in time.
        """
        refusals = []
        for name, signature in self.signatures.items():
            try:
                checked = signature.checked(_named(inputs, signature))
            except ValueError as error:
                refusals.append(f"signature {name}: {error}")
            else:
                return self._asked_of(name, signature, checked)
        raise ValueError(" ".join(refusals))

    def _asked_of(self, name: str, signature: Signature, inputs: Arrays) -> dict[str, np.ndarray]:
        outputs = self._retries.call(lambda seconds: self._protocol.predict(self.model, name, inputs, seconds))
        return _typed(outputs, signature.outputs)

    def answers(self, paths: Iterable[str | os.PathLike], batch: int = 32, workers: int = 4) -> Iterator[Answer]:
        """Classify picture files, in their order, a whole batch a request.

        A file that cannot be answered gets an `Answer` that says why. After a request that found no server in all its
        attempts, no more are sent.

        Args:
            paths: Files, and folders of pictures.
            batch: Pictures in a request; 1 if the model takes pixels of any size.
            workers: Requests at once.

        Raises:
            ClientError: for a path without pictures, a signature that takes no pictures or returns no classes, or a
                server that cannot describe it. Nothing is classified then.
            ValueError: if `batch` or `workers` is not positive.
        """
        if batch < 1 or workers < 1:
            raise ValueError(f"`batch` and `workers` must be positive. Received: batch={batch}, workers={workers}.")
        files = found(paths)
        sender = Sender(self.predict, *next(iter(self.signatures.items())))
        size = batch if sender.equal_sizes else 1
        groups = [files[at : at + size] for at in range(0, len(files), size)]
        return (answer for group in in_order(sender.answers, groups, workers) for answer in group)

    def close(self) -> None:
        """Close the connections."""
        self._protocol.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _named(inputs: Any, signature: Signature) -> Arrays:
    if not isinstance(inputs, Mapping):
        if len(signature.inputs) != 1:
            raise ValueError(f"expected a mapping with inputs {sorted(signature.inputs)}; got {type(inputs).__name__}.")
        inputs = {next(iter(signature.inputs)): inputs}
    return {name: _array(value, signature.inputs.get(name)) for name, value in inputs.items()}


def _array(value: Any, tensor: Tensor | None) -> np.ndarray:
    if isinstance(value, (list, tuple)) and tensor is not None and tensor.dtype == STRING:
        return of_strings(list(value), (len(value), *(1 for _ in (tensor.shape or ())[1:])))
    if isinstance(value, (bytes, str)):
        raise ValueError(f"expected a list of {type(value).__name__}, or an array; got one {type(value).__name__}.")
    return np.asarray(value)


def _typed(outputs: Arrays, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The outputs that the signature names, of its types: JSON has one type of number.

    Raises:
        Refused: if an output is missing, or of another type or shape.
    """
    if set(outputs) == {UNNAMED} and len(tensors) == 1:
        outputs = {next(iter(tensors)): outputs[UNNAMED]}
    if missing := sorted(set(tensors) - set(outputs)):
        raise Refused(f"the server's answer lacks output {', '.join(missing)}; it has {', '.join(sorted(outputs))}")
    return {name: _cast(name, outputs[name], tensor) for name, tensor in tensors.items()}


def _cast(name: str, array: np.ndarray, tensor: Tensor) -> np.ndarray:
    if array.size == 0 and tensor.shape is not None:  # JSON drops the dimensions after an empty one
        array = array.reshape([max(size, 0) for size in tensor.shape]).astype(
            object if tensor.dtype == STRING else None
        )
    if array.dtype.kind in "biuf" and tensor.dtype not in (STRING, array.dtype.name):
        array = array.astype(tensor.dtype)
    if not tensor.fits(array):
        raise Refused(f"output '{name}': expected {tensor}; got {type_of(array)} {list(array.shape)}")
    return array
