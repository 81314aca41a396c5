"""`python -m train.evaluate` matches NumPy for every kind of classifier."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from keras_resunits import PreActResNet, ResNet, export_saved_model
from keras_resunits import load as load_classifier
from keras_resunits.converters.statistics import Statistics, normalized
from keras_resunits.serving.classifiers import save_classifier
from tests.support.configs import changed
from tests.train.conftest import Files, Outcome
from train.data.batches import test_batches
from train.data.datasets import ImageData, load
from train.evaluate import entry, parse
from train.evaluation.classifiers import open_classifier
from train.evaluation.judge import picked
from train.evaluation.judgement import SIDE, Judgement, draw_confusion, draw_mistakes
from train.process.errors import BadInput
from train.run.history import read_history
from train.settings.config import Config, read
from train.settings.sections import Source

pytestmark = pytest.mark.slow

NAMES = [f"kind {i}" for i in range(7)]
SHAPE = (8, 8, 1)


@pytest.fixture
def evaluate(capsys):
    """`evaluate("MODEL", "DATA", ...)` is `python -m train.evaluate MODEL DATA ...` in this process."""

    def evaluate(*arguments) -> Outcome:
        capsys.readouterr()
        return Outcome(entry.run([str(argument) for argument in arguments]), *capsys.readouterr())

    return evaluate


@pytest.fixture
def data(tmp_path, files) -> Path:
    """Images of seven classes."""
    return files.npz(tmp_path / "set.npz", **files.arrays(train=28, test=21, classes=7))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return PreActResNet(8, SHAPE, len(NAMES))


def expected(model, data: Path, scale=lambda images: images, split="test"):
    """`(accuracy, top-5, loss)`, computed by NumPy."""
    arrays = np.load(data)
    images, labels = scale(arrays[f"x_{split}"].astype(np.float32)), arrays[f"y_{split}"]
    logits = np.asarray(model(images, training=False), np.float64)
    log_p = (
        logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(1)[:, None]
    )
    ranks = (logits > logits[np.arange(len(labels)), labels][:, None]).sum(1)
    return (ranks == 0).mean(), (ranks < 5).mean(), -log_p[np.arange(len(labels)), labels].mean()


def results(folder: Path) -> dict:
    return json.loads((folder / "evaluation.json").read_text())


def assert_judged(folder: Path, wanted) -> None:
    found = results(folder)
    np.testing.assert_allclose([found[name] for name in ("accuracy", "top5_accuracy", "loss")], wanted, rtol=1e-4)
    assert found["accuracy"] < 1
    for name in ("confusion", "mistakes"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.format == "PNG" and min(picture.size) > 100


def test_a_keras_file_is_judged_on_normalised_pixels(evaluate, data, model, tmp_path):
    model.save(tmp_path / "net.keras")
    outcome = evaluate(tmp_path / "net.keras", data, f"--output={tmp_path / 'out'}", "--batch_size=8")
    assert outcome.code == 0, outcome.err
    train = np.load(data)["x_train"].astype(np.float64)
    wanted = expected(model, data, lambda images: (images - train.mean()) / train.std())
    assert_judged(tmp_path / "out", wanted)
    lines = outcome.out.splitlines()
    statistics = f"mean {train.mean() / 255:.4g} and deviation {train.std() / 255:.4g}"
    normalised = f"pixels normalised by the training images' {statistics}"
    assert lines[0] == f"{tmp_path}/net.keras, {normalised} on 21 test images of {data}"
    assert results(tmp_path / "out")["model"] == f"{tmp_path}/net.keras, {normalised}"
    assert f"accuracy       {wanted[0]:.2%}" in lines and f"top-5 accuracy {wanted[1]:.2%}" in lines
    assert f"loss           {wanted[2]:.4f}" in lines
    out = tmp_path / "out"
    names = ("calibration.png", "classes.csv", "confusion.png", "evaluation.json", "images.csv", "mistakes.png")
    assert lines[-1] == f"written        {', '.join(str(out / name) for name in names)}"


def test_raw_pixels_are_used_where_asked_and_for_a_model_that_rescales(evaluate, data, model, tmp_path):
    model.save(tmp_path / "net.keras")
    outcome = evaluate(
        tmp_path / "net.keras", data, f"--output={tmp_path / 'out'}", "--normalize=none", "--split=train"
    )
    assert outcome.code == 0, outcome.err
    assert_judged(tmp_path / "out", expected(model, data, split="train"))
    inputs = keras.Input(SHAPE)
    softmax = keras.layers.Softmax()(model(keras.layers.Rescaling(1 / 99)(inputs)))  # probabilities, this time
    keras.Model(inputs, softmax).save(tmp_path / "whole.keras")
    assert evaluate(tmp_path / "whole.keras", data, f"--output={tmp_path / 'out2'}").code == 0
    assert_judged(tmp_path / "out2", expected(model, data, lambda images: images / 99))


def test_the_given_statistics_are_used_and_printed(evaluate, data, model, tmp_path):
    model.save(tmp_path / "net.keras")
    outcome = evaluate(tmp_path / "net.keras", data, f"--output={tmp_path / 'out'}", "--mean=0.25", "--std=0.5")
    assert outcome.code == 0, outcome.err
    assert_judged(tmp_path / "out", expected(model, data, lambda images: (images / 255 - 0.25) / 0.5))
    assert "net.keras, pixels normalised by the given mean 0.25 and deviation 0.5 on 21" in outcome.out


def test_a_converted_file_is_judged_and_exported_by_the_statistics_in_it(evaluate, data, model, tmp_path):
    whole = normalized(model, Statistics((0.25,), (0.5,)))
    whole.save(tmp_path / "whole.keras")
    wanted = expected(model, data, lambda images: (images / 255 - 0.25) / 0.5)
    outcome = evaluate(tmp_path / "whole.keras", data, f"--output={tmp_path / 'out'}")
    assert "raw pixels, normalised by its layer 'normalization' (mean 0.25 and deviation 0.5) on 21" in outcome.out
    assert_judged(tmp_path / "out", wanted)
    export_saved_model(keras.saving.load_model(tmp_path / "whole.keras"), tmp_path / "served", NAMES)
    assert evaluate(tmp_path / "served", data, f"--output={tmp_path / 'out2'}").code == 0
    assert_judged(tmp_path / "out2", wanted)


def test_a_layer_inside_a_unit_does_not_normalise_pixels(evaluate, data, tmp_path):
    scaled = ResNet(8, SHAPE, len(NAMES), shortcut="constant_scaling")
    scaled.save(tmp_path / "net.keras")
    outcome = evaluate(tmp_path / "net.keras", data, f"--output={tmp_path / 'out'}")
    assert "net.keras, pixels normalised by the training images' mean" in outcome.out
    train = np.load(data)["x_train"].astype(np.float64)
    assert_judged(tmp_path / "out", expected(scaled, data, lambda images: (images - train.mean()) / train.std()))


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("net.keras", ["--mean=0.5"], "--mean and --std must both be numbers, or one name: imagenet, cifar10, caffe"),
        ("net.keras", ["--mean=127", "--std=60"], "--mean must be numbers from 0 to 1, separated by commas"),
        ("net.keras", ["--mean=", "--std="], "--mean must be numbers from 0 to 1"),
        ("net.keras", ["--mean=imagenet"], "expected 1 or 1 numbers, one for each channel"),
        ("net.keras", ["--mean=0.5", "--std=0.5", "--normalize=none"], "but --normalize=none is given"),
        ("whole.keras", ["--mean=0.5", "--std=0.5"], "but its layer 'normalization' normalises"),
        ("served", ["--mean=0.5", "--std=0.5"], "are for a .keras file; "),
    ],
)
def test_statistics_that_cannot_be_meant_are_refused(evaluate, data, model, tmp_path, name, options, text):
    if name == "served":
        export_saved_model(model, tmp_path / name)
    else:
        saved = normalized(model, Statistics((0.5,), (0.5,))) if name == "whole.keras" else model
        saved.save(tmp_path / name)
    outcome = evaluate(tmp_path / name, data, f"--output={tmp_path / 'out'}", *options)
    assert (outcome.code, outcome.out) == (2, "") and text in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.slow
def test_the_newest_version_of_a_saved_model_is_judged_with_its_names(evaluate, data, model, tmp_path, monkeypatch):
    export_saved_model(PreActResNet(8, SHAPE, 3), tmp_path / "served")
    export_saved_model(model, tmp_path / "served", NAMES)
    monkeypatch.chdir(tmp_path)
    outcome = evaluate("served", data)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("SavedModel served/2 on 21 test images")
    assert_judged(tmp_path / "evaluations" / "served", expected(model, data))
    assert re.search(r"mistaken       kind \d for kind \d, \d images?\n", outcome.out)
    assert evaluate("served/2", data).code == 0
    assert (
        results(tmp_path / "evaluations" / "served-2")["loss"] == results(tmp_path / "evaluations" / "served")["loss"]
    )


def test_classes_are_matched_by_name_where_names_agree(evaluate, data, model, tmp_path):
    export_saved_model(model, tmp_path / "served", NAMES)
    arrays = dict(np.load(data))
    order = [3, 0, 6, 1, 5, 2, 4]  # the data's class i is called NAMES[order[i]]
    for split in ("train", "test"):
        arrays[f"y_{split}"] = np.argsort(order)[arrays[f"y_{split}"]]
    np.savez(tmp_path / "moved.npz", **arrays)
    names = ",".join(NAMES[i] for i in order)
    outcome = evaluate(
        tmp_path / "served", tmp_path / "moved.npz", f"--class_names={names}", f"--output={tmp_path / 'out'}"
    )
    assert outcome.code == 0, outcome.err
    assert_judged(tmp_path / "out", expected(model, data))


def test_other_names_are_compared_in_their_order_and_that_is_printed(evaluate, data, model, tmp_path):
    export_saved_model(model, tmp_path / "served", NAMES)
    output = f"--output={tmp_path / 'out'}"
    assert "classes:" not in evaluate(tmp_path / "served", data, output).err  # numbers are no names
    outcome = evaluate(tmp_path / "served", data, output, "--class_names=a,b,c,d,e,f,g")
    assert outcome.code == 0, outcome.err
    assert_judged(tmp_path / "out", expected(model, data))
    assert "classes: the data has other names than the model; compared in their order: a = kind 0, b = k" in outcome.err


def test_images_of_no_split_are_judged_as_a_whole(evaluate, files, tmp_path):
    """A folder of classes alone, or a table of labels, in another order of classes than the network's."""
    model, path = PreActResNet(8, SHAPE, 2), tmp_path / "net.keras"
    save_classifier(model, path, ["dog", "cat"], keras.layers.Rescaling(1 / 64, -2))
    root = files.image_folder(tmp_path / "pets", train=7, test=1)
    pictures = sorted((root / "train").glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(picture)) for picture in pictures])[..., np.newaxis]
    answers = load_classifier(path).predict(images).argmax(1)
    right = np.mean([["dog", "cat"][answer] == p.parent.name for answer, p in zip(answers, pictures, strict=True)])
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(f"{p.parent.name}/{p.name},{p.parent.name}\n" for p in pictures))
    for arguments in ([root / "train"], [root / "train", f"--labels={table}"]):
        outcome = evaluate(path, *arguments, f"--output={tmp_path / 'out'}")
        assert outcome.code == 0, outcome.err
        assert "data: 2 classes, test from" in outcome.out
        found = results(tmp_path / "out")
        assert (found["images"], found["accuracy"]) == (14, pytest.approx(right))
    shutil.rmtree(root / "test")
    refused = evaluate(path, root)  # not its training images, unasked
    assert refused.code == 2 and "test is missing" in refused.err


