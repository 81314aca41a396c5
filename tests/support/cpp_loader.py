"""TensorFlow's C++ SavedModel loader, which TensorFlow Serving links, by ctypes: no Python TensorFlow, no Keras.

Run as a program, it answers pickled requests in a process of its own, so that a crash is seen as one.
"""

from __future__ import annotations

import ctypes
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STRING = 7
TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64, 10: np.bool_}


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class _String(ctypes.Structure):
    """`TF_TString` as a view on bytes that belong to someone else (ctstring_internal.h)."""

    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_char_p), ("owner", ctypes.c_void_p)]


def library() -> ctypes.CDLL:
    """TensorFlow's C library, with the types of what its functions return."""
    folder = Path(importlib.util.find_spec("tensorflow").origin).parent
    found = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))  # not RTLD_GLOBAL: it would break Python's hashlib
    pointers = "NewStatus NewGraph NewSessionOptions LoadSessionFromSavedModel GraphOperationByName AllocateTensor"
    for name in f"{pointers} TensorData StringGetDataPointer".split():
        getattr(found, f"TF_{name}").restype = ctypes.c_void_p
    found.TF_Message.restype = ctypes.c_char_p
    for name in ("Dim", "StringGetSize", "TensorByteSize"):
        getattr(found, f"TF_{name}").restype = ctypes.c_int64
    return found


class CppModel:
    """A SavedModel in a C++ session.

    Args:
        path: Its directory.
    """

    def __init__(self, path: str):
        self._tf = library()
        self._status = ctypes.c_void_p(self._tf.TF_NewStatus())
        self._graph = ctypes.c_void_p(self._tf.TF_NewGraph())
        options = ctypes.c_void_p(self._tf.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        session = self._tf.TF_LoadSessionFromSavedModel(
            options, None, path.encode(), tags, 1, self._graph, None, self._status
        )
        self._require_ok()
        self._session = ctypes.c_void_p(session)

    def run(self, feeds: Mapping[str, np.ndarray], fetches: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return tensors by name.

        Args:
            feeds: Arrays by the names of their tensors, such as `"images:0"`; of dtype object for strings.
            fetches: The names of tensors.

        Raises:
            RuntimeError: with TensorFlow's message.
        """
        tensors = [self._tensor(array) for array in feeds.values()]
        found = (ctypes.c_void_p * len(fetches))()
        self._tf.TF_SessionRun(
            self._session,
            None,
            self._outputs(feeds),
            (ctypes.c_void_p * len(tensors))(*tensors),
            len(tensors),
            self._outputs(fetches.values()),
            found,
            len(fetches),
            None,
            0,
            None,
            self._status,
        )
        for tensor in tensors:
            self._tf.TF_DeleteTensor(ctypes.c_void_p(tensor))
        self._require_ok()
        return {name: self._array(ctypes.c_void_p(each)) for name, each in zip(fetches, found, strict=True)}

    def _require_ok(self) -> None:
        if self._tf.TF_GetCode(self._status):
            raise RuntimeError(self._tf.TF_Message(self._status).decode(errors="replace"))

    def _outputs(self, names):
        pairs = [name.rsplit(":", 1) for name in names]
        places = [(self._tf.TF_GraphOperationByName(self._graph, op.encode()), int(index)) for op, index in pairs]
        return (_Output * len(places))(*places)

    def _tensor(self, array: np.ndarray) -> int:
        if array.dtype == object:
            kind, size = STRING, array.size * ctypes.sizeof(_String)
        else:
            kind, size = next(kind for kind, dtype in TYPES.items() if dtype == array.dtype), array.nbytes
        sides = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self._tf.TF_AllocateTensor(kind, sides, array.ndim, ctypes.c_size_t(size))
        data = self._tf.TF_TensorData(ctypes.c_void_p(tensor))
        if kind == STRING:
            views = (_String * array.size)(*((len(each) << 2 | 3, each, None) for each in array.ravel()))
            ctypes.memmove(data, views, size)
        elif size:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return tensor

    def _array(self, tensor: ctypes.c_void_p) -> np.ndarray:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        kind, data = self._tf.TF_TensorType(tensor), self._tf.TF_TensorData(tensor)
        if kind == STRING:
            places = [ctypes.c_void_p(data + 24 * i) for i in range(int(np.prod(shape)))]
            texts = [
                ctypes.string_at(self._tf.TF_StringGetDataPointer(place), self._tf.TF_StringGetSize(place))
                for place in places
            ]
            array = np.array(texts, object).reshape(shape)
        else:
            content = ctypes.string_at(data, self._tf.TF_TensorByteSize(tensor)) if data else b""
            array = np.frombuffer(content, TYPES[kind]).reshape(shape)
        self._tf.TF_DeleteTensor(tensor)
        return array


@dataclass(frozen=True)
class Request:
    """A request of a signature.

    Args:
        feeds: Arrays by the names of tensors.
        fetches: The names of tensors by those of outputs.
    """

    feeds: dict[str, np.ndarray]
    fetches: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What became of a request.

    Args:
        outputs: Arrays by name; empty after an error.
        error: TensorFlow's message, if any.
        grown: By how many bytes the process' memory was larger at its peak than before.
    """

    outputs: dict[str, np.ndarray]
    error: str
    grown: int


def ask(path: Path, requests: Iterable[Request], folder: Path) -> list[Reply]:
    """Load a SavedModel in a new process, and answer requests one after another.

    Args:
        path: The SavedModel.
        requests: The requests.
        folder: An existing folder for files.
    """
    (folder / "requests").write_bytes(pickle.dumps([(each.feeds, each.fetches) for each in requests]))
    command = [sys.executable, __file__, str(path), str(folder / "requests"), str(folder / "replies")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"the server crashed: {done.returncode}\n{done.stderr[-4000:]}"
    return [Reply(*each) for each in pickle.loads((folder / "replies").read_bytes())]


def _memory(line: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(each for each in status.splitlines() if each.startswith(line)).split()[1])


def _reply(model: CppModel, feeds, fetches) -> tuple[dict[str, np.ndarray], str, int]:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _memory("VmRSS")
    try:
        outputs, error = model.run(feeds, fetches), ""
    except RuntimeError as failure:
        outputs, error = {}, str(failure)
    return outputs, error, _memory("VmHWM") - before


def main(path: str, requests: str, replies: str) -> None:
    """Answer a file of requests."""
    asked = pickle.loads(Path(requests).read_bytes())
    model = CppModel(path)
    Path(replies).write_bytes(pickle.dumps([_reply(model, *each) for each in asked]))
    assert not {"tensorflow", "keras"} & set(sys.modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
