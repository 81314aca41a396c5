"""Reading checkpoints: every type of file, every wrapping, and every refusal."""

import re

import numpy as np
import pytest

from keras_resunits.converters import ConversionError, load_keras_weights, load_torch_weights, read_checkpoint
from keras_resunits.converters.checkpoints import state_of

torch = pytest.importorskip("torch")

STATE = {
    "conv.weight": torch.arange(6.0).reshape(2, 3, 1, 1),
    "bn.running_var": torch.tensor([0.5, 2.0]),
    "bn.num_batches_tracked": torch.tensor(7),
}

pytestmark = pytest.mark.peers


def holds_the_state(read):
    assert list(read) == ["conv.weight", "bn.running_var"]  # without the counter
    for name, array in read.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, STATE[name].numpy())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_torch_file_is_read(tmp_path, suffix, zipped):
    torch.save(STATE, tmp_path / f"x{suffix}", _use_new_zipfile_serialization=zipped)
    holds_the_state(read_checkpoint(tmp_path / f"x{suffix}"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_safetensors_file_is_read_whatever_its_precision(tmp_path, dtype):
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in STATE.items()}
    save_file(state, tmp_path / "x.safetensors")
    read = read_checkpoint(tmp_path / "x.safetensors")
    holds_the_state({name: read[name] for name in STATE if name in read})  # the file sorts its names


@pytest.mark.parametrize(
    "wrapped",
    [
        {"state_dict": STATE, "epoch": 3, "best_prec1": 91.7},
        {"model": STATE, "optimizer": {"param_groups": []}},
        {"model": {"state_dict": STATE}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}, "arch": "resnet20"},
        {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"model.backbone.{name}": tensor for name, tensor in STATE.items()}, "hyper_parameters": {}},
        {name: torch.nn.Parameter(tensor) for name, tensor in STATE.items() if tensor.is_floating_point()},
        {name: tensor.double() for name, tensor in STATE.items()},
        {name: tensor.bfloat16() for name, tensor in STATE.items()},
        {name: tensor.numpy() for name, tensor in STATE.items()},
    ],
    ids=[
        "state_dict",
        "model",
        "nested",
        "module",
        "both",
        "compiled",
        "attribute",
        "parameters",
        "float64",
        "bfloat16",
        "numpy",
    ],
)
def test_what_a_training_program_puts_around_the_weights_is_removed(wrapped):
    holds_the_state(state_of(wrapped))


def test_a_prefix_that_not_all_names_share_is_kept():
    assert list(state_of({"module.a": np.ones(1), "b": np.ones(1)})) == ["module.a", "b"]


# ---------------------------------------------------------------------------------------------------------------------
# Refusals, each one line that names the file.


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.onnx", b"", r"a PyTorch checkpoint ends in .pt, .pth, .th, .safetensors. Received: '.*x.onnx'"),
        ("x.pth", None, r"no such file: '.*x.pth'"),
        ("x.pth", b"", r"'.*x.pth' is not a readable PyTorch checkpoint"),
        ("x.pth", b"not a checkpoint at all", r"'.*x.pth' is damaged, or holds more than weights"),
        ("x.safetensors", b"not a checkpoint at all", r"'.*x.safetensors' is not a readable safetensors file"),
    ],
    ids=["kind", "missing", "empty", "damaged", "damaged-safetensors"],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, name, content, match):
    if "safetensors" in str(name):
        pytest.importorskip("safetensors")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConversionError, match=match) as raised:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_half_a_file_is_refused(tmp_path):
    torch.save(STATE, tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConversionError, match=r"half.pth' is not a readable PyTorch checkpoint"):
        read_checkpoint(tmp_path / "half.pth")


def test_a_pickled_network_is_refused_and_not_run(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pth")
    with pytest.raises(
        ConversionError, match=r"holds more than weights \(wanted a file of `torch.save\(net.state_dict"
    ):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("source", [42, None, [1]])
def test_a_source_that_is_not_a_path_is_refused(source):
    with pytest.raises(ConversionError, match=rf"is a state dict or a path\. Received: {re.escape(repr(source))}\."):
        load_torch_weights(None, source)
    with pytest.raises(ConversionError, match=r"are a model, 'imagenet', or a file .* Received: "):
        load_keras_weights(None, source)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], r"wanted a state dict \{name: tensor\} in the state dict. Received: list"),
        ({}, r"Received: an empty dict"),
        ({"epoch": 3, "weights": {}}, r"or one under 'state_dict', 'model'.*Received: no tensor for epoch, weights"),
    ],
    ids=["list", "empty", "elsewhere"],
)
def test_content_that_is_not_a_state_dict_is_refused(content, match):
    with pytest.raises(ConversionError, match=match):
        state_of(content)
