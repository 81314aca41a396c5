"""Fine-tuning: training that begins from a file, frozen parts, and learning rates by part."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters.statistics import Statistics, normalized, normalizing
from keras_resunits.serving.classifiers import save_classifier
from train import evaluate, export
from train.evaluation.networks import checkpoint_network, chosen_checkpoint
from train.process.errors import BadInput
from train.run.folder import Run
from train.settings.config import fingerprint_of, read
from train.settings.resolving import resolve
from train.settings.sections import Recipe
from train.step.initial import initial_network
from train.step.optimizer import LossScale, optimizer
from train.step.parts import freeze, frozen_in_words, rate_factors

SHAPE = (8, 8, 1)


def silent(text: str) -> None:
    """Take no notice of what is told."""


def saved(model: keras.Model, path):
    """The path of a saved model."""
    model.save(path)
    return path


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A `.keras` file of a PreActResNet-8 of two classes without one of its three units."""
    whole = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2)
    model = kr.surgery.prune(whole, by="random", keep=2).model
    return saved(model, tmp_path_factory.mktemp("initial") / "pruned.keras")


def test_a_run_begins_from_a_file_and_resumes_without_it(command, files, pruned, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    mine = tmp_path / "mine.keras"
    mine.write_bytes(pruned.read_bytes())
    line = (f"--dataset={data}", f"--output={tmp_path}", f"--initial_model={mine}", "--freeze=stem,unit000")
    line = (*line, "--rates=unit*=0.5,classifier=2", "--run=fine")
    first = command(*line, "--epochs=1", "--noexport")
    assert first.code == 0, first.err
    told = f"train: begins from {mine}: the head of 2 classes is kept; pixels: expects those normalised by the training"
    assert first.err.count(told) == 1 and "train: frozen: " in first.err
    run = Run(tmp_path, "fine")
    began = keras.saving.load_model(mine)
    trained = checkpoint_network(run, chosen_checkpoint(run)).model
    before = {weight.path: weight.numpy() for weight in began.weights}
    same = {weight.path: np.array_equal(weight.numpy(), before[weight.path]) for weight in trained.weights}
    kept = [path for path in same if path.startswith(("stem/", "unit000/"))]
    assert kept and all(same[path] for path in kept), same  # moving statistics too
    assert not any(same[path] for path in same if path.endswith("kernel") and path not in kept)
    config = read(run.config)
    assert config.network.model is None and config.initial_digest in (run.folder / "config.json").read_text()

    other = saved(kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2), tmp_path / "other.keras")
    mine.unlink()
    for changed, wrong in (
        (f"--initial_model={other}", "is not the file that the run began with"),
        ("--freeze=stem", "but the run to resume has freeze="),
    ):
        refused = command(*line, changed, "--epochs=2", "--resume")
        assert refused.code == 2 and wrong in refused.err, refused.err
    again = command(*line, "--epochs=2", "--noexport", "--resume")
    assert again.code == 0 and "begins from" not in again.err, again.err
    assert checkpoint_network(run, chosen_checkpoint(run)).model.count_params() == began.count_params()
    bare = command(f"--dataset={data}", f"--output={tmp_path}", "--run=fine", "--epochs=2", "--noexport", "--resume")
    assert bare.code == 0, bare.err
    run.initial.write_bytes(other.read_bytes())
    with pytest.raises(BadInput, match=r"initial\.keras was changed: its SHA-256 is"):
        checkpoint_network(run, chosen_checkpoint(run))
    run.initial.unlink()
    with pytest.raises(BadInput, match=r"initial\.keras is missing, and so is"):
        checkpoint_network(run, chosen_checkpoint(run))


