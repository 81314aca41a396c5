"""`--remat` and `--jit_compile` change memory and time, and may change from start to resume."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from benchmarks.remat import COUNTING
from keras_resunits import PreActResNet
from keras_resunits.models.rematerialized import remat_of
from tests.support.paths import ROOT, python_path
from tests.support.processes import finished
from train.process.errors import BadInput
from train.run.history import read_history
from train.settings.sections import Network
from train.step.network import network


def state(outcome) -> str:
    """The hash of the state that a run ended with."""
    assert outcome.code == 0, outcome.err
    (found,) = re.findall(r"state +([0-9a-f]{12}) ", outcome.out)
    return found


@pytest.fixture
def small(files, tmp_path) -> list[str]:
    """The command line of a run of two steps an epoch."""
    data = files.npz(tmp_path / "set.npz")
    return ["--depth=8", f"--dataset={data}", f"--output={tmp_path}", "--batch_size=8", "--export=none"]


@pytest.mark.slow
def test_a_run_begun_without_remat_resumes_with_it_and_the_reverse_to_the_same_bits(command, small, tmp_path):
    small.append("--tail=stochastic_depth")  # the second pass drops the same branches
    begun = [command(*small, "--epochs=1", "--run=a"), command(*small, "--epochs=1", "--run=b", "--remat=2")]
    ended = [
        command(*small, "--epochs=2", "--resume", "--run=a", "--remat=2"),
        command(*small, "--epochs=2", "--resume", "--run=b"),
    ]
    for pair in (begun, ended):
        assert len({state(outcome) for outcome in pair}) == 1
    assert state(begun[0]) != state(ended[0])
    saved = [(tmp_path / "runs" / run / "config.json").read_text() for run in "ab"]
    assert saved[0] == saved[1] and '"remat"' not in saved[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "most", "most_of_norms"),
    [(["--depths=38"], 0.45, 0.7), (["--model=DenseNet", "--block=", "--depths=40"], 0.35, 0.75)],
)
def test_a_step_allocates_less(chosen, most, most_of_norms):
    """By TensorFlow's allocator; segments take the least, and norms alone less than nothing recomputed."""
    peaks = {}
    for remat in ("none", "3", "norms"):
        options = (*chosen, "--batch=16", f"--remat={remat}", "--alone=tensors")
        line = [sys.executable, "-m", "benchmarks.remat", "-", *options]
        environment = {**os.environ, "PYTHONPATH": python_path(), "TF_CPP_MIN_LOG_LEVEL": "3", **COUNTING}
        done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
        peaks[remat] = json.loads(done.stdout.splitlines()[-1])["tensors"]
    assert peaks["3"] < most * peaks["none"] and peaks["norms"] < most_of_norms * peaks["none"], peaks


@pytest.mark.long  # tests/laws/test_replicas.py has the step
def test_two_devices_in_mixed_precision_recompute_to_the_same_bits(small):
    line = [*small, "--epochs=1", "--cpu_devices=2", "--precision=mixed_bfloat16"]
    outcomes = [finished("train", *line, f"--run=run{i}", *remat) for i, remat in enumerate(([], ["--remat=auto"]))]
    assert len({state(outcome) for outcome in outcomes}) == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--remat=0"], r"`remat` must be a number of units > 0, .*Received: remat=0 \(--remat\)"),
        (["--remat=-2"], r"Received: remat=-2 \(--remat\)"),
        (["--remat=twice"], r"'unit', 'auto' or 'norms'\. Received: remat='twice' \(--remat\)"),
        (["--remat=4"], r"at most the number of units, 3\. Received: remat=4 \(network 'preactresnet8'\)"),
        (["--remat=norms", "--model=ResNet", "--order=fixup"], r"remat='norms' requires normalisations"),
    ],
)
def test_a_remat_that_cannot_be_is_refused_in_one_line(command, small, flags, line):
    outcome = command(*small, *flags)
    assert outcome.code == 2
    (said,) = outcome.said
    assert re.search(line, said), said


@pytest.mark.slow
def test_a_step_compiled_for_several_devices_is_refused_in_one_line(small):
    outcome = finished("train", *small, "--jit_compile", "--cpu_devices=2")
    assert outcome.code == 2
    assert outcome.said == [
        "train: --jit_compile requires one device, got 2 (2 logical CPU devices); pass --strategy=default."
    ]


@pytest.mark.slow
def test_a_compiled_run_trains_as_one_that_is_not(command, small, tmp_path):
    outcomes = [command(*small, "--epochs=1", "--run=a"), command(*small, "--epochs=1", "--run=b", "--jit_compile")]
    assert state(outcomes[0]) != state(outcomes[1])  # rounding: XLA was there
    plain, compiled = (read_history(tmp_path / "runs" / run / "history.csv") for run in "ab")
    for name in ("loss", "accuracy", "learning_rate", "gradient_norm"):
        np.testing.assert_allclose(compiled[name], plain[name], rtol=1e-4, err_msg=name)


@pytest.fixture
def of_file(files, tmp_path) -> list[str]:
    """The command line of a run that begins from a network of three units, which drops branches."""
    PreActResNet([1, 1, 1], (8, 8, 1), 2, tail="stochastic_depth").save(tmp_path / "net.keras")
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", f"--output={tmp_path}", "--batch_size=8", "--epochs=1", "--noexport"]
    return [*line, f"--initial_model={tmp_path / 'net.keras'}"]


@pytest.mark.slow
def test_a_network_of_a_file_recomputes_to_the_same_bits(command, of_file):
    kept = command(*of_file, "--run=kept")
    assert state(kept) == state(command(*of_file, "--run=again", "--remat=2"))


def test_a_network_of_a_file_gets_the_setting_and_keeps_its_weights(of_file, tmp_path):
    given = keras.saving.load_model(tmp_path / "net.keras")
    found = network(Network(), (8, 8, 1), 2, tmp_path / "net.keras", remat="2")
    assert (remat_of(given), remat_of(found)) == (None, 2)
    for ours, theirs in zip(found.weights, given.weights, strict=True):
        assert ours.path == theirs.path
        np.testing.assert_array_equal(ours, theirs)


def test_a_network_of_a_file_without_norms_before_weights_is_refused(tmp_path):
    PreActResNet([1, 1, 1], (8, 8, 1), 2, order="fixup").save(tmp_path / "net.keras")
    with pytest.raises(BadInput, match=r"--remat=norms: the network of --initial_model has no normalisation that prec"):
        network(Network(), (8, 8, 1), 2, tmp_path / "net.keras", remat="norms")


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--remat=4", "train: --remat=4: the network of --initial_model has 3 units."),
        ("--remat=0", "train: `remat` must be a number of units > 0, 'unit', 'auto' or 'norms'. Received: remat=0"),
    ],
)
def test_a_network_of_a_file_that_cannot_is_refused_in_one_line(command, of_file, flag, line):
    outcome = command(*of_file, flag)
    assert outcome.code == 2 and outcome.said[-1].startswith(line), outcome.err


def test_a_network_without_units_is_refused_in_one_line(command, of_file, tmp_path):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(layers).save(tmp_path / "net.keras")
    outcome = command(*of_file, "--remat=auto")
    wanted = "train: --remat=auto: surgery requires a network of this package, a chain of layers"
    assert outcome.code == 2 and outcome.said[-1].startswith(wanted), outcome.err
