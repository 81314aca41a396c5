"""Random flags with random values: each command line is accepted, or answered in one line, and soon."""

from __future__ import annotations

import random
import subprocess

import pytest

from tests.support.processes import begun
from train.settings.flags import defined

VALUES = (
    *("", " ", "0", "1", "-1", "2", "3.5", "-0.5", "1e400", "nan", "inf", "1" * 23, "0x10", "1,2", ",", "0.5,0.1"),
    *("true", "nonsense", "None", "~", "..", "/proc/self", "[a]", "a\\b", "ä\u202e", "a" * 5000, "gs://bucket/x"),
    *("{}", "--depth=8", "$(ls)", "%s", "pad", "cosine", "mirrored", "PreActResNet", "digits"),
)
NOWHERE = "there-is-no-such-set.npz"  # the data are read last: who reaches them has accepted all flags
LIMIT_S = 60
LIBRARIES = ("tpu", "worker_timeout", "startup_timeout")  # wait for machines that there are not, as they should


def drawn(seed: int) -> list[str]:
    """One to three flags with values."""
    draw = random.Random(seed)
    names = [flag.name for flag in defined() if flag.name not in LIBRARIES]
    return [f"--{name}={draw.choice(VALUES)}" for name in draw.sample(names, draw.randint(1, 3))]


def sort(arguments: list[str], output) -> str:
    """Run a command line; return "accepted" or "refused", or what is wrong with the answer."""
    base = [f"--output={output}", "--depth=8", "--model=ResNet", f"--dataset={output}/{NOWHERE}"]
    try:
        outcome = begun("train", *base, *arguments).ended(LIMIT_S)
    except subprocess.TimeoutExpired:
        return "hang"
    if "Traceback" in outcome.err:
        return f"traceback: {outcome.err[-2000:]}"
    if outcome.code != 2:
        return f"exit code {outcome.code}: {outcome.err[-2000:]}"
    own = [line for line in outcome.said if line.startswith("train: ")]
    if len(own) != len(outcome.said) or not own:
        return f"not one line: {outcome.said}"
    return "accepted" if NOWHERE in own[-1] else "refused"


def check(seeds, tmp_path) -> set[str]:
    """Fail with each answer that is neither; return the kinds of answer there were."""
    answers = {seed: sort(drawn(seed), tmp_path) for seed in seeds}
    wrong = {seed: (drawn(seed), answer) for seed, answer in answers.items() if answer not in ("accepted", "refused")}
    assert wrong == {}
    return set(answers.values())


@pytest.mark.slow
def test_some_random_flags(tmp_path):
    assert sort([], tmp_path) == "accepted"
    assert "refused" in check(range(7), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("block", range(100))
def test_many_random_flags(tmp_path, block):
    check(range(20 * block, 20 * block + 20), tmp_path)