def test_a_head_of_other_classes_is_replaced_and_a_softmax_left_out(pruned, tmp_path):
    lines: list[str] = []
    began = keras.saving.load_model(pruned)
    model = initial_network(pruned, SHAPE, 3, lines.append)
    assert model.output_shape == (None, 3) and "a new head of 3 classes replaces that of 2" in lines[0]
    for old, new in zip(began.weights[:-2], model.weights[:-2], strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    inner = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2, classifier_activation="softmax")
    path = saved(inner, tmp_path / "softmax.keras")
    logits = initial_network(path, SHAPE, 2, lines.append)
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    outputs = logits.predict(images, verbose=0)
    np.testing.assert_allclose(keras.ops.softmax(outputs), inner.predict(images, verbose=0), atol=1e-6)
    assert not np.allclose(outputs.sum(1), 1) and "without its softmax" in lines[1]


def test_a_head_is_kept_for_its_own_classes_alone(tmp_path):
    """As many classes are not the same ones: a cat's output is no dog's."""
    lines: list[str] = []
    model, path = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=3), tmp_path / "net.keras"
    save_classifier(model, path, ["eel", "cat", "dog"])
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    before = model.predict(images, verbose=0)

    def outputs(names):
        return initial_network(path, SHAPE, 3, lines.append, names).predict(images, verbose=0)

    for names in (["eel", "cat", "dog"], ["0", "1", "2"], []):
        np.testing.assert_array_equal(outputs(names), before)
        assert "the head of 3 classes is kept; pixels" in lines[-1]
    np.testing.assert_allclose(outputs(["cat", "dog", "eel"]), before[:, [1, 2, 0]], rtol=1e-6)
    assert "is kept, and its classes (eel, cat, dog) take the order of the data; pixels" in lines[-1]
    other = initial_network(path, SHAPE, 3, lines.append, ["cat", "cow", "dog"])
    assert "a new head of 3 classes replaces that of 3 (eel, cat, dog)" in lines[-1]
    assert not np.allclose(other.layers[-1].kernel, model.layers[-1].kernel)
    save_classifier(model, path, ["0", "1", "2"])
    np.testing.assert_array_equal(outputs(["cat", "dog", "eel"]), before)  # numbers are no names
    tail = keras.layers.Softmax()(model.output)
    save_classifier(keras.Model(model.input, tail), path, ["eel", "cat", "dog"])
    with pytest.raises(BadInput):
        outputs(["cat", "dog", "eel"])


@pytest.mark.slow
def test_a_run_that_begins_from_a_run_of_other_classes_resumes_and_is_evaluated(command, files, tmp_path):
    for name, classes in (("first", "0,1"), ("second", "dark,bright"), ("third", "bright,dark")):
        data = files.npz(tmp_path / f"{name}.npz")
        initial = [f"--initial_model={tmp_path}/runs/first/model.keras"] if name != "first" else ["--depth=8"]
        if name == "third":
            initial = [f"--initial_model={tmp_path}/runs/second/model.keras"]
        line = (f"--dataset={data}", f"--output={tmp_path}", f"--class_names={classes}", f"--run={name}", "--noexport")
        done = command(*line, *initial, "--epochs=1", "--batch_size=4")
        assert done.code == 0, done.err
        assert ("take the order of the data" in done.err) == (name == "third")
        again = command(*line, *initial, "--epochs=2", "--batch_size=4", "--resume")
        assert again.code == 0, again.err
        assert evaluate.entry.run([str(tmp_path / "runs" / name)]) == 0


@pytest.mark.slow
def test_a_file_that_normalises_gets_pixels_also_where_it_is_evaluated_and_exported(command, files, tmp_path):
    body = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2)
    path = saved(normalized(body, Statistics((0.4,), (0.1,))), tmp_path / "pixels.keras")
    data = files.npz(tmp_path / "set.npz")
    line = (f"--dataset={data}", f"--output={tmp_path}", f"--initial_model={path}", "--epochs=1")
    done = command(*line)
    assert done.code == 0, done.err
    assert "pixels: its layer 'normalization' normalises" in done.err and "\nexported " in done.out
    path.unlink()
    run = Run(tmp_path, "set-pixels")
    (run.saved_models / "1").rename(tmp_path / "exported")
    assert evaluate.entry.run([str(run.folder)]) == 0  # of the checkpoint
    assert export.entry.run([str(run.folder)]) == 0
    network = checkpoint_network(run, chosen_checkpoint(run))
    assert normalizing(network.model).name == "normalization"
    images = np.array(files.arrays()["x_test"], "float32")
    np.testing.assert_array_equal(network.preprocessing(images), images)


