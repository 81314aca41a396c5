"""Objects of the user's own: in an experiment's file, or named on the command line."""

from __future__ import annotations

import re
import shutil

import keras
import numpy as np
import pytest

import keras_resunits as kr
from tests.support.configs import changed
from train import evaluate, export, fit
from train.evaluation.networks import checkpoint_network, chosen_checkpoint
from train.process.errors import BadInput
from train.run.folder import Run
from train.settings.config import Config, fingerprint_of, read
from train.settings.references import module_of, realized
from train.settings.resolving import resolve
from train.settings.sections import Network, Recipe
from train.step.network import network
from train.step.optimizer import optimizer, schedule

SHORTCUT = '''
import keras
import keras_resunits as kr


def halved(slot, order):
    """Half of what passes, and zeros for new channels."""
    scale = keras.layers.Rescaling(0.5, name="scale")
    return keras.Sequential([kr.zero_pad(slot, order), scale], name="shortcut")
'''
EXPERIMENT = (
    SHORTCUT
    + """

def config():
    return {"depth": 8, "batch_size": 8, "shortcut": halved}
"""
)
KINDS = """
import functools

import keras
import keras_resunits as kr


def small(input_shape, classes, depth=8):
    return kr.ResNet(depth=depth, input_shape=input_shape, classes=classes)


def squared(labels, logits):
    return keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True) ** 2


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print("heard", epoch, "images_per_second" in logs)
        self.model.stop_training = epoch == 1


def config():
    return {
        "model": small,
        "epochs": 5,
        "batch_size": 8,
        "optimizer": functools.partial(keras.optimizers.Lion, weight_decay=0.01),
        "learning_rate": 0.001,
        "schedule": lambda rate, updates: keras.optimizers.schedules.PolynomialDecay(rate, updates),
        "loss": squared,
        "callbacks": [Stop()],
        "augment": [keras.layers.RandomRotation(0.1), keras.layers.RandomErasing()],
    }
"""
UNITS = """
import keras
import keras_resunits as kr

order = kr.FullPreAct()
number = 3


def half_dropped(slot):
    return [kr.Dropout(0.5, name="dropout")]


def cut(slot):
    return kr.Add(name="merge")


def flat(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten()])


def made():
    return [keras.layers.RandomFlip(), keras.layers.RandomZoom(0.1)]
"""


@pytest.fixture
def written(tmp_path):
    """`written(text)` writes a file of the user's own."""

    def written(text: str, name: str = "mine.py"):
        path = tmp_path / "own" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return written


def state(outcome) -> str:
    """The state that a run reports."""
    assert outcome.code == 0, outcome.err
    return re.search(r"^state +(\w+)", outcome.out, re.MULTILINE)[1]


def shortcuts(model) -> set[str]:
    return {part.name for unit in model.layers if isinstance(unit, kr.Unit) for part in unit.shortcut.layers}


@pytest.mark.slow
def test_a_users_shortcut_trains_resumes_evaluates_and_exports_without_its_file(command, files, written, tmp_path):
    data, mine = files.npz(tmp_path / "set.npz"), written(EXPERIMENT)
    line = (f"--dataset={data}", f"--output={tmp_path}", "--noexport", "--run=mine")
    first = command(*line, f"--config={mine}", "--epochs=1")
    assert first.code == 0 and "  shortcut        mine.py:config().shortcut\n" in first.out, first.err
    mine.unlink()
    again = command(*line, "--resume", "--epochs=2")
    assert again.code == 0, again.err
    run = Run(tmp_path, "mine")
    assert "scale" in shortcuts(checkpoint_network(run, chosen_checkpoint(run)).model)
    assert evaluate.entry.run([str(run.folder)]) == 0
    assert export.entry.run([str(run.folder)]) == 0
    assert kr.load(run.folder).predict(files.arrays()["x_test"]).shape == (8, 2)


