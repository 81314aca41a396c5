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
    with watch("a training step"):
        time.sleep(0.6)
    time.sleep(0.6)  # time between two steps does not count
print("done")
"""


def watched(first: float, later: float) -> subprocess.CompletedProcess:
    program = PROGRAM.format(first=first, later=later)
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("first", "later", "over", "flag"),
    [(0.1, 30, "0.1 s", "--startup_timeout"), (30, 0.1, "0.1 s", "--worker_timeout")],
)
def test_an_operation_that_takes_too_long_ends_the_process_and_names_the_flag(first, later, over, flag):
    ended = watched(first, later)
    assert ended.returncode == 5, ended.stderr
    assert "done" not in ended.stdout
    assert f"a training step took over {over} ({flag})" in ended.stderr
    assert ended.stderr.startswith("train: worker 0 of 2: another worker did not answer") and "--resume" in ended.stderr


def test_a_worker_that_is_in_time_continues():
    assert watched(30, 30).stdout == "done\n"
