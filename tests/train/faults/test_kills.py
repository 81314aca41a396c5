"""Runs that are killed, stopped or stuck, in their own processes, end like an undisturbed run."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.support.forks import forked_worker
from tests.support.processes import Process, begun, finished
from tests.train.conftest import Files, Outcome
from train.cluster.processes import free_addresses
from train.run.history import read_history

MEASURED = {"images_per_second", "memory_gb", "gpu_memory_gb"}
DETECTED = 30  # seconds within which the others end (RELIABILITY: cluster faults)


def state(outcome: Outcome) -> str:
    """The hash of all variables that a run prints at its end."""
    assert outcome.code == 0, outcome.err + outcome.out
    return re.findall(r"state(?: +|, )([0-9a-f]{12})", outcome.out)[0]


def numbers(output: Path, run: str) -> dict[str, list[float]]:
    """A history without what was measured."""
    history = read_history(output / "runs" / run / "history.csv")
    return {name: values for name, values in history.items() if name not in MEASURED}


def saved(output: Path, run: str) -> set[int]:
    """The steps of a run's checkpoints."""
    return {int(path.name[5:]) for path in (output / "runs" / run / "checkpoints").glob("step-*")}


# 66 steps, 22 an epoch; with random states, which replicas draw from, and averages
DIGITS = ("--model=StochasticDepthResNet", "--depth=8", "--epochs=3", "--schedule=cosine", "--ema=0.9")
DIGITS += ("--checkpoint_every=7", "--noexport")
WAYS = {
    "default": ("train", "--strategy=default"),
    "mirrored": ("train", "--cpu_devices=2"),
    "workers": ("train.launch", "--workers=2", "--"),
}


@dataclass(frozen=True)
class Whole:
    """An undisturbed run, and the command that starts others like it.

    Args:
        way: One of `WAYS`.
        output: The folder of all these runs.
    """

    way: str
    output: Path

    def command(self, run: str) -> list[str]:
        """The command that starts or resumes `run`."""
        module, *flags = WAYS[self.way]
        return [module, *flags, *DIGITS, f"--output={self.output}", f"--run={run}", "--resume"]

    @cached_property
    def ended(self) -> tuple[str, float]:
        """Its hash, and the seconds it took."""
        began = time.monotonic()
        return state(finished(*self.command("whole"))), time.monotonic() - began

    def require_equal(self, run: str, hash: str) -> None:
        """The run ended as this one."""
        assert hash == self.ended[0]
        assert numbers(self.output, run) == numbers(self.output, "whole")


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """One for each way, run when first needed."""
    return {way: Whole(way, tmp_path_factory.mktemp(way)) for way in WAYS}


def killed_with_its_workers(process: Process) -> None:
    """SIGKILL a command and all processes that it started."""
    children = subprocess.run(["pgrep", "-P", str(process.popen.pid)], capture_output=True, text=True).stdout.split()
    process.popen.kill()
    for child in children:
        subprocess.run(["kill", "-9", child], capture_output=True)
    process.ended()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_twenty_random_kills_change_no_bit(wholes, way):
    """A run of 66 steps that saves every 7."""
    whole, rng, kills = wholes[way], np.random.default_rng(), 0
    for lap in range(100):
        command = whole.command(f"killed-{lap}")
        while kills < 20:
            process = begun(*command)
            process.has_said(" steps an epoch")  # the imports are over
            time.sleep(rng.uniform(0, 0.35) * whole.ended[1])  # several a lap
            if process.popen.poll() is not None:  # to its end: another lap
                break
            killed_with_its_workers(process)
            kills += 1
        whole.require_equal(f"killed-{lap}", state(finished(*command)))
        if kills == 20:
            break
    assert kills == 20


# all moments within a save; those of 22, 44 and 66 end an epoch, the others lie within one
AROUND_SAVES = [("before", 7), ("half", 14), ("written", 21), ("renamed", 22), ("half", 28), ("written", 35)]
AROUND_SAVES += [("renamed", 42), ("half", 44), ("written", 44), ("renamed", 44), ("before", 66), ("renamed", 66)]
AROUND_SAVES += [("exported", 66)]