@pytest.mark.slow
@pytest.mark.parametrize("given", [(), ("--augment=keras_cv:GridMask",)], ids=["keras", "keras_cv"])
def test_a_resumed_run_ends_as_an_unbroken_one(command, files, written, tmp_path, given):
    if given:
        pytest.importorskip("keras_cv")
    data, mine = files.npz(tmp_path / "set.npz", **files.arrays(train=32)), written(KINDS)
    line = (f"--dataset={data}", f"--output={tmp_path}", "--noexport", f"--config={mine}", *given)
    whole = command(*line, "--run=mine", "--checkpoint_every=2", "--keep=9")
    assert "heard 0 True\n" in whole.out and "heard 1 True\n" in whole.out
    assert "epoch 2/5" in whole.out and "epoch 3/5" not in whole.out  # the callback ended it
    run = Run(tmp_path, "mine")
    first, *later = sorted(run.checkpoints.glob("step-*"))
    assert 0 < int(first.name[5:]) < 4  # within the first epoch
    for path in later:
        shutil.rmtree(path)
    run.history.unlink()
    assert state(command(*line, "--run=mine", "--resume")) == state(whole)


@pytest.mark.slow
def test_objects_are_named_on_the_command_line(command, files, written, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    units = written(SHORTCUT + UNITS, "units.py")
    line = (f"--dataset={data}", f"--output={tmp_path}", "--noexport", "--run=named", "--depth=8", "--batch_size=8")
    line = (*line, f"--shortcut={units}:halved", "--optimizer=keras:AdamW", "--learning_rate=0.001")
    line = (*line, f"--augment={units}:made,keras:RandomContrast(0.2)", "--callbacks=keras:TerminateOnNaN")
    assert command(*line, "--epochs=1").code == 0
    saved = read(Run(tmp_path, "named").config)
    assert (saved.network.shortcut, saved.recipe.optimizer) == ("units.py:halved", "keras:AdamW")
    assert command(*line, "--epochs=2", "--resume").code == 0
    units.write_text(units.read_text() + "\n")
    changed = command(*line, "--epochs=3", "--resume")
    assert changed.code == 2 and "units.py is not the file that the run began with: its SHA-256" in changed.err
    units.unlink()
    assert command(*line, "--epochs=3", "--resume").code == 0
    kept = Run(tmp_path, "named").folder / "code" / "units.py"
    text = kept.read_text()
    kept.write_text(text + "#")
    broken = command("--run=named", f"--output={tmp_path}", "--resume")
    assert broken.code == 2 and "code/units.py was changed: its SHA-256 is" in broken.err
    kept.unlink()
    gone = command("--run=named", f"--output={tmp_path}", "--resume")
    assert gone.code == 2 and "code/units.py is missing, which holds objects of the run: restore it" in gone.err
    assert len(gone.said) == 1


def test_every_slot_of_a_unit_takes_an_object(written):
    path = written(SHORTCUT + UNITS, "units.py")
    names = {"shortcut": "halved", "order": "order", "tail": "half_dropped", "merge": "cut"}
    chosen = Network(depth=8, **{option: f"units.py:{name}" for option, name in names.items()})
    model = network(realized(chosen, {"units.py": path}), (8, 8, 1), 2)
    unit = next(layer for layer in model.layers if isinstance(layer, kr.Unit))
    assert any(layer.name == "dropout" for layer in unit._flatten_layers())
    assert shortcuts(model) >= {"scale"}


def test_the_digest_of_the_file_decides_and_its_path_does_not(parse, written, tmp_path):
    configs = []
    for name, text in (("a", EXPERIMENT), ("b", EXPERIMENT), ("c", EXPERIMENT + "\n")):
        (tmp_path / "own" / name).mkdir(parents=True)
        parse(f"--config={written(text, f'{name}/mine.py')}")
        configs.append(resolve())
    first, same, other = (config.fingerprint for config in configs)
    assert first == same != other
    assert fingerprint_of({**configs[0].flat, "code": None}) != first


def test_runs_of_earlier_versions_keep_their_fingerprints():
    assert changed(Config(), epochs=1, batch_size=8).fingerprint == "2ff4a04200b1"
    other = changed(Config(), epochs=40, depth=110, mixup=0.2, optimizer="nadam")
    assert other.fingerprint == "a54a92d3f94f"


@pytest.mark.slow
def test_an_experiment_that_has_changed_is_reported_and_the_copy_counts(command, files, written, tmp_path):
    data, mine = files.npz(tmp_path / "set.npz"), written(EXPERIMENT)
    line = (f"--dataset={data}", f"--output={tmp_path}", "--noexport", f"--config={mine}", "--run=mine")
    assert command(*line, "--epochs=1").code == 0
    mine.write_text(EXPERIMENT.replace("0.5", "0.25"))
    again = command(*line, "--epochs=2", "--resume")
    assert again.code == 0 and f"train: {mine} has changed: the run keeps the objects of its copy.\n" in again.err
    run = Run(tmp_path, "mine")
    model = checkpoint_network(run, chosen_checkpoint(run)).model
    scale = next(layer for layer in model._flatten_layers() if layer.name == "scale")
    assert scale.scale == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--shortcut=nowhere.py:halved"], r"--shortcut=nowhere\.py:halved: there is no file nowhere\.py\."),
        (["--shortcut={units}:halvd"], r"units\.py has no 'halvd'\. Did you mean 'halved'\?"),
        (["--shortcut=nowhere.units:halved"], r"nowhere\.units cannot be imported: ModuleNotFoundError"),
        (["--shortcut={units}:number"], r"`shortcut` must be one of .*, or a function `\(Slot, Order\) -> Layer`"),
        (["--model={units}:flat"], r"flat\(\) must return a network from \(None, 8, 8, 1\) to \(None, 2\); got"),
        (["--model={units}:flat", "--depth=8"], r"flat\(\): got an unexpected keyword argument 'depth'"),
        (["--optimizer={units}:number"], r"--optimizer must be a function or a Keras optimizer; got 3\."),
        (["--optimizer={units}:flat"], r"must take \(learning_rate\): missing a required argument: 'classes'"),
        (["--optimizer={units}:half_dropped"], r"--optimizer must make a Keras Optimizer; got list\."),
        (["--schedule={units}:flat"], r"--schedule: <function flat at .*>: ValueError: Cannot convert"),
        (["--optimizer=keras:AdamW", "--momentum=0.5"], r"--momentum=0\.5 has no effect with --optimizer=keras:AdamW"),
        (["--optimizer=keras:AdamV"], r"keras\.optimizers has no 'AdamV'\. Did you mean 'Adam'|'AdamW'"),
        (["--optimizer=keras:AdamW", "--order=fixup"], r"Fixup's scalars require a tenth of the rate"),
        (["--callbacks={units}:number"], r"--callbacks must be Keras callbacks; got 3\."),
        (["--loss={units}:cut"], r"--loss: TypeError for labels int64 \[3\]: .*takes 1 positional argument"),
        (["--loss={units}:number"], r"--loss: TypeError for labels int64 \[3\]: 'int' object is not callable"),
        (["--loss=keras.ops:add"], r"--loss: "),
        (["--augment={units}:number"], r"--augment must be Keras layers; got 3\."),
        (["--augment=keras:RandomRotation"], r"missing 1 required positional argument: 'factor'"),
        (["--augment=keras:RandomRotation(x)"], r"--augment=keras:RandomRotation\(x\): ValueError"),
        (["--augment=keras:MixUp"], r"--augment: MixUp changes labels too, .*: --mixup\."),
        (["--augment=keras:AugMix"], r"--augment: aug_mix.* draws random numbers that are not of its own generators"),
        (["--augment=keras:RandomCrop(height=4)"], r"RandomCrop\(height=4\): TypeError: .*'width'"),
        (["--augment=keras:Flatten"], r"--augment: flatten.* must keep the shape \(4, 8, 8, 1\); got \(4, 64\)"),
        (["--tail=a.py:b:"], r"unknown tail 'a\.py:b:'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(command, files, written, tmp_path, arguments, line):
    units = written(SHORTCUT + UNITS, "units.py")
    data = files.npz(tmp_path / "set.npz")
    given = [each.format(units=units) for each in arguments]
    outcome = command(f"--dataset={data}", f"--output={tmp_path / 'out'}", *given)
    assert (outcome.code, len(outcome.said)) == (2, 1), outcome.err
    assert re.search(line, outcome.said[0]), outcome.said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_optimiser_with_a_rate_of_its_own_keeps_it_and_says_so(command, files, written, tmp_path):
    mine = written(
        "import keras\n\n\ndef config():\n    return {'depth': 8, 'optimizer': keras.optimizers.Adam(0.003)}\n"
    )
    data = files.npz(tmp_path / "set.npz")
    done = command(f"--dataset={data}", f"--config={mine}", f"--output={tmp_path}", "--epochs=1", "--noexport")
    assert done.code == 0 and "--learning_rate and --schedule have no effect" in done.err
    assert "0.003" in Run(tmp_path, "mine").history.read_text()


def test_functions_make_optimiser_and_schedule():
    recipe = Recipe(
        epochs=1, learning_rate=0.5, optimizer=keras.optimizers.AdamW, schedule=keras.optimizers.schedules.CosineDecay
    )
    rate = schedule(recipe, 100)
    assert [round(float(rate(step)), 3) for step in (0, 50, 100)] == [0.5, 0.25, 0.0]
    made = optimizer(recipe, 100, keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    assert isinstance(made, keras.optimizers.AdamW) and float(made.learning_rate) == 0.5


@pytest.mark.slow
def test_fit_takes_what_can_be_found_again_and_refuses_the_rest(files, tmp_path):
    arrays = files.arrays()
    train, test = ((arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test"))
    run = fit(
        train, test=test, output=tmp_path, depth=8, epochs=1, shortcut=kr.projection, optimizer=keras.optimizers.Lion
    )
    assert read(run.folder / "config.json").network.shortcut == "keras_resunits.units.shortcuts:projection"
    with pytest.raises(BadInput, match=r"shortcut=.*<lambda>: only this session has it.*shortcut='FILE\.py:NAME'"):
        fit(train, test=test, output=tmp_path, shortcut=lambda slot, order: None)
    assert np.isfinite(run.history["loss"][0])


@pytest.mark.slow
def test_fit_takes_callbacks_of_the_session(command, files, tmp_path):
    """As a notebook defines them; they are passed again to resume, and nothing else requires them."""

    class Told(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.heard = []

        def on_epoch_end(self, epoch, logs=None):
            self.heard.append(logs["val_loss"])

    arrays = files.arrays()
    train, test = ((arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test"))
    told = [Told(), Told()]
    options = {"test": test, "output": tmp_path, "run": "told", "depth": 8, "ema": 0.9}
    callbacks = [*told, keras.callbacks.TerminateOnNaN(), "keras:TerminateOnNaN"]
    run = fit(train, epochs=1, callbacks=callbacks, **options)
    assert [each.heard for each in told] == [run.history["val_loss"]] * 2
    names = ["<session>:Told", "<session>:Told_2", "<session>:TerminateOnNaN", "keras:TerminateOnNaN"]
    assert read(run.folder / "config.json").recipe.callbacks == names
    again = fit(train, epochs=2, callbacks=callbacks, resume=True, **options)
    assert [len(each.heard) for each in told] == [2, 2] and again.history["epoch"] == [1, 2]
    missing = r"^callbacks=<session>:Told: only the Python session that began .* Pass it again: fit\(\.\.\., callbacks="
    with pytest.raises(BadInput, match=missing):
        fit(train, epochs=3, resume=True, **options)
    lines = command("--run=told", f"--output={tmp_path}", "--resume", "--epochs=3")
    assert lines.code == 2 and "--callbacks=<session>:Told: only the Python session" in lines.err
    assert len(lines.said) == 1
    alone = fit(train, epochs=1, callbacks=Told(), **options | {"run": "alone"})
    assert again.export().name == "1" and alone.evaluate()["images"] == len(test[0])
    with pytest.raises(BadInput, match=r"^callbacks must be Keras callbacks; got 3\."):
        fit(train, callbacks=3, **options | {"run": "three"})


@pytest.mark.slow
def test_objects_that_fit_refuses_are_told_another_way(files, tmp_path):
    arrays = files.arrays()
    train = arrays["x_train"], arrays["y_train"]
    for options, way in (
        (
            {"augment": [keras.layers.RandomRotation(0.1)]},
            r"as text: augment='keras:RandomRotation\(\.\.\.\)'\. Or put it",
        ),
        ({"optimizer": keras.optimizers.AdamW(0.01)}, r"as text: optimizer='keras:AdamW\(\.\.\.\)'\. Or put it"),
        (
            {"tail": lambda slot: []},
            r"resumed\. Put it into a file \(in a notebook, by %%writefile FILE\.py\), and pass tail=",
        ),
    ):
        with pytest.raises(BadInput, match=way):
            fit(train, validation=0.2, output=tmp_path, **options)


def test_a_file_of_objects_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Mine: pass\n")
    first = module_of(path, "--shortcut")
    assert module_of(path, "--tail") is first
    path.write_text("class Mine: pass  # changed\n")
    assert module_of(path, "--shortcut") is not first
