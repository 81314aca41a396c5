"""Arrays as protocols write them: the names of types, and strings as bytes."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from keras_resunits_client.errors import Refused
from keras_resunits_client.protocol import STRING, type_of


class Kind(NamedTuple):
    """One type: NumPy's name, TensorFlow's number and name, its field in a TensorProto, and KServe's name."""

    dtype: str
    number: int
    tensorflow: str
    field: str
    kserve: str


KINDS = (
    Kind("float32", 1, "DT_FLOAT", "float_val", "FP32"),
    Kind("float64", 2, "DT_DOUBLE", "double_val", "FP64"),
    Kind("int32", 3, "DT_INT32", "int_val", "INT32"),
    Kind("uint8", 4, "DT_UINT8", "int_val", "UINT8"),
    Kind("int16", 5, "DT_INT16", "int_val", "INT16"),
    Kind("int8", 6, "DT_INT8", "int_val", "INT8"),
    Kind(STRING, 7, "DT_STRING", "string_val", "BYTES"),
    Kind("int64", 9, "DT_INT64", "int64_val", "INT64"),
    Kind("bool", 10, "DT_BOOL", "bool_val", "BOOL"),
    Kind("uint16", 17, "DT_UINT16", "int_val", "UINT16"),
    Kind("float16", 19, "DT_HALF", "half_val", "FP16"),
    Kind("uint32", 22, "DT_UINT32", "uint32_val", "UINT32"),
    Kind("uint64", 23, "DT_UINT64", "uint64_val", "UINT64"),
)


def kind(column: str, value: Any) -> Kind | None:
    """The row of `KINDS` with this value in a column; `None` for a type that NumPy lacks, such as bfloat16.

    >>> kind("kserve", "FP32").dtype
    'float32'
    """
    return next((each for each in KINDS if getattr(each, column) == value), None)


def dtype_of(column: str, value: Any) -> str:
    """NumPy's name of a type, or the protocol's own name where NumPy has none."""
    found = kind(column, value)
    return found.dtype if found else str(value)


def kind_of(array: np.ndarray) -> Kind:
    """The row of an array's type.

    Raises:
        ValueError: for a type that no server takes.
    """
    if not (found := kind("dtype", type_of(array))):
        raise ValueError(f"expected an array of numbers or strings; got {array.dtype}.")
    return found


def strings(array: np.ndarray) -> list[bytes]:
    """The strings of an array, in order; text as UTF-8.

    Raises:
        ValueError: for another object, or an array of NumPy's type "S", which drops zeros at the ends of its strings.

    >>> strings(np.array([b"a", "é"], dtype=object))
    [b'a', b'\\xc3\\xa9']
    """
    items = array.reshape(-1).tolist()
    if array.dtype.kind == "S" or not all(isinstance(each, (bytes, str)) for each in items):
        raise ValueError(f"expected an array of dtype object that holds bytes or str; got {array.dtype}.")
    return [each.encode() if isinstance(each, str) else each for each in items]


def of_strings(items: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """An array of `bytes`: NumPy's own would drop zeros at their ends."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def to_raw(array: np.ndarray) -> bytes:
    """KServe's bytes of an array: little-endian numbers, or strings each after its length.

    >>> to_raw(np.array([b"ab"], dtype=object))
    b'\\x02\\x00\\x00\\x00ab'
    """
    if type_of(array) == STRING:
        return b"".join(struct.pack("<I", len(each)) + each for each in strings(array))
    return array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()


def of_raw(raw: bytes, datatype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of KServe's bytes.

    Raises:
        Refused: if the bytes do not hold such an array.
    """
    if not (found := kind("kserve", datatype)):
        raise Refused(f"the server answers in {datatype}, which this client does not read")
    try:
        if found.dtype == STRING:
            return of_strings(_split(raw), shape)
        return np.frombuffer(raw, np.dtype(found.dtype).newbyteorder("<")).astype(found.dtype).reshape(shape)
    except (ValueError, struct.error) as error:
        raise Refused(f"the server's {len(raw)} bytes are no {datatype} {list(shape)}: {error}") from error


def _split(raw: bytes) -> list[bytes]:
    items, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        items.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(raw):
        raise ValueError(f"the last string ends {at - len(raw)} bytes after the data")
    return items