@pytest.mark.long  # in CI: test_storage.py (killed while it saves), test_session.py (stopped after any step)
@pytest.mark.parametrize("way", WAYS)
def test_a_run_killed_within_its_saves_ends_like_an_undisturbed_one(wholes, way):
    """The same run dies at each of them; every worker of several does, as when a machine loses its power."""
    whole, run = wholes[way], "dying"
    command = [*whole.command(run), "--export"]
    flags = [flag for flag in command[1:] if flag not in ("--workers=2", "--")]
    for moment, step in AROUND_SAVES:
        dying = [moment, str(step), "--", *flags]
        if way == "workers":
            addresses = free_addresses(2)
            processes = [
                Process(forked_worker(addresses, number, "tests.support.dying", *dying)) for number in range(2)
            ]
        else:
            processes = [begun("tests.support.dying", *dying)]
        outcomes = [process.ended() for process in processes]
        assert outcomes[0].code == -signal.SIGKILL, (moment, step, outcomes)
        assert not list((whole.output / "saved_models" / run).glob("[0-9]*"))  # a version is whole or absent
    whole.require_equal(run, state(finished(*command)))


@pytest.mark.long  # in CI: test_program.py, and the two workers below
@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", WAYS)
def test_after_a_signal_the_printed_command_resumes_to_the_same_end(wholes, way, asked_by):
    whole, run = wholes[way], asked_by.name
    process = begun(*whole.command(run))
    process.has_said("epoch 1/3")
    process.popen.send_signal(asked_by)
    outcome = process.ended()
    assert outcome.code == 42, outcome.err + outcome.out
    asked = [each for each in (outcome.out + outcome.err).splitlines() if "asked to stop" in each]
    assert len(asked) == (2 if way == "workers" else 1)
    (step,) = {int(number) for each in asked for number in re.findall(r"saved at step (\d+)", each)}
    (command,) = {each.partition("Resume with: ")[2] for each in asked}
    assert re.match(r"\S+ -m train\.launch --workers=2 -- " if way == "workers" else r"\S+ -m train -", command)
    going_on = finished(*shlex.split(command)[2:])
    assert going_on.code == 0, going_on.err
    assert step in range(23, 66) and "epoch 1/3" not in going_on.out
    whole.require_equal(run, state(going_on))