@pytest.fixture
def run(data, command, tmp_path):
    """A run of one epoch with averaged weights; its folder."""
    line = f"--dataset={data} --depth=8 --epochs=1 --batch_size=7 --ema=0.5 --output={tmp_path} --run=mine"
    outcome = command(*line.split(), f"--class_names={','.join(NAMES)}")
    assert outcome.code == 0, outcome.err
    return tmp_path / "runs" / "mine"


@pytest.mark.slow
def test_a_run_is_judged_by_its_export_or_its_newer_checkpoint(evaluate, run, tmp_path, monkeypatch):
    history = read_history(run / "history.csv")
    monkeypatch.chdir(tmp_path)
    outcome = evaluate("mine")  # its own data, by its name
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("SavedModel saved_models/mine/1 on 21 test images")
    exported = results(run / "evaluation")
    np.testing.assert_allclose(exported["loss"], history["val_ema_loss"][0], rtol=1e-5)
    assert exported["accuracy"] == pytest.approx(history["val_ema_accuracy"][0])
    assert history["val_ema_loss"] != history["val_loss"]

    (checkpoint,) = (run / "checkpoints").iterdir()
    (tmp_path / "saved_models" / "mine" / "1" / "metadata.json").unlink()  # nothing records which state was exported
    outcome = evaluate(run, f"--output={tmp_path / 'out'}")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"checkpoint {checkpoint}, averaged weights on 21 test images")
    np.testing.assert_allclose(results(tmp_path / "out")["loss"], exported["loss"], rtol=1e-4)

    (checkpoint / "state.index").write_bytes(b"no checkpoint")
    outcome = evaluate(run)  # there is no undamaged checkpoint
    assert outcome.out.startswith(f"SavedModel {tmp_path}/saved_models/mine/1 on 21 test images")


