"""The command line: a file in, a file out, and one line with exit code 2 for what the user can mend."""

import pickle
import warnings

import keras
import numpy as np
import pytest

from keras_resunits.converters.__main__ import main
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.loading import loader

torch = pytest.importorskip("torch")
from tests.support import torch_networks as theirs  # noqa: E402
from tests.support.processes import finished  # noqa: E402

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file of ResNet-20 as akamaster publishes them, and its network."""
    network = theirs.randomized(theirs.AkamasterResNet([3, 3, 3], classes=10))
    path = tmp_path_factory.mktemp("checkpoints") / "resnet20.th"
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, path)
    return path, network


def test_a_checkpoint_becomes_a_keras_file_that_answers_alike(checkpoint, tmp_path, capsys):
    source, network = checkpoint
    output = tmp_path / "resnet20.keras"
    assert main([str(source), "--model", "akamaster_resnet20", "--output", str(output)]) == 0
    assert capsys.readouterr().out == (
        f"{source} (akamaster_resnet) -> {output}: akamaster_resnet20, 271,098 parameters\n"
    )
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    wanted = theirs.logits(network, x)
    np.testing.assert_allclose(keras.models.load_model(output)(x), wanted, atol=1e-4 * np.abs(wanted).max(), rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["resnet20.keras"]


def test_a_source_is_checked_before_any_network_is_built(tmp_path):
    for source in (tmp_path / "nowhere.pth", tmp_path / "nowhere.h5"):
        with pytest.raises(ConversionError, match=r"^no such file: '.*nowhere"):
            loader(source)
    assert callable(loader("imagenet"))


def test_statistics_are_written_into_the_keras_file(checkpoint, tmp_path, capsys):
    source, network = checkpoint
    output = tmp_path / "x.keras"
    argv = [str(source), "--model", "akamaster_resnet20", "--output", str(output), "--mean", "imagenet"]
    assert main(argv) == 0
    said = "; takes pixels 0..255, normalised by mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225\n"
    assert capsys.readouterr().out.endswith(f"271,098 parameters{said}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    normalised = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    wanted = theirs.logits(network, normalised.astype("float32"))
    np.testing.assert_allclose(keras.models.load_model(output)(pixels), wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"--mean": "0.5"}, "--mean and --std must both be numbers, or one name: imagenet, cifar10, caffe."),
        ({"--mean": "0.5,0.5", "--std": "0.5"}, "expected 1 or 3 numbers, one for each channel of the images."),
        ({"SRC": "nowhere.pth"}, "no such file: 'nowhere.pth'."),
        ({"SRC": "x.onnx"}, ".pth.tar, .ckpt, .bin, .safetensors, .h5, .hdf5, .keras, or are 'imagenet'."),
        ({"--model": "akamaster_resent20"}, "unknown model 'akamaster_resent20'. Did you mean 'akamaster_resnet20'"),
        ({"--output": "x.h5"}, "--output must end in .keras. Received: 'x.h5'."),
        ({"--output": "no/such/folder/x.keras"}, "--output must lie in a folder that exists."),
        ({"--output": "EXISTING"}, "exists; --overwrite replaces it."),
        ({"--output": "/proc/x.keras", "SRC": "/"}, "--output cannot be written, '/proc/x.keras': "),
        ({"--output": f"{'x' * 300}.keras"}, "File name too long"),
        ({"--output": "FOLDER", "--model": "nothing"}, "--output must be a file. Received: the folder '"),
        ({"--layout": "tochvision"}, "argument --layout: invalid choice: 'tochvision'"),
        ({"--layout": "torchvision_resnet"}, "than those of layout 'torchvision_resnet'"),
        ({"SRC": "imagenet", "--layout": "torchvision_resnet"}, "a layout is for PyTorch checkpoints."),
        ({"--input-shape": "32,32"}, "argument --input-shape: expected H,W,C, got '32,32'"),
        ({"--input-shape": "2,2,3"}, "`input_shape` must be at least 4x4"),
        ({"--classes": "7"}, "wanted (64, 7), got (64, 10) for 'classifier/kernel' from 'linear.weight'"),
        ({"--classes": "0"}, "`classes` must be a positive int"),
        ({"--model": "pytorchcv_preresnet20"}, "wanted a stem of conv norm ReLU, got conv."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(checkpoint, tmp_path, capsys, change, line):
    existing = tmp_path / "existing.keras"
    existing.write_text("dear")
    folder = tmp_path / "folder.keras"
    folder.mkdir()
    arguments = {"SRC": str(checkpoint[0]), "--model": "akamaster_resnet20", "--output": str(tmp_path / "x.keras")}
    places = {"EXISTING": str(existing), "FOLDER": str(folder)}
    arguments |= {name: places.get(value, value) for name, value in change.items()}
    argv = [arguments.pop("SRC"), *(word for pair in arguments.items() for word in pair)]
    try:
        code = main(argv)
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("converters: ") and err.count("\n") == 1 and line in err
    assert {path.name for path in tmp_path.iterdir()} == {"existing.keras", "folder.keras"}
    assert existing.read_text() == "dear"


def test_all_that_is_left_over_is_told_below_the_line(checkpoint, tmp_path, capsys):
    argv = [str(checkpoint[0]), "--model", "akamaster_resnet32", "--output", str(tmp_path / "x.keras")]
    assert main(argv) == 2
    line, *names = capsys.readouterr().err.splitlines()
    assert line.startswith("converters: weights are left over in layout ") and line.endswith(" and 48 more.")
    each = [f"  missing layer{stage}.{unit}." for stage in (1, 2, 3) for unit in (3, 4)]  # two units more a stage
    assert all(sum(name.startswith(prefix) for name in names) == 10 for prefix in each)
    assert len(names) == 60


class Anything:
    """What no list of weights is made of."""


def pickled(path, content):
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            pickled,
            "holds more than weights (wanted a file of `torch.save(net.state_dict(), ...)`): Unsupported operand 149.",
        ),
        (
            lambda path, content: torch.save({"net": Anything()}, path),
            "Unsupported global: GLOBAL tests.converters.test_command.Anything.",
        ),
        (
            lambda path, content: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path),
            "is a TorchScript program (wanted a file of `torch.save(net.state_dict(), ...)`).",
        ),
    ],
    ids=["pickle", "global", "script"],
)
def test_a_file_of_another_kind_is_refused_without_torchs_warnings_and_advice(tmp_path, capfd, write, reason):
    write(tmp_path / "x.pth", {"a": 1})
    argv = [str(tmp_path / "x.pth"), "--model", "akamaster_resnet20", "--output", str(tmp_path / "x.keras")]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("converters: '") and err.endswith(f"{reason}\n") and err.count("\n") == 1
    assert "\x1b" not in err and "weights_only" not in err and "Warning" not in err


def test_a_file_is_overwritten_where_the_user_says_so(checkpoint, tmp_path):
    output = tmp_path / "x.keras"
    output.write_text("old")
    argv = [str(checkpoint[0]), "--model", "akamaster_resnet20", "--output", str(output), "--overwrite"]
    assert main(argv) == 0
    assert keras.models.load_model(output).output_shape == (None, 10)


@pytest.mark.slow
def test_the_module_runs_and_tells_what_it_wants(tmp_path):
    asked = finished("keras_resunits.converters", "--help")
    for word in ("SRC", "--model", "--output", "torchvision_resnet50", "examples:"):
        assert word in asked.out
    output = str(tmp_path / "x.keras")
    bad = finished("keras_resunits.converters", "nowhere.pth", "--model", "akamaster_resnet20", "--output", output)
    assert (bad.code, bad.out) == (2, "")
    assert bad.err.endswith("converters: no such file: 'nowhere.pth'.\n") and "Traceback" not in bad.err
