"""Training that begins from weights of other programs: `--initial_model=NETWORK:WEIGHTS`."""

from __future__ import annotations

import json
import re
import shutil

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters.keras_applications import APPLICATIONS
from keras_resunits.converters.statistics import STATISTICS
from train import compress, evaluate, export, fit, predict
from train.evaluation.networks import checkpoint_network, chosen_checkpoint
from train.process.errors import BadInput
from train.run.folder import Run
from train.settings.config import read
from train.settings.conversion import Conversion
from train.settings.resolving import resolve
from train.step.conversion import _published, converted
from train.step.initial import keras_file

SHAPE = (8, 8, 3)
IMAGENET = tuple(255 * np.array(each) for each in (STATISTICS["imagenet"].mean, STATISTICS["imagenet"].deviation))


def pixels(count: int = 2, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype("float32")


def made(conversion: Conversion, of: str | None, classes: int, file, shape=SHAPE) -> tuple[keras.Model, str]:
    """The network that a conversion writes, and the line that it tells."""
    lines: list[str] = []
    converted(conversion, of, shape, classes, file, lines.append)
    (line,) = lines
    return keras_file(file), line


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """`(weights file, network)` of a ResNet-20 of five classes, written by this package."""
    keras.utils.set_random_seed(3)
    model = kr.create("resnet20_cifar", input_shape=SHAPE, classes=5)
    path = tmp_path_factory.mktemp("weights") / "net.weights.h5"
    model.save_weights(path)
    return path, model


@pytest.fixture
def colours(files, tmp_path):
    """A data set of colour images in three classes."""
    return files.npz(tmp_path / "colours.npz", **files.arrays(shape=SHAPE, classes=3))


def test_a_file_of_weights_becomes_a_network_that_takes_pixels(own, tmp_path):
    path, theirs = own
    conversion = Conversion("resnet20_cifar", str(path))
    model, line = made(conversion, "0.5,0.4,0.3/0.2,0.25,0.5", 5, tmp_path / "a.keras")
    wanted = theirs((pixels() / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.25, 0.5]))
    np.testing.assert_allclose(model(pixels()), wanted, atol=1e-4 * np.abs(wanted).max())
    assert line == (
        f"begins from {conversion} (layout keras_resunits): the head of 5 classes is kept; pixels: normalised by mean "
        "0.5, 0.4, 0.3 and deviation 0.2, 0.25, 0.5 (--initial_pixels)"
    )
    assert [weight.path for weight in model.weights] == [weight.path for weight in theirs.weights]


def test_a_head_of_other_classes_is_new_and_data_leave_the_pixels_to_the_run(own, tmp_path):
    path, theirs = own
    model, line = made(Conversion("resnet20_cifar", str(path)), "data", 3, tmp_path / "a.keras", shape=(12, 10, 3))
    assert model.input_shape[1:] == (12, 10, 3) and model.output_shape == (None, 3)
    assert "a new head of 3 classes replaces that of 5; pixels: normalised by the statistics of the training" in line
    for old, new in zip(theirs.weights[:-2], model.weights[:-2], strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())


@pytest.mark.parametrize(
    ("network", "prepare"),
    [
        ("keras_resnet50", keras.applications.resnet.preprocess_input),
        ("keras_resnet50v2", keras.applications.resnet_v2.preprocess_input),
        ("keras_densenet121", keras.applications.densenet.preprocess_input),
    ],
)
@pytest.mark.slow
def test_weights_of_keras_applications_get_pixels_as_their_authors_prepare_them(
    network, prepare, tmp_path, monkeypatch
):
    name = next(each for each in APPLICATIONS.values() if f"keras_{each.lower()}" == network)
    theirs = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=1000)
    monkeypatch.setattr(keras.applications, name, lambda **_: theirs)  # in the place of a download
    model, line = made(Conversion(network, "imagenet"), None, 1000, tmp_path / "a.keras", shape=(64, 64, 3))
    wanted = keras.ops.log(theirs(prepare(pixels(side=64))))
    found = keras.ops.log_softmax(model(pixels(side=64)))
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert "(assumed, as keras publishes; --initial_pixels states another)" in line