def test_a_stated_head_is_that_of_checkpoint_file_and_export(data, command, tmp_path):
    """A linear layer does not show that its outputs are logits of independent classes."""
    line = f"--dataset={data} --depth=8 --epochs=1 --batch_size=7 --output={tmp_path} --run=mine --head=sigmoid_logits"
    outcome = command(*line.split())
    assert outcome.code == 0, outcome.err
    run, images = tmp_path / "runs" / "mine", dict(np.load(data))["x_test"].reshape(-1, *SHAPE)
    exported = open_classifier(str(run), None, "auto")
    shutil.rmtree(tmp_path / "saved_models")
    checkpoint, file = open_classifier(str(run), None, "auto"), open_classifier(str(run / "model.keras"), None, "auto")
    wanted = load_classifier(run).predict(images)
    assert wanted.sum(1).max() > 1.5 and len({exported.title, checkpoint.title, file.title}) == 3
    for classifier in (exported, checkpoint, file):
        np.testing.assert_allclose(classifier.probabilities(images), wanted, atol=1e-5)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_skipped_and_one_of_another_network_is_named(evaluate, run, tmp_path):
    (newest,) = (run / "checkpoints").iterdir()
    shutil.rmtree(tmp_path / "saved_models")
    later = run / "checkpoints" / "step-99999999"
    shutil.copytree(newest, later)
    (later / "state.index").write_bytes(b"no checkpoint")
    outcome = evaluate(run)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"checkpoint {newest}, ")
    changed(read(run / "config.json"), depth=14).save(run / "config.json")
    outcome = evaluate(run)
    assert outcome.code == 2
    assert re.match(r"evaluate: .*/checkpoints/\S+ does not fit its network or is damaged: ", outcome.said[-1])


