"""Reading checkpoints: every type of file, every wrapping, and every refusal."""

import os
import re
from argparse import Namespace

import numpy as np
import pytest

from keras_resunits.converters import ConversionError, load_keras_weights, load_torch_weights, read_checkpoint
from keras_resunits.converters.checkpoints import state_of
from keras_resunits.converters.contents import HDF5

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


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".pth.tar", ".ckpt", ".bin"])
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


@pytest.mark.parametrize("suffix", [".bin", ".ckpt"])
def test_a_safetensors_file_is_told_by_its_content(tmp_path, suffix):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(STATE, tmp_path / f"x{suffix}")
    read = read_checkpoint(tmp_path / f"x{suffix}")
    holds_the_state({name: read[name] for name in STATE if name in read})


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_settings_and_numbers_beside_the_weights_are_allowed(tmp_path, zipped):
    beside = {
        "args": Namespace(lr=0.1, arch="resnet20", widths=[16, 32]),
        "best": np.float64(91.7),
        "epoch": np.int64(3),
        "loss": np.float32(0.5),
        "done": np.bool_(True),
        "name": np.str_("resnet"),
    }
    torch.save({"state_dict": STATE, **beside}, tmp_path / "x.pth.tar", _use_new_zipfile_serialization=zipped)
    holds_the_state(read_checkpoint(tmp_path / "x.pth.tar"))