@pytest.mark.peers
def test_a_checkpoint_of_a_library_is_normalised_as_the_library_publishes(tmp_path):
    torch = pytest.importorskip("torch")
    from tests.support import torch_networks

    theirs = torch_networks.randomized(torch_networks.AkamasterResNet([3, 3, 3], classes=3))
    torch.save(theirs.state_dict(), tmp_path / "net.th")
    conversion = Conversion("akamaster_resnet20", str(tmp_path / "net.th"))
    model, line = made(conversion, None, 3, tmp_path / "a.keras")
    wanted = torch_networks.logits(theirs, ((pixels() - IMAGENET[0]) / IMAGENET[1]).astype("float32"))
    np.testing.assert_allclose(model(pixels()), wanted, atol=1e-4 * np.abs(wanted).max())
    assert line.endswith(
        f"normalised by {STATISTICS['imagenet']} (assumed, as akamaster publishes; --initial_pixels states another)"
    )
    other = torch_networks.randomized(torch_networks.AkamasterResNet([3, 3, 3], classes=3, option="B"))
    torch.save(other.state_dict(), tmp_path / "other.th")
    with pytest.raises(
        BadInput, match=r"^--initial_model=akamaster_resnet20:.*weights are left over in layout"
    ) as error:
        made(Conversion("akamaster_resnet20", str(tmp_path / "other.th")), None, 3, tmp_path / "b.keras")
    assert "\n" not in str(error.value) and not (tmp_path / "b.keras").exists()