@pytest.fixture(scope="module")
def mistaken(model, tmp_path_factory):
    """A folder with a good network, export and data, and with broken ones."""
    folder = tmp_path_factory.mktemp("mistaken")
    model.save(folder / "net.keras")
    export_saved_model(model, folder / "served", list("abcdefg"))
    (folder / "broken.keras").write_bytes(b"no model")
    Files.npz(folder / "set.npz", **Files.arrays(train=28, test=21, classes=7))
    Files.npz(folder / "three.npz", **Files.arrays(classes=3))
    Files.npz(folder / "large.npz", **Files.arrays(shape=(9, 9, 3)))
    for name, file in (("broken", "saved_model.pb"), ("garbled", "config.json"), ("empty", "config.json")):
        (folder / name).mkdir()
        (folder / name / file).write_text("no")
    changed(Config(), epochs=1).save(folder / "empty" / "config.json")
    shutil.copytree(folder / "empty", folder / "runs" / "kept-run")
    return folder


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nowhere", "digits"), r"nowhere: there is no such run, file or folder"),
        (("kept-rnu",), r"kept-rnu: there is no such run, file or folder\. Did you mean 'kept-run'\?"),
        (("runs/kept", "digits"), r"runs/kept: there is no such run, file or folder\. Did you mean 'kept-run'\?"),
        (("nowhere.keras", "digits"), r"nowhere\.keras: there is no such run, file or folder"),
        (("{tmp}", "digits"), r"{tmp} must be a run \(config\.json\), a \.keras file or a SavedModel"),
        (("{tmp}/broken", "digits"), r"broken is not a SavedModel of this program: "),
        (("{tmp}/empty", "digits"), r"empty has neither a checkpoint nor an export yet"),
        (("{tmp}/garbled",), r"garbled/config\.json cannot be read"),
        (("{tmp}/net.keras",), r"net\.keras is not a run: pass DATA, the images to evaluate it on"),
        (("{tmp}/broken.keras", "digits"), r"broken\.keras is not a \.keras file: it is not a zip archive"),
        (("{tmp}/net.keras", "digit"), r"unknown dataset 'digit'\. Did you mean 'digits'"),
        (("{tmp}/net.keras", "{tmp}/none.npz"), r"--dataset=.*none\.npz: there is no such file"),
        (("{tmp}/net.keras", "digits"), r"the data has 10 classes, but .*net\.keras, pixels normalised by .* has 7"),
        (
            ("{tmp}/served", "{tmp}/set.npz", "--class_names=a,b,c,d,x,y,z"),
            r"the data has 3 classes that .*served/1 lacks: x, y, z\.$",
        ),
        (
            ("{tmp}/served", "{tmp}/three.npz", "--class_names=x,y,z"),
            r"the data has 3 of 7 classes under other names \(x, y, z\) than .*served/1 \(a, b, c, d, e\): pass",
        ),
        (("{tmp}/net.keras", "{tmp}/large.npz"), r"expects images of 8x8x1, but .*large\.npz has 9x9x3; --image_size"),
        (("{tmp}/net.keras", "digits", "--image_size=9"), r"--image_size has no effect on the digits"),
        (
            ("{tmp}/net.keras", "digits", "--batch_size=0"),
            r"--batch_size: expected an integer above 0, .* got '0'",
        ),
        (("{tmp}/empty", "digits", "--normalize=none"), r"--normalize=none has no effect on .*empty: runs and SavedM"),
        (("{tmp}/served", "{tmp}/set.npz", "--normalize=auto"), r"--normalize=auto has no effect on .*served: runs"),
        (("{tmp}/net.keras", "digits", "--split=dev"), r"--split: invalid choice: 'dev'"),
        (("{tmp}/net.keras", "digits", "more"), r"unrecognized arguments: more"),
        ((), r"the following arguments are required: RUN\|MODEL\.keras\|SAVEDMODEL"),
        (("{tmp}/net.keras", "{tmp}/set.npz", "--output=/proc/x"), r"--output=/proc/x cannot be written to"),
    ],
)
def test_bad_input_is_answered_in_one_line_and_leaves_nothing(arguments, line, evaluate, mistaken, monkeypatch):
    monkeypatch.chdir(mistaken)
    outcome = evaluate(*(argument.format(tmp=mistaken) for argument in arguments))
    assert outcome.code == 2
    (said,) = outcome.said
    assert said.startswith("evaluate: ") and "Traceback" not in outcome.err
    assert re.search(line.replace("{tmp}", str(mistaken)), said), said
    assert not (mistaken / "evaluations").exists()