def test_what_does_not_fit_is_refused_in_one_line(command, files, pruned, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    text = tmp_path / "text.keras"
    text.write_text("no network")
    wide = saved(kr.PreActResNet(depth=8, input_shape=(16, 16, 3), classes=2), tmp_path / "wide.keras")
    sigmoid = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2, classifier_activation="sigmoid")
    sigmoid = saved(sigmoid, tmp_path / "sigmoid.keras")
    for arguments, wrong in {
        (f"--initial_model={tmp_path / 'none.keras'}",): "none.keras: there is no such file",
        ("--initial_model=/dev/zero",): "/dev/zero: there is no such file",
        (f"--initial_model={text}",): "is not a .keras file: it is not a zip archive",
        (f"--initial_model={wide}",): "takes images of 16x16x3, but those of --dataset are 8x8x1",
        (f"--initial_model={sigmoid}",): "training requires logits",
        (f"--initial_model={pruned}", "--depth=8"): "--depth=8 has no effect with --initial_model",
        (f"--initial_model={pruned}", "--precision=float32"): "--precision=float32 has no effect with --initial_model",
        ("--depth=8", "--freeze=unit9"): "--freeze: 'unit9' fits no part of the network. Did you mean 'unit",
        ("--depth=8", "--freeze=*"): "--freeze=* leaves nothing to train",
        ("--depth=8", "--freeze=*/moving_mean"): "fits only weights that are not trained, such as 'stem/norm/moving",
        ("--depth=8", "--rates=stam=2"): "--rates: 'stam' fits no part of the network. Did you mean 'stem'",
        ("--depth=8", "--freeze=stem", "--rates=stem=2"): "fits only weights that are not trained",
        ("--rates=stem=0",): "--rates must be PATTERN=FACTOR with a factor > 0",
        ("--rates=stem",): "--rates must be PATTERN=FACTOR with a factor > 0",
        ("--weights=a.keras",): "--initial_model=FILE.keras",
    }.items():
        outcome = command(f"--dataset={data}", f"--output={tmp_path / 'out'}", *arguments)
        assert outcome.code == 2 and wrong in outcome.err, (arguments, outcome.err)
    assert not (tmp_path / "out").exists()


def layers(shape, *more) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *more])