def test_numbers_of_an_older_numpy_are_allowed(tmp_path):
    torch.save(
        {"state_dict": STATE, "best": np.float64(91.7)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False
    )
    content = (tmp_path / "x.pth").read_bytes()
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != content
    (tmp_path / "old.pth").write_bytes(old)
    holds_the_state(read_checkpoint(tmp_path / "old.pth"))


class Runs:
    """Its unpickling would run code."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_settings_that_hold_foreign_code_are_refused_and_not_run(tmp_path):
    torch.save({"state_dict": STATE, "args": Namespace(hook=Runs(tmp_path / "ran"))}, tmp_path / "x.pth")
    with pytest.raises(ConversionError, match=r"holds more than weights .*GLOBAL (posix|nt|os)\.mkdir"):
        read_checkpoint(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


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
        ("x.onnx", b"", r"a PyTorch checkpoint ends in .pt, .pth, .*, .safetensors\. Received: '.*x.onnx'"),
        ("x.pth", None, r"no such file: '.*x.pth'"),
        ("x.pth", b"", r"'.*x.pth' is not a readable PyTorch checkpoint"),
        ("x.pth", b"not a checkpoint at all", r"'.*x.pth' is damaged, or holds more than weights"),
        ("x.safetensors", b"not a checkpoint at all", r"'.*x.safetensors' is not a readable safetensors file"),
        ("x.ckpt", HDF5 + bytes(80), r"'.*x.ckpt' is an HDF5 file, .*; rename it so that it ends in \.h5"),
        ("x.tar", b"", r"a PyTorch checkpoint ends in .*\.pth\.tar, .*Received: '.*x\.tar'"),
    ],
    ids=["kind", "missing", "empty", "damaged", "damaged-safetensors", "hdf5", "tar"],
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


ONES = torch.ones(2, 3)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # Torch's, of beta and old types
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: ONES.to_sparse(), "a sparse tensor (torch.sparse_coo)"),
        (lambda: ONES.to_sparse_csr(), "a sparse tensor (torch.sparse_csr)"),
        (lambda: torch.empty(2, 3, device="meta"), "a tensor on the meta device, without values"),
        (lambda: torch.quantize_per_tensor(ONES, 0.1, 0, torch.qint8), "a quantised tensor"),
        (lambda: torch.nested.nested_tensor([ONES, ONES]), "a nested tensor"),
        (lambda: torch.empty(2, dtype=torch.float4_e2m1fn_x2), "a tensor of packed 4-bit numbers"),
        (lambda: ONES + 1j, "a complex tensor"),
    ],
    ids=["sparse", "csr", "meta", "quantised", "nested", "float4", "complex"],
)
@pytest.mark.parametrize("stored", [False, True], ids=["dict", "file"])
def test_a_tensor_that_is_no_dense_array_of_real_numbers_is_refused_by_name(tmp_path, make, kind, stored):
    state = {**STATE, "fc.weight": make()}
    with pytest.raises(ConversionError, match=re.escape(f"Received: {kind} for 'fc.weight'.")) as raised:
        if stored:
            torch.save(state, tmp_path / "x.pth")
            read_checkpoint(tmp_path / "x.pth")
        else:
            state_of(state)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "array",
    [np.ones(2) + 1j, np.array(["x"]), np.array([None]), np.zeros(2, [("a", "f4")]), np.array(["2020-01-01"], "M8")],
    ids=["complex", "string", "object", "structure", "date"],
)
def test_an_array_that_holds_no_real_numbers_is_refused_by_name(array):
    with pytest.raises(ConversionError, match=r"wanted dense tensors of real numbers .*Received: a .* for 'fc.bias'"):
        state_of({**STATE, "fc.bias": array})


def test_an_array_of_jax_or_another_library_with_bfloat16_is_read():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    np.testing.assert_array_equal(state_of({"a": np.ones(2, ml_dtypes.bfloat16)})["a"], np.ones(2, "float32"))


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state}], ids=["plain", "nested"])
@pytest.mark.parametrize("name", [0, ("conv", 1), None], ids=repr)
def test_names_that_are_not_strings_are_refused(wrap, name):
    with pytest.raises(ConversionError, match=rf"wanted names that are strings.*Received: {re.escape(repr(name))}\."):
        state_of(wrap({"conv.weight": ONES, name: ONES}))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "complex64"])
def test_a_safetensors_file_of_numbers_that_numpy_lacks_is_refused(tmp_path, dtype):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"fc.weight": ONES.to(getattr(torch, dtype))}, tmp_path / "x.safetensors")
    with pytest.raises(ConversionError, match=r"x\.safetensors'.*(type that NumPy lacks.*float8|a complex64 array)"):
        read_checkpoint(tmp_path / "x.safetensors")


# ---------------------------------------------------------------------------------------------------------------------
# timm's resnetblur50 and resnetaa50: names and shapes of ResNet-50, another arithmetic.


def named(folder):
    return folder / "resnetblur50-84f4748f.pth"


def described(folder):
    (folder / "config.json").write_text('{"architecture": "resnetaa50", "num_classes": 1000}')
    return folder / "pytorch_model.pth"


@pytest.mark.parametrize(
    ("place", "extra", "by"),
    [
        (named, {}, "is of 'resnetblur50-84f4748f.pth', by its name"),
        (described, {}, r"is of 'resnetaa50', by '.*config.json'"),
        (lambda folder: folder / "x.pth", {"arch": "resnetaa101d"}, "is of 'resnetaa101d', by its 'arch'"),
    ],
    ids=["name", "config", "arch"],
)
def test_a_network_that_blurs_is_refused_where_the_file_says_so(tmp_path, place, extra, by):
    path = place(tmp_path)
    torch.save({"state_dict": STATE, **extra}, path)
    with pytest.raises(ConversionError, match=rf"{by}: that network blurs before it halves the image"):
        read_checkpoint(path)


def test_a_network_that_blurs_is_refused_where_the_metadata_or_the_dict_say_so(tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(STATE, tmp_path / "model.safetensors", metadata={"format": "pt", "model": "seresnetaa50"})
    with pytest.raises(ConversionError, match="is of 'seresnetaa50', by its metadata 'model'"):
        read_checkpoint(tmp_path / "model.safetensors")
    with pytest.raises(ConversionError, match="the state dict is of 'resnetblur50', by its 'arch'"):
        load_torch_weights(None, {"state_dict": STATE, "arch": "resnetblur50"})


@pytest.mark.parametrize("config", ['{"architecture": "resnet50"}', "[1]", "no JSON", '{"arch": 3}'])
def test_files_that_say_something_else_are_read(tmp_path, config):
    save_file = pytest.importorskip("safetensors.torch").save_file
    (tmp_path / "config.json").write_text(config)
    torch.save({"state_dict": STATE, "arch": "resnet50"}, tmp_path / "resnet50-blurred_images.pth")
    holds_the_state(read_checkpoint(tmp_path / "resnet50-blurred_images.pth"))
    save_file(STATE, tmp_path / "model.safetensors", metadata={"format": "pt"})
    read_checkpoint(tmp_path / "model.safetensors")