def test_help_is_printed_at_once(spawn):
    outcome = spawn("-m", "train.evaluate", "--help")
    assert (outcome.code, outcome.said) == (0, [])
    assert "RUN|MODEL.keras|SAVEDMODEL" in outcome.out and "--normalize" in outcome.out
    assert "python -m train.evaluate digits-preactresnet20" in outcome.out


def test_a_truncated_streamed_image_is_named(evaluate, files, tmp_path):
    root = files.image_folder(tmp_path / "pets", classes=tuple("abcdefg"), train=1, test=2, shape=(50, 60))
    cut = root / "test" / "b" / "1.png"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    PreActResNet(8, (8, 8, 3), len(NAMES)).save(tmp_path / "net.keras")
    flags = ("--image_size=8", "--test_view=paper", f"--output={tmp_path / 'judged'}")
    outcome = evaluate(tmp_path / "net.keras", root, *flags)
    assert outcome.code == 2, outcome.err
    assert re.match(rf"evaluate: images that cannot be used: {cut}: ", outcome.said[-1]), outcome.err


@pytest.mark.parametrize("view", ["paper", "ten_crop"])
def test_images_of_any_size_are_streamed_as_in_training(view, evaluate, files, tmp_path):
    root = files.image_folder(tmp_path / "pets", train=3, test=5, shape=(50, 60, 3))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(means)).save(tmp_path / "net.keras")
    model = keras.saving.load_model(tmp_path / "net.keras")
    outcome = evaluate(
        tmp_path / "net.keras",
        root,
        "--image_size=32",
        f"--test_view={view}",
        "--batch_size=4",
        "--output=" + str(root),
    )
    assert outcome.code == 0, outcome.err

    data = load(Source(dataset=str(root), image_size=32, test_view=view), streamed=True)
    ((images, labels, _),) = test_batches(data, 10).as_numpy_iterator()
    crops = images if images.ndim == 5 else images[:, np.newaxis]
    assert crops.shape == (10, 10 if view == "ten_crop" else 1, 32, 32, 3)
    chances = np.asarray(keras.ops.softmax(model(crops.reshape(-1, 32, 32, 3)))).reshape(*crops.shape[:2], 2).mean(1)
    found = results(root)
    assert found["images"] == 10
    np.testing.assert_allclose(found["loss"], -np.log(chances[np.arange(10), labels]).mean(), rtol=1e-5)
    assert found["accuracy"] == (chances.argmax(1) == labels).mean()


