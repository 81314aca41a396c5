"""Reading of PyTorch checkpoints, in any of the usual file formats, as `{name: array}`."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_resunits.converters.architectures import require_known_arithmetic
from keras_resunits.converters.contents import is_hdf5, is_safetensors
from keras_resunits.converters.errors import ConversionError

TORCH_SUFFIXES = (".pt", ".pth", ".th", ".pth.tar", ".ckpt", ".bin", ".safetensors")
NESTS = ("state_dict", "model", "model_state_dict", "net", "params")  # where training programs store the weights
# prefixes of all names: of DataParallel, of torch.compile, and of the usual attributes that hold a network
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
COUNTERS = "num_batches_tracked"  # of Torch's batch norm; no output depends on it

State = dict[str, np.ndarray]


def read_checkpoint(path: str | Path) -> State:
    """Read a PyTorch checkpoint without running any code in it.

    Args:
        path: A `.pt`, `.pth`, `.th`, `.pth.tar`, `.ckpt` or `.bin` file, read by `torch.load(weights_only=True)`; or a
            file of safetensors, under any of these endings or its own. Beside weights, a file may hold what training
            programs save with them: an `argparse.Namespace`, and NumPy's scalars.

    Returns:
        `{name: float32 array}`, with names without `module.` as from `state_of`.

    Raises:
        ConversionError: if the file is missing, of another type, damaged or contains more than weights, or the library
            that reads it is not installed. Also if the file says that its network is one that names and shapes of
            weights do not tell from another (`architectures`).

    Example:

    >>> import pathlib, tempfile, torch
    >>> path = pathlib.Path(tempfile.mkdtemp(), "linear.pth")
    >>> torch.save({"epoch": 3, "state_dict": {"module.weight": torch.ones(2, 3)}}, path)
    >>> read_checkpoint(path)["weight"].shape
    (2, 3)
    """
    path = path_of(path, "a PyTorch checkpoint is a state dict or a path")
    if not path.name.endswith(TORCH_SUFFIXES):
        raise ConversionError(f"a PyTorch checkpoint ends in {', '.join(TORCH_SUFFIXES)}. Received: '{path}'.")
    if not path.is_file():
        raise ConversionError(f"no such file: '{path}'.")
    content = _reader(path)(path)
    require_known_arithmetic(content, f"'{path}'", path)
    return state_of(content, where=f"'{path}'")


def _reader(path: Path) -> Callable[[Path], Any]:
    """Return the function that reads a file, by its content, since endings are used for more than one format."""
    if is_hdf5(path):
        raise ConversionError(f"'{path}' is an HDF5 file, as Keras writes; rename it so that it ends in .h5.")
    return _read_safetensors if is_safetensors(path) else _read_torch


def path_of(source: Any, wanted: str) -> Path:
    """Return a source of weights as a path; refuse anything else."""
    if not isinstance(source, (str, os.PathLike)):
        raise ConversionError(f"{wanted}. Received: {source!r}.")
    return Path(source)


def state_of(content: Any, where: str = "the state dict") -> State:
    """Return the arrays of a state dict by name, without what a training program has put around them.

    Args:
        content: `{name: tensor or array}`, possibly under `state_dict` or `model`, and possibly with a prefix of all
            names such as `module.`, or `model.` as is common with Lightning.
        where: Name of the source, for the error message.

    Returns:
        `{name: float32 array}`, without the counters of Torch's batch norm.

    Raises:
        ConversionError: if there is anything other than tensors, or nothing; if a name is not a string, or a tensor is
            complex, sparse, quantised, nested, or on the meta device.

    Example:

    >>> import numpy as np
    >>> list(state_of({"model": {"module.fc.bias": np.zeros(3)}, "epoch": 7}))
    ['fc.bias']
    """
    tensors = _unnested(content, where)
    return {
        name: _array(tensor, name, where) for name, tensor in _unwrapped(tensors).items() if not name.endswith(COUNTERS)
    }


def _read_torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise ConversionError(f"reading '{path}' requires PyTorch: `pip install torch`.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Torch's warnings about other types of files, which are refused below
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"'{path}' is damaged, or holds more than weights (wanted a file of `torch.save(net.state_dict(), ...)`): "
            f"{_reason(error)}."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        if "TorchScript" in str(error):
            raise ConversionError(
                f"'{path}' is a TorchScript program (wanted a file of `torch.save(net.state_dict(), ...)`)."
            ) from None
        raise ConversionError(
            f"'{path}' is not a readable PyTorch checkpoint: {' '.join(str(error).split())}"
        ) from None


def _harmless() -> list[Any]:
    """Return what training programs save beside weights, and what runs no code of a file: settings and numbers."""
    scalar = np.float64(0).__reduce__()[0]
    named = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]  # of NumPy 1 and 2
    numbers = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?SU"}
    return [argparse.Namespace, np.dtype, *named, *numbers]


def _reason(error: pickle.UnpicklingError) -> str:
    """Return what stopped Torch's unpickler, without Torch's advice to run the code in the file."""
    stops = r"(Unsupported global: GLOBAL \S+)", r"(unsupported GLOBAL \S+)", r"WeightsUnpickler error:\s*(.*)"
    found = next((match for stop in stops if (match := re.search(stop, str(error)))), None)
    return found[1].rstrip(".") if found else "not a pickle of weights"


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise ConversionError(f"reading '{path}' requires safetensors: `pip install safetensors`.") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ConversionError(f"'{path}' is not a readable safetensors file: {error}") from None
    except AttributeError as error:  # NumPy has no type of that name, such as float8_e4m3fn
        raise ConversionError(
            f"'{path}' holds numbers of a type that NumPy lacks; convert them to float32 first: {error}."
        ) from None


def _unnested(content: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ConversionError(f"wanted a state dict {{name: tensor}} in {where}. Received: {type(content).__name__}.")
    for nest in NESTS:
        if isinstance(content.get(nest), Mapping):
            stats = content.get("stats") if nest == "params" else None  # in programs of functions without modules
            return _unnested({**content[nest], **(stats if isinstance(stats, Mapping) else {})}, where)
    others = [str(name) for name, value in content.items() if not hasattr(type(value), "shape")]
    if others or not content:
        raise ConversionError(
            f"wanted a state dict {{name: tensor}} in {where}, or one under {', '.join(map(repr, NESTS))}. "
            f"Received: {'no tensor for ' + listed(others) if others else 'an empty dict'}."
        )
    if unnamed := [repr(name) for name in content if not isinstance(name, str)]:
        raise ConversionError(f"wanted names that are strings in {where}. Received: {listed(unnamed)}.")
    return content


def _unwrapped(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            return _unwrapped({name.removeprefix(wrapper): tensor for name, tensor in tensors.items()})
    return tensors


def _array(tensor: Any, name: str, where: str) -> np.ndarray:
    """Return a tensor as a float32 array; NumPy has no bfloat16, so Torch converts its own tensors."""
    if kind := (_kind_of_tensor if hasattr(tensor, "detach") else _kind_of_array)(tensor):
        raise ConversionError(f"wanted dense tensors of real numbers in {where}. Received: a {kind} for '{name}'.")
    return np.asarray(tensor.detach().cpu().float() if hasattr(tensor, "detach") else tensor, dtype="float32")


def _kind_of_tensor(tensor: Any) -> str | None:
    """Return what keeps a Torch tensor from being a dense array of real numbers; `None` if nothing does."""
    kinds = {
        "nested tensor": tensor.is_nested,
        "tensor on the meta device, without values": tensor.is_meta,
        "quantised tensor": tensor.is_quantized,
        "complex tensor": tensor.is_complex(),
        "tensor of packed 4-bit numbers": "float4" in str(tensor.dtype),
        f"sparse tensor ({tensor.layout})": not str(tensor.layout).endswith("strided"),
    }
    return next((kind for kind, found in kinds.items() if found), None)


def _kind_of_array(array: Any) -> str | None:
    """The same for any other array; bfloat16 of another library is of kind V, as structures are, but has no fields."""
    dtype = np.asarray(array).dtype
    return f"{dtype} array" if dtype.kind in "cOSUMm" or dtype.names else None


LISTED = 12


def listed(names: list[str], most: int = LISTED) -> str:
    """Join names with commas, and state how many follow the first `most` of them."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