@pytest.mark.peers
@pytest.mark.slow
def test_a_run_begins_from_a_checkpoint_of_torch(command, colours, tmp_path):
    torch = pytest.importorskip("torch")
    from tests.support import torch_networks

    theirs = torch_networks.randomized(torch_networks.AkamasterResNet([3, 3, 3], classes=3))
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "net.th")
    named = f"--initial_model=akamaster_resnet20:{tmp_path / 'net.th'}"
    done = command(f"--dataset={colours}", f"--output={tmp_path}", named, "--epochs=1", "--noexport", "--run=mine")
    assert done.code == 0, done.err
    told = (
        f"train: begins from akamaster_resnet20:{tmp_path / 'net.th'} (layout akamaster_resnet): the head of 3 classes"
    )
    assert done.err.count(told) == 1
    began = keras_file(Run(tmp_path, "mine").initial)
    wanted = torch_networks.logits(theirs, ((pixels() - IMAGENET[0]) / IMAGENET[1]).astype("float32"))
    np.testing.assert_allclose(began(pixels()), wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_library_states_nothing_of_weights_that_are_not_its_own(tmp_path):
    kr.create("akamaster_resnet20", input_shape=SHAPE).save_weights(tmp_path / "net.weights.h5")
    conversion = Conversion("akamaster_resnet20", str(tmp_path / "net.weights.h5"))
    wrong = r"the weights have the layout keras_resunits, so nothing states what normalised the pixels"
    with pytest.raises(BadInput, match=wrong):
        made(conversion, None, 10, tmp_path / "a.keras")
    for network, layout in (("keras_resnet50", "keras_resunits"), ("akamaster_resnet20", "torchvision_resnet")):
        with pytest.raises(ValueError, match=rf"^the weights have the layout {layout}, so nothing states"):
            _published(Conversion(network, "a.h5"), layout)


@pytest.mark.slow
def test_a_run_keeps_what_it_needs_and_ends_alike_however_often_it_is_stopped(command, own, colours, tmp_path):
    mine = tmp_path / "mine.weights.h5"
    shutil.copy(own[0], mine)
    line = (f"--dataset={colours}", f"--output={tmp_path}", f"--initial_model=resnet20_cifar:{mine}")
    line = (*line, "--initial_pixels=imagenet", "--epochs=2", "--noexport")
    whole = command(*line, "--run=whole")
    assert whole.code == 0, whole.err
    assert (
        whole.err.count("begins from resnet20_cifar:") == 1
        and "a new head of 3 classes replaces that of 5" in whole.err
    )
    run = Run(tmp_path, "whole")
    config = read(run.config)
    assert config.network.initial_pixels == "imagenet" and config.initial_copy != config.initial_digest
    assert read(run.config).initial_known == config.initial_copy

    again = Run(tmp_path, "again")  # as if it had been stopped before its first checkpoint
    again.folder.mkdir()
    for file in (run.config, run.data, run.initial):
        shutil.copy(file, again.folder)
    mine.unlink()
    refused = command(*line, f"--initial_model=resnet32_cifar:{mine}", "--run=again", "--resume")
    assert refused.code == 2 and "but the run to resume has initial_model=resnet20_cifar:" in refused.err
    shutil.copy(again.folder / "data.json", mine)
    refused = command(*line, "--run=again", "--resume")
    assert refused.code == 2 and "is not the file that the run began with" in refused.err
    mine.unlink()
    resumed = command(*line, "--run=again", "--resume")
    assert resumed.code == 0 and "begins from" not in resumed.err, resumed.err
    states = [re.search(r"^state +(\w+)", each.out, re.MULTILINE)[1] for each in (whole, resumed)]
    assert states[0] == states[1]

    assert evaluate.entry.run([str(run.folder)]) == 0
    assert export.entry.run([str(run.folder)]) == 0
    assert predict.entry.run([str(run.folder), str(run.example), f"--output={tmp_path / 'out.csv'}"]) == 0
    network = checkpoint_network(run, chosen_checkpoint(run))
    np.testing.assert_array_equal(network.preprocessing(pixels()), pixels())  # its first layer normalises them
    assert compress.entry.run([str(run.folder), "--by=ratio", "--epochs=1"]) == 0
    run.initial.unlink()
    with pytest.raises(BadInput, match=r"initial\.keras is missing: restore it \(SHA-256 "):
        checkpoint_network(run, chosen_checkpoint(run))


@pytest.mark.slow
def test_a_trained_network_keeps_its_accuracy(command, tmp_path):
    record = kr.pretrained("preactresnet20:digits")
    kr.create(record.name).save_weights(tmp_path / "digits.weights.h5")
    pixels = f"--initial_pixels={record.mean[0]}/{record.std[0]}"
    named = f"--initial_model=preactresnet20_cifar:{tmp_path / 'digits.weights.h5'}"
    still = ("--learning_rate=1e-9", "--weight_decay=0", "--epochs=1", "--freeze=*norm*")  # with their statistics
    done = command(named, pixels, *still, f"--output={tmp_path}", "--noexport")
    assert done.code == 0, done.err
    found = re.search(r"test accuracy ([\d.]+)%\n", done.out)[1]
    assert float(found) == pytest.approx(100 * record.accuracy, abs=0.3)


@pytest.mark.long
def test_two_workers_begin_from_the_weights_that_two_devices_begin_from(spawn, own, colours, tmp_path):
    line = (f"--dataset={colours}", f"--output={tmp_path}", f"--initial_model=resnet20_cifar:{own[0]}", "--noexport")
    line = (*line, "--initial_pixels=imagenet", "--epochs=1", "--batch_size=8")
    outcomes = [
        spawn("-m", "train.launch", "--workers=2", "--", *line, "--run=workers"),
        spawn("-m", "train", *line, "--run=devices", "--cpu_devices=2", "--strategy=mirrored"),
    ]
    assert [each.code for each in outcomes] == [0, 0], outcomes
    states = [re.search(r"state +(\w+) ", each.out)[1] for each in outcomes]
    assert states[0] == states[1]
    assert outcomes[0].out.count("begins from") == 1  # only the first worker prints


@pytest.mark.slow
def test_fit_begins_from_weights_in_half_precision(own, colours, tmp_path):
    options = {"initial_model": f"resnet20_cifar:{own[0]}", "initial_pixels": "data", "precision": "mixed_bfloat16"}
    run = fit(colours, output=tmp_path, epochs=1, **options)
    assert run.folder.name == "colours-resnet20_cifar"
    assert json.loads((run.folder / "config.json").read_text())["precision"] == "mixed_bfloat16"
    trained = keras_file(run.folder / "initial.keras")
    assert trained.get_layer("unit001").compute_dtype == "bfloat16"
    assert run.predict(pixels().astype("uint8")).shape == (2, 3)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_cannot_be_begun_from_is_refused_in_one_line(command, own, colours, tmp_path):
    file, _ = own
    whole = tmp_path / "whole.keras"
    kr.PreActResNet(depth=8, input_shape=SHAPE).save(whole)
    prepared = [tmp_path / f"prepared.{ending}" for ending in ("keras", "h5")]
    for each in prepared:
        keras.Sequential([keras.Input(SHAPE), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]).save(each)
    named = f"--initial_model=resnet20_cifar:{file}"
    for arguments, wrong in {
        ("--initial_model=resnet50.pth",): "has weights but no network: pass NETWORK:WEIGHTS, such as torchvision_resn",
        ("--initial_model=torchvision_resent50:a.pth",): "unknown model 'torchvision_resent50'. Did you mean 'torchvis",
        ("--initial_model=torchvision_resnet50:none.pth",): "no such file: 'none.pth'",
        (f"--initial_model=torchvision_resnet50:{colours}",): "weights end in .pt, .pth,",
        ("--initial_model=keras_resnet50:imagnet",): "WEIGHTS must be a file or imagenet; got imagnet",
        ("--initial_model=preactresnet20:digit",): "no trained network 'preactresnet20:digit'. Did you mean 'preact",
        (f"--initial_model=resnet20_cifar:{file}",): "nothing states what normalised the pixels that these weights",
        (named, "--initial_pixels=imagenett"): "--initial_pixels must be imagenet, cifar10, caffe, data, or MEAN/DEV",
        (named, "--initial_pixels=0.5,0.5/1"): "expected 1 or 3 numbers, one for each channel of the images",
        (f"--initial_model=resnet32_cifar:{file}", "--initial_pixels=data"): "wanted 15 units, got 9",
        ("--initial_model=resnet20_cifar:imagenet", "--initial_pixels=data"): "ImageNet's weights fit keras_resnet50,",
        ("--initial_model=keras_resnet50:imagenet",): "images must be at least 32x32",
        (f"--initial_model=resnet20_cifar:{whole}",): f"has a network of its own: pass --initial_model={whole}",
        (f"--initial_model={whole}", "--initial_pixels=imagenet"): "--initial_pixels=imagenet is for NETWORK:WEIGHTS",
        ("--initial_pixels=imagenet",): "--initial_pixels=imagenet has no effect without --initial_model",
        **{
            (f"--initial_model=keras_resnet50:{each}",): "the file's network has a layer Rescaling, which prepares its"
            for each in prepared
        },
        (named, "--depth=8"): "--depth=8 has no effect with --initial_model",
    }.items():
        outcome = command(f"--dataset={colours}", f"--output={tmp_path / 'out'}", *arguments)
        assert outcome.code == 2 and wrong in outcome.err, (arguments, outcome.err)
        assert len(outcome.said) == 1, outcome.said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_without_a_connection_nothing_is_left(spawn, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(shape=(32, 32, 3)))
    nowhere = {
        "KERAS_HOME": str(tmp_path / "home"),
        "https_proxy": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    line = [f"--dataset={data}", f"--output={tmp_path / 'out'}", "--initial_model=keras_resnet50:imagenet"]
    outcome = spawn("-m", "train", *line, **nowhere)
    assert outcome.code == 2
    assert outcome.said[-1].startswith(f"train: {line[-1]}: ImageNet's weights of ResNet50 are not in Keras' cache")
    assert "Traceback" not in outcome.err and not (tmp_path / "out").exists()


def test_content_and_network_decide_and_the_path_does_not(parse, own, tmp_path):
    shutil.copy(own[0], tmp_path / "copy.weights.h5")
    found = []
    for network, path in (
        ("resnet20_cifar", own[0]),
        ("resnet20_cifar", tmp_path / "copy.weights.h5"),
        ("resnet32_cifar", own[0]),
    ):
        parse(f"--initial_model={network}:{path}", "--initial_pixels=data")
        found.append(resolve())
    assert found[0].fingerprint == found[1].fingerprint != found[2].fingerprint
    assert found[0].default_run == "digits-resnet20_cifar"