def test_the_images_of_the_mistakes_are_found_again():
    images = np.arange(11, dtype=np.uint8).repeat(4).reshape(11, 2, 2, 1)
    data = ImageData((images, np.arange(11)), (images, np.arange(11)), list("abcdefghijk"))
    numbers = np.array([10, 0, 3, 4])
    found = picked(test_batches(data, 4), numbers)
    assert [int(image[0, 0, 0]) for image in found] == numbers.tolist()


def test_a_judgement_is_counted_by_hand():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    judged = Judgement(probabilities, np.array([0, 0, 2, 1]), ["a", "b", "c"])
    assert (judged.accuracy, judged.top(1), judged.top(2), judged.top(3)) == (0.5, 0.5, 0.5, 1.0)
    assert judged.mistakes().tolist() == [1, 2]  # the truth was given 0.1, then 0.2
    assert judged.confusion().tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert judged.confused() == [("a", "c", 1), ("c", "a", 1)]
    assert judged.loss == pytest.approx(-np.log([0.6, 0.1, 0.2, 1.0]).mean())


def test_judgement_matches_scikit_learn():
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, top_k_accuracy_score

    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(9), 200), rng.integers(0, 9, 200)
    judged = Judgement(probabilities, labels, [str(i) for i in range(9)])
    np.testing.assert_array_equal(judged.confusion(), confusion_matrix(labels, judged.answers))
    assert judged.accuracy == pytest.approx(accuracy_score(labels, judged.answers))
    assert judged.top(5) == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    assert judged.loss == pytest.approx(log_loss(labels, probabilities))


