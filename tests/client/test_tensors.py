"""Arrays on the wire: each type to TensorFlow's protos and back, to KServe's bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from keras_resunits_client.errors import Refused
from keras_resunits_client.messages import message
from keras_resunits_client.tensorflow_grpc import _read, _write
from keras_resunits_client.tensors import KINDS, of_raw, of_strings, to_raw

NUMBERS = [kind for kind in KINDS if kind.dtype != "string"]
TensorProto = message("tensorflow.TensorProto")


def values(dtype: str, shape=(2, 3)) -> np.ndarray:
    """Values of a type, its bounds among them."""
    if dtype == "string":
        return of_strings([b"", b"a\0", b"\xff" * 300, "é".encode(), b"x", b"\0"], shape)
    if dtype == "bool":
        return np.array([True, False, True, True, False, False]).reshape(shape)
    limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    odd = np.nan if np.dtype(dtype).kind == "f" else 7
    return np.array([limits.min, limits.max, 0, 1, odd, 3], dtype).reshape(shape)


def of_tensorflow(proto: tensor_pb2.TensorProto) -> np.ndarray:
    return _read(TensorProto.FromString(proto.SerializeToString()))


def require_equal(found, wanted):
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


def test_the_table_has_tensorflows_numbers_and_names():
    for kind in KINDS:
        dtype = tf.string if kind.dtype == "string" else tf.as_dtype(kind.dtype)
        assert (kind.number, kind.tensorflow) == (dtype.as_datatype_enum, f"DT_{_spelled(dtype)}")


def _spelled(dtype):
    return {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}.get(dtype.name, dtype.name.upper())


@pytest.mark.parametrize("dtype", [kind.dtype for kind in KINDS])
@pytest.mark.parametrize("shape", [(2, 3), (6,), (1, 6, 1)])
def test_tensorflow_reads_what_the_client_writes_and_the_reverse(dtype, shape):
    array = values(dtype, shape)
    ours = TensorProto()
    _write(ours, array)
    require_equal(tf.make_ndarray(tensor_pb2.TensorProto.FromString(ours.SerializeToString())), array)
    require_equal(of_tensorflow(tf.make_tensor_proto(array)), array)


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.dtype)
def test_values_in_a_list_are_read_and_the_last_may_stand_for_the_rest(kind):
    array = values(kind.dtype)
    proto = tf.make_tensor_proto(array)
    proto.ClearField("tensor_content")
    listed = array.view("uint16") if kind.dtype == "float16" else array
    getattr(proto, kind.field)[:] = listed.reshape(-1).tolist()
    require_equal(of_tensorflow(proto), array)
    one = tf.make_tensor_proto(array.reshape(-1)[0], shape=(2, 2))
    require_equal(of_tensorflow(one), np.full((2, 2), array.reshape(-1)[0]))


def test_scalars_and_empty_arrays_keep_their_shape():
    for array in (np.float32(2).reshape(()), np.zeros((0, 3), "float32"), of_strings([], (0, 2))):
        proto = TensorProto()
        _write(proto, array)
        require_equal(_read(proto), array)


def test_a_tensor_that_lies_is_refused():
    proto = TensorProto()
    _write(proto, np.zeros((2, 2), "float32"))
    proto.tensor_shape.dim[0].size = 3
    with pytest.raises(Refused, match=r"no float32 \[3, 2\]"):
        _read(proto)
    proto.dtype = 14
    with pytest.raises(Refused, match="type 14"):
        _read(proto)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.dtype)
def test_raw_bytes_come_back(kind):
    array = values(kind.dtype)
    require_equal(of_raw(to_raw(array), kind.kserve, array.shape), array)


def test_raw_bytes_are_kserves():
    """Little-endian numbers in C order; each string after its length in four bytes."""
    assert to_raw(np.array([1, 258], ">i2")) == to_raw(np.array([1, 258], "<i2")) == b"\1\0\2\1"
    assert to_raw(np.array([[1, 2], [3, 4]], "uint8").T) == b"\1\3\2\4"
    assert to_raw(of_strings([b"ab", b""], (2, 1))) == b"\2\0\0\0ab\0\0\0\0"


@pytest.mark.parametrize(
    ("raw", "datatype", "shape"),
    [(b"\0" * 7, "FP32", (2,)), (b"\0" * 8, "FP32", (3,)), (b"\2\0\0\0a", "BYTES", (1,)), (b"\1\0", "BYTES", (1,)),
     (b"\1\0\0\0a", "BYTES", (2,)), (b"\0\0", "BF16", (1,))],
)  # fmt: skip
def test_raw_bytes_that_do_not_fit_are_refused(raw, datatype, shape):
    with pytest.raises(Refused, match=datatype):
        of_raw(raw, datatype, shape)


def test_types_that_no_server_takes_are_refused():
    for array, text in ((np.zeros(1, "complex64"), "complex64"), (np.array([5], dtype=object), "bytes or str")):
        with pytest.raises(ValueError, match=text):
            _write(TensorProto(), array)
