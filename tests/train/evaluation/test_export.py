"""`python -m train.export`: a run's newest state and `.keras` files, served as they were trained."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import PreActResNet
from keras_resunits.converters.statistics import STATISTICS, normalized
from keras_resunits.serving.classifiers import save_classifier
from tests.support.configs import changed
from tests.support.serving import answers_tf2, pixels
from tests.train.conftest import Files, Outcome
from train.data.datasets import load
from train.evaluation.classifiers import Classifier
from train.evaluation.exporting import require_exportable
from train.export import entry
from train.process.errors import BadInput
from train.run.checkpoints import Checkpoints, Position
from train.settings.config import Config, read
from train.settings.sections import Serving, Source
from train.step.average import Average
from train.step.network import network
from train.step.optimizer import optimizer

pytestmark = pytest.mark.slow

NAMES = ["dark", "bright"]


@pytest.fixture
def export(capsys):
    """`export("MODEL", ...)` is `python -m train.export MODEL ...` in this process."""

    def export(*arguments) -> Outcome:
        capsys.readouterr()
        return Outcome(entry.run([str(argument) for argument in arguments]), *capsys.readouterr())

    return export


def metadata(version: Path) -> dict:
    return json.loads((version / "metadata.json").read_text())


def run_of(folder: Path) -> tuple[Path, keras.Model]:
    """A run with two checkpoints, as `python -m train` writes them, and the network that the newer one averages to."""
    data = load(Source(dataset=str(Files.npz(folder / "set.npz"))))
    config = changed(Config(), dataset=str(folder / "set.npz"), depth=8, ema=0.5, epochs=2)
    config = config.resolved(data.image_shape, data.train_count, NAMES)
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    config.save(run / "config.json")
    keras.utils.set_random_seed(0)
    model = network(config.network, data.image_shape, len(NAMES))
    sgd = optimizer(config.recipe, 10, model)
    average = Average(model, sgd, 0.5)
    told = {"run": config.run_identity, "data": data.digest, "image_shape": [8, 8, 1], "class_names": NAMES}
    told |= {"mean": [100.0], "variance": [2500.0]}
    checkpoints = Checkpoints(run / "checkpoints", model, sgd, average, 3, 0, told)
    for step in (1, 2):
        average.averages[-1].assign([step, 0.0])  # the classifier's bias
        tested = {"val_accuracy": 0.25, "val_ema_accuracy": 0.5}
        assert checkpoints.save(Position(epoch=step, step=step, tested=tested))
    average.put_in()
    return run, model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("work"))


def wanted(model, images, mean=0.0, deviation=1.0) -> np.ndarray:
    scaled = ((images.astype(np.float32) - mean) / deviation).astype(np.float32)
    return tf.nn.softmax(model(scaled, training=False)).numpy()


def test_a_run_is_exported_from_its_newest_checkpoint_as_it_was_trained(run, export, monkeypatch):
    folder, model = run
    monkeypatch.chdir(folder.parents[1])
    outcome = export("mine", "--top_k=1", "--batch_sizes=1,2", "--keep=1", "--kit")
    assert (outcome.code, outcome.said) == (0, []), outcome.err
    root = folder.parents[1] / "saved_models" / "mine"
    assert sorted(path.name for path in root.iterdir()) == ["1", "kit"]
    title = f"checkpoint {folder}/checkpoints/step-00000002, averaged weights: 7 norms folded into weights, 0 left\n"
    assert outcome.out.startswith(title)
    assert re.search(
        rf"^exported +{root}/1 \(its answers differ .* at most \de-\d\d\)\nkit +{root}/kit$", outcome.out, re.M
    )
    images = pixels((3, 8, 8, 1))
    found = answers_tf2(root / "1", images)
    np.testing.assert_allclose(found["probabilities"], wanted(model, images, 100, 50), rtol=1e-4, atol=1e-6)
    assert found["classes"].shape == (3, 1) and set(found["classes"].ravel()) <= {b"dark", b"bright"}
    told, config = metadata(root / "1"), read(folder / "config.json")
    assert (told["step"], told["accuracy"], told["class_names"], told["batch_sizes"]) == (2, 0.5, NAMES, [1, 2])
    assert told["configuration"]["fingerprint"] == config.fingerprint and told["configuration"]["depth"] == 8
    card = (root / "1" / "MODEL.md").read_text()
    for row in (f"| data | {config.source.dataset} |", f"| data digest | {told['data_digest']} |", "| ema | 0.5 |"):
        assert row in card.splitlines()
    assert "| image_size |" not in card  # an option that is not given
    again = export(folder, "--keep=1", f"--class_names={','.join('ab')}", f"--output={root}")
    assert again.code == 0, again.err
    assert sorted(path.name for path in root.iterdir()) == ["2", "kit"]
    assert metadata(root / "2")["class_names"] == ["a", "b"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with networks that expect raw, self-normalised and normalised pixels, and with what is none."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(0)
    model = PreActResNet(8, (8, 8, 3), 4)
    model.save(folder / "net.keras")
    normalized(model, STATISTICS["cifar10"]).save(folder / "own.keras")
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.Lambda(lambda x: x[:, 0, 0])(images)).save(folder / "lambda.keras")
    several = keras.Model(images, [keras.layers.Flatten()(images), keras.layers.GlobalAveragePooling2D()(images)])
    several.save(folder / "several.keras")
    (folder / "broken.keras").write_bytes(b"no model")
    (folder / "empty").mkdir()
    changed(Config(), epochs=1).save(folder / "empty" / "config.json")
    return folder, model


CIFAR = 255 * np.array(STATISTICS["cifar10"].mean), 255 * np.array(STATISTICS["cifar10"].deviation)


@pytest.mark.parametrize(
    ("name", "options", "statistics"),
    [
        ("own", [], CIFAR),
        ("net", ["--mean=cifar10"], CIFAR),
        ("net", ["--mean=0.5", "--std=0.25"], (127.5, 63.75)),
        ("net", ["--normalize=none"], (0.0, 1.0)),
    ],
    ids=str,
)
def test_a_keras_file_is_exported_with_the_pixels_that_it_expects(name, options, statistics, files, export, tmp_path):
    folder, model = files
    outcome = export(folder / f"{name}.keras", f"--output={tmp_path}/served", "--batch_sizes=1", *options)
    assert outcome.code == 0, outcome.err
    images = pixels((3, 8, 8, 3))
    found = answers_tf2(tmp_path / "served" / "1", images)["probabilities"]
    np.testing.assert_allclose(found, wanted(model, images, *statistics), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nowhere",), r"nowhere must be a run \(config\.json\) or a \.keras file"),
        (("{tmp}",), r"must be a run"),
        (("broken.keras",), r"broken\.keras is not a \.keras file: it is not a zip archive"),
        (("empty",), r"empty has no undamaged checkpoint to export"),
        (("net.keras",), r"no layer of net\.keras normalises pixels: pass --mean and --std .*, or --normalize=none"),
        (("net.keras", "--mean=0.5"), r"--mean and --std must both be numbers"),
        (("own.keras", "--mean=cifar10"), r"but its layer 'normalization' normalises"),
        (("net.keras", "--normalize=none", "--mean=cifar10"), r"but --normalize=none is given"),
        (
            ("empty", "--mean=cifar10"),
            r"--mean, --std, --normalize, --dataset are for a \.keras file; empty has its own",
        ),
        (("own.keras", "--class_names=a,b"), r"own\.keras: `class_names` must hold 4 names"),
        (("own.keras", "--class_names=a,b,c,a"), r"own\.keras: `class_names` must all be different"),
        (("own.keras", "--top_k=5"), r"own\.keras: `top_k` must be an int in 1\.\.4"),
        (("own.keras", "--head=sigmoid"), r"own\.keras: `head` contradicts model"),
        (("own.keras", "--batch_sizes=2,1"), r"own\.keras: `batch_sizes` must be positive ints"),
        (
            ("own.keras", "--batch_sizes=2,x"),
            r"--batch_sizes: expected an integer above 0, .* got 'x'",
        ),
        (
            ("own.keras", "--serving_precision=bfloat16"),
            r"--serving_precision and --formats require images .* pass --dataset",
        ),
        (("own.keras", "--accuracy_tolerance=2"), r"--accuracy_tolerance must be >= 0 and <= 1, got 2\.0"),
        (("own.keras", "--keep=0"), r"--keep: expected an integer above 0, .* got '0'"),
        (("own.keras", "--output=a*b"), r"--output=a\*b contains \*"),
        (("several.keras",), r"several\.keras must return \[batch, classes\]"),
        (("lambda.keras",), r"lambda\.keras cannot be read: "),
        ((), r"the following arguments are required: RUN\|MODEL\.keras"),
    ],
    ids=" ".join,
)
def test_bad_input_is_answered_in_one_line_and_leaves_nothing(arguments, line, files, export, monkeypatch):
    folder, _ = files
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    outcome = export(*(argument.format(tmp=folder) for argument in arguments))
    assert outcome.code == 2
    (said,) = outcome.said
    assert said.startswith("export: ") and re.search(line, said), said
    assert sorted(folder.rglob("*")) == before


def test_a_run_in_bfloat16_is_measured_and_refused_if_it_loses_more_than_allowed(run, export, monkeypatch, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "runs" / "mine")
    asked = (folder, "--serving_precision=bfloat16", "--batch_sizes=1", "--top_k=1")
    outcome = export(*asked)
    assert outcome.code == 0, outcome.err
    version = tmp_path / "saved_models" / "mine" / "1"
    assert re.search(r"^accuracy +float32 \d+\.\d\d%, bfloat16 \d+\.\d\d% \(\d+ test images\)$", outcome.out, re.M)
    assert metadata(version)["precision"] == "bfloat16"
    monkeypatch.setattr("train.evaluation.exporting.asked", by_brightness)
    outcome = export(*asked)
    assert outcome.code == 2
    *_, said = outcome.said
    assert re.search(r"bfloat16 loses more than --accuracy_tolerance=0\.005: .* Nothing is exported", said), said
    assert [path.name for path in version.parent.iterdir()] == ["1"]
    outcome = export(*asked, "--accuracy_tolerance=1")
    assert outcome.code == 0, outcome.err


def test_classes_in_another_order_than_the_data_s_are_measured_by_name(export, tmp_path):
    images = keras.Input((8, 8, 1))
    scaled = keras.layers.Conv2D(4, 1, kernel_initializer="ones")(keras.layers.Rescaling(1 / 128, -1)(images))
    dense = keras.layers.Dense(2)
    model = keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(scaled)))
    dense.set_weights([np.full((4, 2), [1.0, -1.0]), np.zeros(2)])  # bright, dark
    save_classifier(model, tmp_path / "net.keras", ["1", "0"])
    data = Files.npz(tmp_path / "set.npz")  # 0 is dark
    asked = (f"--dataset={data}", "--serving_precision=bfloat16", "--batch_sizes=1", f"--output={tmp_path / 'served'}")
    outcome = export(tmp_path / "net.keras", *asked)
    assert outcome.code == 0, outcome.err
    assert "accuracy      float32 100.00%, bfloat16 100.00% (8 test images)" in outcome.out


def by_brightness(network) -> Classifier:
    """A classifier that is right on the test images, which the network of two saved steps is not."""
    bright = lambda images: (images.mean((1, 2, 3)) > 120).astype(int)  # noqa: E731
    return Classifier("by brightness", network.model.input_shape[1:], lambda images: np.eye(2)[bright(images)], 2)


def test_a_folder_whose_name_no_server_takes_gets_no_kit(files, export, tmp_path):
    outcome = export(files[0] / "own.keras", f"--output={tmp_path}/my net", "--batch_sizes=1", "--kit")
    assert outcome.code == 2 and f"exported      {tmp_path}/my net/1 (" in outcome.out
    assert outcome.said[0].startswith("export: --kit: `path` must end in a name of letters, digits and _ . -")


def test_a_damaged_checkpoint_is_not_exported(run, export, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "runs" / "mine")
    (folder / "checkpoints" / "step-00000002" / "state.index").write_bytes(b"no checkpoint")
    outcome = export(folder, "--batch_sizes=1")
    assert outcome.code == 0, outcome.err
    assert metadata(tmp_path / "saved_models" / "mine" / "1")["step"] == 1


def test_an_export_that_would_be_refused_is_refused_before_training():
    model = PreActResNet(8, (8, 8, 3), 4)
    require_exportable(Serving(top_k=4, head="logits"), model, 4)
    for serving, line in (
        (Serving(top_k=5), r"--top_k=5: .* in 1\.\.4"),
        (Serving(head="softmax"), "--head=softmax: `head` contradicts"),
    ):
        with pytest.raises(BadInput, match=line):
            require_exportable(serving, model, 4)