@pytest.fixture
def saved(monkeypatch):
    """The figures that are written, which stay as they are."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args: (figures.append(figure), save(figure, *args)))
    return figures


def guessed(classes, images, names, right=0.8):
    """A judgement of random answers, of which so many are right."""
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, classes, images), rng.dirichlet(np.ones(classes), images)
    probabilities[np.arange(images), labels] += 9.0 * (rng.random(images) < right)
    return Judgement(probabilities / probabilities.sum(1, keepdims=True), labels, names)


def assert_apart(texts, figure):
    """No text on another, none beyond the picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    extents = [text.get_window_extent(canvas.get_renderer()).padded(-0.5) for text in texts if text.get_text()]
    assert extents and not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))
    for extent in extents:
        assert 0 <= extent.x0 <= extent.x1 <= figure.bbox.x1 and 0 <= extent.y0 <= extent.y1 <= figure.bbox.y1


@pytest.mark.parametrize(
    ("classes", "shown", "side", "points", "turn"),
    [
        (2, 2, 3.6, 9, 0),
        (10, 10, 5.5, 9, 45),
        (25, 25, 13, 9, 45),
        (100, 100, 13, 7.02, 90),
        pytest.param(1000, 100, 13, 7.02, 90, marks=pytest.mark.long),
    ],
)
def test_the_confusion_matrix_names_its_classes_on_both_axes(saved, tmp_path, classes, shown, side, points, turn):
    names = [f"a kind of $ thing with a long name, number {i}" for i in range(classes)]
    draw_confusion(guessed(classes, 5000, names), tmp_path / "confusion.png")
    (figure,) = saved
    axes, bar = figure.axes
    across, down = axes.get_xticklabels(), axes.get_yticklabels()
    for labels in (across, down):
        written = [label.get_text() for label in labels]
        assert len(written) == len(set(written)) == shown
        for text, name in zip(written, names[:: classes // shown], strict=True):
            begin, _, end = text.partition("…")
            assert name.startswith(begin) and name.endswith(end) and len(text) < len(name)
    upright = across[0].get_rotation() in (0, 90)  # slanted ones lie in each other's boxes, side by side
    assert_apart([*down, *(across if upright else across[:1]), axes.title, axes.xaxis.label, axes.yaxis.label], figure)
    assert re.fullmatch(r"accuracy \d\d\.\d\d % on 5,000 images", axes.get_title())
    assert bar.get_ylabel() == "share of the true class's images, %"
    assert bar.get_yticks().tolist() == [0, 1, 10, 50, 100]
    square, strip = (each.get_window_extent().get_points() / figure.dpi for each in (axes, bar))
    np.testing.assert_allclose(square[1] - square[0], side)
    np.testing.assert_allclose(strip, [[square[1, 0] + 0.12, square[0, 1]], [square[1, 0] + 0.32, square[1, 1]]])
    norm = axes.images[0].norm
    assert (figure.dpi, norm.gamma, norm.vmin, norm.vmax) == (120, 0.4, 0, 100)
    assert across[0].get_fontsize() == down[0].get_fontsize() == pytest.approx(points)
    assert across[0].get_rotation() == turn and bool(axes.texts) == (classes <= 25)
    with Image.open(tmp_path / "confusion.png") as picture:
        assert 500 < picture.width < 2000 and 500 < picture.height < 2000


def test_short_names_are_written_as_they_are_and_counts_differ_from_their_ground(saved, tmp_path):
    judged = Judgement(np.eye(3)[[0, 0, 0, 1, 2, 1]], np.array([0, 0, 0, 1, 2, 2]), ["cat", "dog", "cow"])
    draw_confusion(judged, tmp_path / "confusion.png")
    axes = saved[0].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "cow"]
    assert axes.get_title() == "accuracy 83.33 % on 6 images"
    (shown,) = axes.images
    for text in axes.texts:
        column, row = text.get_position()
        assert int(text.get_text()) == judged.confusion()[row, column]
        ground = shown.to_rgba(shown.get_array())[row, column, :3].mean()
        assert abs(ground - {"white": 1.0, "black": 0.0}[text.get_color()]) > 0.4
    assert len(axes.texts) == 4  # nothing is written where nothing was answered


@pytest.mark.parametrize("named", [False, True], ids=["without-names", "with-names"])
def test_the_contact_sheet_tells_how_many_are_shown_and_no_text_lies_on_another(saved, tmp_path, named):
    judged = guessed(3, 500, ["a $ class that is called something Very Long", "WWWWWWWWWWWWWWWWWWWWWWWW", "ok"])
    worst = judged.mistakes()
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (8, 8, 8, 1), dtype=np.uint8))
    images[3] = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    names = [f"test/a folder/of $/images_{i:08d}_with_long_names.jpeg" for i in range(8)] if named else None
    draw_mistakes(judged, worst[:8], images, tmp_path / "sheet.png", names)
    (figure,) = saved
    headline, *texts = figure.texts
    assert headline.get_text() == f"the 8 worst of {len(worst)} mistakes, of 500 images"
    assert len(texts) == (16 if named else 8)
    assert_apart(figure.texts, figure)
    across, down = figure.get_size_inches()
    for axes, verdict in zip(figure.axes, texts[:: 2 if named else 1], strict=True):
        box, (middle, bottom) = axes.get_position(original=True), verdict.get_position()
        assert (box.width * across, box.height * down) == pytest.approx((SIDE, SIDE))
        assert middle == pytest.approx((box.x0 + box.x1) / 2)  # what is said of an image stands close above it
        assert 0 < (bottom - box.y1) * down < 0.1 and box.x0 >= 0 and box.x1 <= 1 and box.y0 >= 0
    shown = [axes.images[0] for axes in figure.axes]
    assert [image.get_interpolation() for image in shown] == ["nearest"] * 3 + ["antialiased"] + ["nearest"] * 4
    if named:
        files = [text.get_text() for text in texts[1::2]]
        assert [file.startswith("test/") and file.endswith(".jpeg") and "…" in file for file in files] == [True] * 8


@pytest.mark.parametrize(
    ("mistaken", "headline"),
    [(1, "the only mistake, of 4 images"), (2, "all 2 mistakes, of 4 images")],
)
def test_the_contact_sheet_of_a_few_shows_all_of_them(saved, tmp_path, mistaken, headline):
    judged = Judgement(np.eye(2)[[0] * 4], np.array([0] * (4 - mistaken) + [1] * mistaken), ["yes", "no"])
    draw_mistakes(judged, judged.mistakes(), [np.zeros((8, 8, 1), np.uint8)] * mistaken, tmp_path / "sheet.png")
    assert [text.get_text() for text in saved[0].texts] == [headline, *["no\n→ yes 100%"] * mistaken]
    assert_apart(saved[0].texts, saved[0])


def test_the_data_may_follow_a_flag():
    parsed = parse(["mine", "--output", "folder", "set.npz", "--split=train"])
    assert (parsed.model, parsed.data, parsed.output, parsed.split) == ("mine", "set.npz", "folder", "train")
    with pytest.raises(BadInput, match="DATA is empty"):
        parse(["mine", "--skip_bad_images", ""])
    assert parse(["mine", "--split=train"]).data is None