DENSE, POOL = keras.layers.Dense, keras.layers.GlobalAveragePooling2D
UNFIT = {
    "no images": (lambda: layers((4,), DENSE(2)), r"must take images \[batch, height, .*; got \(None, 4\)\.$"),
    "no classes": (lambda: layers(SHAPE, DENSE(2)), r"must return \[batch, classes\]; got \(None, 8, 8, 2\)\.$"),
    "two results": (
        lambda: keras.Model(x := keras.Input(SHAPE), [POOL()(x), POOL()(x)]),
        r"must return \[batch, classes\]; got \[",
    ),
    "two inputs": (
        lambda: keras.Model([x := keras.Input(SHAPE), y := keras.Input(SHAPE)], POOL()(x + y)),
        r"must take images \[batch, height, width, channels\]; got \[",
    ),
    "colours": (
        lambda: layers((None, None, 3), POOL(), DENSE(2)),
        r"takes images of anyxanyx3, but those of --dataset are 8x8x1; --image_size resizes images of a folder or a ",
    ),
    "sigmoids": (
        lambda: layers(SHAPE, POOL(), DENSE(2, activation="sigmoid", name="head")),
        r" with 2 outputs, for 2 classes: training requires logits, or a last layer with a .*: sigmoid \('head'\)\.$",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_network_that_does_not_fit_is_refused(what, tmp_path):
    make, line = UNFIT[what]
    path = saved(make(), tmp_path / "net.keras")
    with pytest.raises(BadInput, match=line):
        initial_network(path, SHAPE, 2, silent)


def own_loss(labels, logits):
    return keras.ops.sum(logits, -1)


def test_a_network_of_any_size_is_read_without_the_loss_that_it_was_compiled_with(tmp_path):
    model = layers((None, None, 1), POOL(), DENSE(2))
    model.compile(loss=own_loss)
    found = initial_network(saved(model, tmp_path / "net.keras"), SHAPE, 2, silent)
    assert found.output_shape == (None, 2) and not found.compiled


def test_the_digest_decides_and_the_path_does_not(parse, pruned, tmp_path):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(pruned.read_bytes())
    configs = []
    for path in (pruned, copy):
        parse(f"--initial_model={path}")
        configs.append(resolve())
    assert configs[0].fingerprint == configs[1].fingerprint and configs[0].default_run == "digits-pruned"
    assert fingerprint_of({**configs[0].flat, "initial_digest": "0" * 64}) != configs[0].fingerprint


def test_the_loss_is_scaled_where_a_files_layers_compute_in_float16(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    path = saved(kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2), tmp_path / "half.keras")
    keras.config.set_dtype_policy("float32")
    model = initial_network(path, SHAPE, 2, silent)
    assert model.get_layer("unit001").compute_dtype == "float16"
    assert isinstance(optimizer(Recipe(epochs=1), 10, model), LossScale)


def test_frozen_norms_keep_their_statistics_and_words_count_parameters():
    net = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2)
    assert frozen_in_words(net, []) == ""
    total = sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)
    freeze(net, ["stem", "unit00?/branch/conv1", "post/norm/gamma"])
    trained = {weight.path for weight in net.trainable_weights}
    assert not any(path.startswith("stem") or path.endswith(("conv1/kernel", "post/norm/gamma")) for path in trained)
    assert {"post/norm/beta", "unit000/branch/conv2/kernel", "classifier/kernel"} <= trained
    norms = {layer.path: layer.trainable for layer in net._flatten_layers() if layer.name == "norm"}
    assert norms["stem/norm"] is False and norms["post/norm"] is True
    frozen = 9 * 16 + 2 * 16 + 9 * (16 * 16 + 16 * 32 + 32 * 64) + 64
    told = f"frozen: {frozen:,} of {total:,} trainable parameters"
    assert frozen_in_words(net, ["stem", "post"]) == f"{told} (--freeze=stem,post)"
    assert frozen_in_words(net, []) == f"{told} (as in the file)"


def test_the_last_rate_that_fits_counts_and_multiplies_fixups():
    model = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2, order="fixup")
    scalar = next(iter(kr.fixup_scalars(model))).path
    recipe = Recipe(epochs=1, rates=["unit*=0.5", "unit000=0.25", "classifier=2"])
    factors = rate_factors(model, recipe.factors)
    kernels = {path.split("/")[0]: factor for path, factor in factors.items() if path.endswith("kernel")}
    assert (kernels["unit000"], kernels["unit001"], kernels["classifier"], "stem" in kernels) == (0.25, 0.5, 2, False)
    made = optimizer(recipe, 10, model)
    assert made.learning_rate_factors[scalar] == 0.1 * factors.get(scalar, 1.0)
    weights = model.trainable_variables
    before = [weight.numpy() for weight in weights]
    made.apply([keras.ops.ones(weight.shape) for weight in weights], weights)
    steps = {w.path: float(np.abs(w.numpy() - old).max()) for w, old in zip(weights, before, strict=True)}
    assert steps["unit000/branch/conv1/kernel"] == pytest.approx(steps["unit001/branch/conv1/kernel"] / 2, rel=1e-3)