class Cluster:
    """Two workers, to compare with the undisturbed run."""

    def __init__(self, output: Path, data: Path):
        self.line = [
            *("--depth=8", "--batch_size=8", "--epochs=20", "--checkpoint_every=5"),
            *(f"--dataset={data}", f"--output={output}", "--resume", "--worker_timeout=8", "--startup_timeout=60"),
            "--noexport",
        ]
        self.output, self.workers = output, []

    def start(self, run: str, *more: tuple[str, ...], addresses=None) -> list[Process]:
        """Both workers; `more` are each one's own flags."""
        addresses = addresses or free_addresses(2)
        own = more or ((), ())
        self.workers = [
            Process(forked_worker(addresses, number, "train", *self.line, f"--run={run}", *flags))
            for number, flags in enumerate(own)
        ]
        return self.workers

    def gone_on(self, run: str) -> str:
        """Start both again, to the end; return the state's hash."""
        chief, other = self.start(run)
        found = state(chief.ended())
        assert other.ended().code == 0
        return found

    def stop(self) -> None:
        """Kill both, so that no process outlives a test."""
        for worker in self.workers:
            worker.popen.kill()
            worker.popen.wait()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The output folder and the data of all runs of two workers."""
    output = tmp_path_factory.mktemp("cluster")
    return output, Files.npz(output / "set.npz", **Files.arrays(train=24, test=8))


@pytest.fixture(scope="module")
def undisturbed(prepared):
    """The hash of an undisturbed run: on two devices, which train as two workers do (test_strategy.py)."""
    return state(finished("train", *Cluster(*prepared).line, "--run=undisturbed", "--cpu_devices=2"))


@pytest.fixture
def two(prepared):
    made = Cluster(*prepared)
    yield made
    made.stop()


@pytest.fixture
def detected(record_property):
    """`with detected():` is around the time that the others need to end; `pytest --junitxml=FILE` records it."""

    @contextmanager
    def detected(within: float = DETECTED):
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        record_property("seconds", round(seconds, 1))
        assert seconds < within

    return detected


def last_line(outcome: Outcome) -> str:
    return outcome.said[-1]


def assert_told_of_a_lost_worker(survivor: Outcome, cause: str) -> None:
    assert survivor.code == 5, survivor.err
    assert re.search(r"^train: worker \d of 2: .*--resume", last_line(survivor)), survivor.err
    assert re.search(cause, last_line(survivor)), survivor.err


FAULTS = {
    "SIGKILL of a worker": (signal.SIGKILL, 1, 0),
    "SIGKILL of the chief": (signal.SIGKILL, 0, 1),
    "a worker is stuck": (signal.SIGSTOP, 1, 0),
    "the chief is stuck": (signal.SIGSTOP, 0, 1),
}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_when_a_worker_is_gone_or_stuck_the_other_ends_in_time_and_both_resume(two, undisturbed, fault, detected):
    number, victim, survivor = FAULTS[fault]
    run = fault.replace(" ", "-")
    workers = two.start(run)
    workers[0].has_said("epoch  3/20")
    workers[victim].popen.send_signal(number)
    cause = r"gone|ended" if number == signal.SIGKILL else r"did not answer.*stuck or gone"
    with detected():
        assert_told_of_a_lost_worker(workers[survivor].ended(), cause)
    two.stop()
    assert two.gone_on(run) == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("before", [1, 2])
def test_a_run_resumes_with_more_or_fewer_workers_over_the_same_batches(two, undisturbed, before):
    """Sums are added in another order: equal up to rounding, which training then spreads."""
    run = f"elastic-{before}"
    workers = two.start(run) if before == 2 else [begun("train", *two.line, f"--run={run}")]
    workers[0].has_said("epoch  3/20")
    workers[0].popen.send_signal(signal.SIGTERM)
    assert [worker.ended().code for worker in workers] == [42] * before
    if before == 2:
        outcome = finished("train", *two.line, f"--run={run}")
        assert outcome.code == 0 and "devices 2 is now 1: the run continues, but no longer bit for bit" in outcome.err
    else:
        two.gone_on(run)
    found, wanted = numbers(two.output, run), numbers(two.output, "undisturbed")
    assert found["epoch"] == wanted["epoch"]
    assert_allclose(found["loss"][:4], wanted["loss"][:4], rtol=0.05)  # to the first epoch of the others


ODD = {
    "raises": "gone|ended",  # reported as gone, or as stuck or gone where only its silence is noticed
    "leaves": "gone|ended",
    "sleeps": r"did not answer and is stuck or gone: a test step took over 8 s \(--worker_timeout\)",
}


@pytest.mark.long
@pytest.mark.parametrize("odd", ODD)
def test_when_a_worker_raises_leaves_or_waits_for_its_disk_the_other_ends_in_time(two, undisturbed, odd, detected):
    addresses = free_addresses(2)
    (chief,) = two.start(odd, (), addresses=addresses)
    victim = Process(forked_worker(addresses, 1, "tests.support.odd", odd, *two.line, f"--run={odd}"))
    two.workers.append(victim)
    victim.has_said(f"odd: {odd}")
    with detected():
        outcome = chief.ended()
    assert outcome.code == 5, outcome.err
    assert re.search(ODD[odd], last_line(outcome)), outcome.err
    if odd == "raises":
        ended = victim.ended(DETECTED)
        assert ended.code == 1 and "RuntimeError: odd" in ended.err
    two.stop()
    assert two.gone_on(odd) == undisturbed


@pytest.mark.long
def test_a_slow_save_is_not_mistaken_for_a_stuck_worker(two, undisturbed):
    addresses = free_addresses(2)
    chief = Process(forked_worker(addresses, 0, "tests.support.odd", "dawdles", *two.line, "--run=dawdles"))
    other = Process(forked_worker(addresses, 1, "train", *two.line, "--run=dawdles"))
    two.workers += [chief, other]
    assert state(chief.ended()) == undisturbed
    assert other.ended().code == 0 and "odd: dawdles\n" in chief.out


@pytest.mark.long
def test_exchanges_leave_no_threads_behind(two):
    chief, _ = two.start("threads")
    tasks = Path(f"/proc/{chief.popen.pid}/task")
    counts = []
    for epoch in (3, 18):  # hundreds of exchanges, each of which would keep a thread under TensorFlow's own time-outs
        chief.has_said(f"epoch {epoch:2}/20")
        counts.append(len(list(tasks.iterdir())))
    assert counts[1] < counts[0] + 50, counts


@pytest.mark.slow
@pytest.mark.parametrize("faults", [["killed"], pytest.param(["killed", "stuck"], marks=pytest.mark.long)], ids=len)
def test_a_run_whose_worker_is_asked_to_stop_and_then_fails_ends_like_an_undisturbed_one(
    two, undisturbed, detected, faults
):
    """SIGTERM stops both at the same step; the other worker detects the rest."""
    workers = two.start("terminated")
    workers[0].has_said("epoch  3/20")
    workers[1].popen.terminate()
    with detected():
        outcomes = [worker.ended() for worker in workers]
    assert [outcome.code for outcome in outcomes] == [42, 42], outcomes
    lines = [last_line(outcome) for outcome in outcomes]
    assert "(another worker)" in lines[0] and "(SIGTERM)" in lines[1]
    (step,) = {int(number) for line in lines for number in re.findall(r"saved at step (\d+)", line)}
    assert max(saved(two.output, "terminated")) == step
    causes = {"killed": (signal.SIGKILL, "gone|ended"), "stuck": (signal.SIGSTOP, "did not answer.*stuck or gone")}
    for epoch, (signal_, cause) in zip((6, 10), (causes[fault] for fault in faults), strict=False):
        chief, worker = two.start("terminated")
        chief.has_said(f"epoch {epoch:2}/20")
        worker.popen.send_signal(signal_)
        with detected():
            assert_told_of_a_lost_worker(chief.ended(), cause)
        two.stop()
    assert two.gone_on("terminated") == undisturbed


@pytest.mark.slow
def test_workers_with_different_flags_end_before_the_first_step(two, detected):
    with detected(within=120):  # their own start with it
        outcomes = [worker.ended() for worker in two.start("torn", ("--depth=8",), ("--depth=14",))]
    for outcome in outcomes:
        assert outcome.code == 5, outcome.err
        assert "depth=" in outcome.err and "Start all with the same flags and data" in outcome.err
    assert not (two.output / "runs" / "torn" / "checkpoints").exists()


@pytest.mark.long
def test_workers_whose_data_differ_under_one_name_end_before_the_first_step(two, detected, tmp_path):
    addresses = free_addresses(2)
    for number in range(2):  # same shapes, counts and classes; other pixels
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        Files.npz(folder / "set.npz", **Files.arrays(train=24, test=8, seed=number))
        line = [*two.line, "--dataset=set.npz", "--run=other-data"]
        two.workers.append(Process(forked_worker(addresses, number, "train", *line, cwd=folder)))
    with detected(within=120):  # their own start with it
        outcomes = [worker.ended() for worker in two.workers]
    for outcome in outcomes:
        assert outcome.code == 5, outcome.err
        assert re.search(r"worker \d has digest='[0-9a-f]{12}', unlike worker \d\.", last_line(outcome)), outcome.err
    assert not (two.output / "runs" / "other-data" / "checkpoints").exists()


@pytest.mark.long  # in CI: test_rendezvous.py
def test_a_worker_that_never_starts_is_named_and_not_waited_for_forever(two):
    (chief,) = two.start("alone", ("--startup_timeout=6",), addresses=free_addresses(2))
    outcome = chief.ended(60)
    assert outcome.code == 5, outcome.err
    assert re.search(r"^waiting for workers \(5 s of 6\): 127\.0\.0\.1:\d+$", outcome.err, re.MULTILINE)
    assert re.search(r"worker 0: not all workers appeared in \d+ s; missing: 127\.0\.0\.1:\d+\.$", last_line(outcome))


@pytest.mark.long
def test_the_same_task_twice_is_named(two, detected):
    addresses = free_addresses(2)
    (first,) = two.start("twice", (), addresses=addresses)
    first.has_said("waiting for workers")
    with detected(within=120):  # its own start with it
        (second,) = two.start("twice", (), addresses=addresses)
        two.workers.append(first)
        outcome = second.ended(60)
    assert outcome.code == 5, outcome.err
    assert re.search(r"worker 0 of 2 cannot join at .*started with the same task index\?$", last_line(outcome))
    assert first.popen.poll() is None  # undisturbed


@pytest.mark.long
def test_a_worker_that_was_restarted_alone_ends_the_others_and_both_resume(two, undisturbed, detected):
    addresses = free_addresses(2)
    workers = two.start("again", addresses=addresses)
    workers[0].has_said("epoch  3/20")
    workers[1].popen.kill()
    alone = Process(forked_worker(addresses, 1, "train", *two.line, "--run=again"))
    two.workers.append(alone)
    with detected():
        assert workers[0].ended().code == 5
    two.stop()
    assert two.gone_on("again") == undisturbed
