"""A timeout ends the worker that others leave waiting."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

PROGRAM = """
import time
from train.cluster.watch import Watch

watch = Watch("worker 0 of 2", first={first}, later={later})
for _ in range(3):
    with watch({what!r}):
        time.sleep(0.6)
    print("step", flush=True)
    time.sleep(0.6)  # time between two steps does not count
print("done")
"""


def watched(first: float, later: float, what: str = "a training step") -> subprocess.CompletedProcess:
    program = PROGRAM.format(first=first, later=later, what=what)
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("first", "later", "over", "flag", "steps"),
    [(0.1, 30, "0.1 s", "--startup_timeout", 0), (30, 0.1, "0.1 s", "--worker_timeout", 1)],
)
def test_an_operation_that_takes_too_long_ends_the_process_and_names_the_flag(first, later, over, flag, steps):
    ended = watched(first, later)
    assert ended.returncode == 5, ended.stderr
    assert ended.stdout == "step\n" * steps
    assert f"a training step took over {over} ({flag})" in ended.stderr
    assert ended.stderr.startswith("train: worker 0 of 2: another worker did not answer") and "--resume" in ended.stderr


@pytest.mark.parametrize(
    ("later", "what"), [(30, "a training step"), (0.1, "a save"), (0.1, "comparing flags and data")]
)
def test_a_worker_that_is_in_time_continues_and_saves_have_the_longer_one_each_time(later, what):
    assert watched(30, later, what).stdout == "step\n" * 3 + "done\n"
