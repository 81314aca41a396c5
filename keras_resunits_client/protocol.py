"""What every protocol of a server can do, and the records that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]
STRING = "string"
UNNAMED = ""
"""The name of an only output in a protocol that leaves it out."""


@dataclass(frozen=True)
class Tensor:
    """What a signature states of an input or output: NumPy's name of the type or "string", and the shape, -1 for any.

    >>> Tensor("uint8", (-1, 8, 8, 3)).fits(np.zeros((2, 8, 8, 3), "uint8"))
    True
    >>> print(Tensor("uint8", (-1, 8, 8, 3)))
    uint8 [any, 8, 8, 3]
    """

    dtype: str
    shape: tuple[int, ...] | None  # None for any rank

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array has this type and shape."""
        return type_of(array) == self.dtype and (
            self.shape is None
            or (
                array.ndim == len(self.shape)
                and all(want in (-1, got) for want, got in zip(self.shape, array.shape, strict=True))
            )
        )

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any rank"
        return f"{self.dtype} [{', '.join('any' if size == -1 else str(size) for size in self.shape)}]"


def type_of(array: np.ndarray) -> str:
    """NumPy's name of an array's type; "string" for bytes and text.

    >>> type_of(np.array([b"a"], dtype=object)), type_of(np.array(["a"])), type_of(np.zeros(1, "float32"))
    ('string', 'string', 'float32')
    """
    return STRING if array.dtype.kind in "OSU" else array.dtype.name


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model, by name."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    def checked(self, inputs: Arrays) -> Arrays:
        """The inputs, after a check of names, types and shapes.

        Raises:
            ValueError: for an input that is missing, unknown, of another type or of another shape.
        """
        if set(inputs) != set(self.inputs):
            raise ValueError(f"expected inputs {sorted(self.inputs)}; got {sorted(inputs)}.")
        for name, array in inputs.items():
            if not self.inputs[name].fits(array):
                shape = ", ".join(map(str, array.shape))
                raise ValueError(f"input '{name}': expected {self.inputs[name]}; got {type_of(array)} [{shape}].")
        return inputs


@dataclass(frozen=True)
class Version:
    """A version of a model, its state in the server, such as AVAILABLE, and the server's error where it has one."""

    number: str
    state: str
    error: str = ""


@dataclass(frozen=True)
class Metadata:
    """A model as the server describes it: the version that answers, if it is named, and the signatures by name."""

    model: str
    version: str
    signatures: Mapping[str, Signature]


@dataclass(frozen=True)
class Model:
    """The model that is asked: the newest version unless a number or a label is given."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.label is not None:
            return f"'{self.name}', label '{self.label}'"
        return f"'{self.name}'" + ("" if self.version is None else f", version {self.version}")


class Protocol(ABC):
    """How a server is asked. `seconds` bounds a call; errors are those of `keras_resunits_client.errors`."""

    has_signatures = True

    @abstractmethod
    def predict(self, model: Model, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        """The outputs by name; strings are arrays of `bytes`."""

    @abstractmethod
    def metadata(self, model: Model, seconds: float) -> Metadata:
        """The signatures of the model."""

    @abstractmethod
    def status(self, model: Model, seconds: float) -> list[Version]:
        """The model's versions and their states."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
