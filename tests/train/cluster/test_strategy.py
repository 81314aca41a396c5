"""The devices of a run: which are picked, which are refused, and that the results are the same on all."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import PreActResNet
from tests.support.processes import finished
from train import launch as launching
from train.cluster.discovery import check_strategy, cluster
from train.cluster.processes import free_addresses, start
from train.cluster.strategy import make_strategy, require_divisible
from train.process.errors import BadInput, ClusterError
from train.run.checkpoints import newest_checkpoint
from train.run.history import read_history

TWO = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}


def tf_config(monkeypatch, content) -> None:
    monkeypatch.setenv("TF_CONFIG", content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", r"TF_CONFIG is not valid JSON: .*\. Got '\{'\."),
        ([1], r"TF_CONFIG must be \{\"cluster\": \{\"worker\": .*got '\[1\]'"),
        ("{" + "x" * 99, r"Got '\{x{79}'\.$"),
        ([100] * 30, r"got '\[100(, 100){15},'\.$"),
        ({"cluster": ["a:1"]}, r"TF_CONFIG must be \{\"cluster\""),
        ({"cluster": TWO, "task": {"type": ["worker"], "index": 0}}, r"task must be .*got \{'type': \['worker'\]"),
        ({"task": {"type": "worker", "index": 0}}, r"TF_CONFIG must be \{\"cluster\""),
        (
            {"cluster": {"worker": ["a:1"], "ps": ["b:1"]}},
            r"parameter servers \('ps'\) are not supported: ",
        ),
        ({"cluster": {"evaluator": ["a:1"]}}, r"cluster has 'evaluator'; expected 'worker' and, optionally, 'chief'"),
        ({"cluster": {"worker": "a:1"}}, r"worker must be a list of 'host:port', .*; got 'a:1'"),
        ({"cluster": {"worker": ["a"]}}, r"worker must be a list of 'host:port', .*; got \['a'\]"),
        ({"cluster": {"worker": ["a:x"]}}, r"worker must be a list of 'host:port', ports up to 65535; got \['a:x'\]"),
        *(
            ({"cluster": {"worker": [address]}}, rf"ports up to 65535; got \['{address}'\]")
            for address in ("a:65536", "a:0", ":1", "a:\N{SUPERSCRIPT TWO}", "a:\N{ARABIC-INDIC DIGIT ONE}")
        ),
        ({"cluster": {"worker": [1]}}, r"ports up to 65535; got \[1\]"),
        ({"cluster": {"chief": ["a:1", "b:1"]}}, r"chief must be one 'host:port'; got \['a:1', 'b:1'\]"),
        ({"cluster": TWO, "task": {"type": "worker", "index": True}}, r"an integer\}; got .*'index': True"),
        ({"cluster": TWO}, r"task must be \{\"type\": 'worker', \"index\": an integer\}; got None"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, r"\"type\": 'worker', .*got \{'type': 'chief'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "0"}}, r"an integer\}; got .*'index': '0'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, r"task index 2 is outside 0\.\.1: 2 workers"),
        ({"cluster": TWO, "task": {"type": "worker", "index": -1}}, r"task index -1 is outside 0\.\.1"),
        (
            {"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}},
            r"an address is listed twice in a:1, a:1",
        ),
    ],
)
def test_a_tf_config_that_cannot_be_followed_is_refused_in_one_line_before_tensorflow_reads_it(
    monkeypatch, command, tmp_path, content, line
):
    tf_config(monkeypatch, content)
    outcome = command(f"--output={tmp_path}", "--depth=8", "--startup_timeout=1")
    assert outcome.code == 2
    (said,) = outcome.said
    assert re.search(line, said), said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("jobs", "task", "number"),
    [
        (TWO, {"type": "worker", "index": 1}, 1),
        ({"worker": ["a:1", "b:65535"]}, {"type": "worker", "index": 0}, 0),
        ({"chief": ["10.0.0.1:1"], "worker": ["10.0.0.2:1", "10.0.0.3:1"]}, {"type": "worker", "index": 1}, 2),
        ({"worker": ["10.0.0.2:1"], "chief": ["10.0.0.1:1"]}, {"type": "chief", "index": 0}, 0),
    ],
)
def test_the_chief_comes_first_and_workers_are_counted_on(monkeypatch, jobs, task, number):
    tf_config(monkeypatch, {"cluster": jobs, "task": task})
    addresses, found = cluster()
    assert addresses == sorted(address for job in jobs.values() for address in job)
    assert (addresses[found], found) == (jobs[task["type"]][task["index"]], number)


def slurm(monkeypatch, number: int, tasks: int, nodes: str, per_node: str, **more: str) -> None:
    """The environment of one task, as `srun` sets it; no `nvidia-smi` is there to ask."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("TF_CONFIG", "")  # so that the value set meanwhile is removed after the test
    monkeypatch.delenv("TF_CONFIG")
    values = {"PROCID": str(number), "STEP_NUM_TASKS": str(tasks), "NTASKS": str(tasks)}
    for name, value in {**values, "STEP_NODELIST": nodes, "STEP_TASKS_PER_NODE": per_node}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name, value in more.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("nodes", "per_node", "addresses"),
    [
        ("n1", "2", ["n1:8888", "n1:8889"]),
        ("n[1-2]", "1(x2)", ["n1:8888", "n2:8888"]),
        ("n[2,10]", "1(x2)", ["n2:8888", "n10:8888"]),  # not as text, where n10 is before n2
        ("gpu-a,gpu-b", "2,1", ["gpu-a:8888", "gpu-a:8889", "gpu-b:8888"]),
        ("n[08-10]", "1(x3)", ["n08:8888", "n09:8888", "n10:8888"]),
    ],
)
def test_srun_tells_who_the_workers_are(monkeypatch, nodes, per_node, addresses):
    for number, address in enumerate(addresses):
        slurm(monkeypatch, number, len(addresses), nodes, per_node, SLURMD_NODENAME=address.split(":")[0])
        check_strategy("multiworker")
        assert cluster() == (addresses, number)
        assert cluster() == (addresses, number)  # this time from what it has set for TensorFlow
        assert json.loads(os.environ["TF_CONFIG"])["task"] == {"type": "worker", "index": number}
        assert "CUDA_VISIBLE_DEVICES" not in os.environ  # which GPUs a task has is Slurm's to say


def test_tasks_that_srun_spread_in_another_order_are_refused(monkeypatch):
    slurm(monkeypatch, 1, 4, "n[1-2]", "2(x2)", SLURMD_NODENAME="n2")  # --distribution=cyclic
    with pytest.raises(BadInput, match=r"Slurm: task 1 was expected on n1 but is on n2: .*--distribution=block"):
        cluster()


def test_a_task_that_is_not_told_its_node_is_where_slurm_lists_it(monkeypatch):
    slurm(monkeypatch, 1, 2, "n[1-2]", "1(x2)")
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    assert cluster() == (["n1:8888", "n2:8888"], 1)


def test_a_single_task_of_slurm_is_no_cluster(monkeypatch):
    slurm(monkeypatch, 0, 1, "n1", "1")
    assert cluster() is None
    with pytest.raises(BadInput, match=r"--strategy=multiworker requires TF_CONFIG, or srun with several tasks"):
        check_strategy("multiworker")


def test_a_slurm_environment_that_makes_no_sense_is_refused(monkeypatch):
    slurm(monkeypatch, 0, 2, "n[1-", "1(x2)")
    with pytest.raises(BadInput, match=r"^Slurm: .*Set TF_CONFIG, or pass --strategy=mirrored"):
        cluster()
    slurm(monkeypatch, 0, 2, "n1", "1")
    with pytest.raises(BadInput, match=r"^Slurm: Requested 2 tasks but only 1 were assigned\.\. Set TF_CONFIG, or"):
        cluster()
    for number in (-1, 2):
        slurm(monkeypatch, number, 2, "n[1-2]", "1(x2)")
        with pytest.raises(BadInput, match=rf"^Slurm: SLURM_PROCID={number} is outside 0\.\.1\.$"):
            cluster()
    monkeypatch.delenv("SLURM_PROCID")
    with pytest.raises(BadInput, match=r"^Slurm: SLURM_PROCID must be an integer; got ''\.$"):
        cluster()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "x")
    with pytest.raises(BadInput, match=r"^Slurm: SLURM_STEP_NUM_TASKS must be an integer; got 'x'\.$"):
        cluster()


@pytest.mark.parametrize(("flag", "given"), [("cpu_devices", 2), ("tpu", "mine")])
def test_a_flag_that_auto_would_ignore_among_several_workers_is_refused(monkeypatch, flag, given):
    tf_config(monkeypatch, {"cluster": TWO, "task": {"type": "worker", "index": 0}})
    check_strategy("auto")
    with pytest.raises(BadInput, match=rf"^--{flag}={given} has no effect where TF_CONFIG names several workers\.$"):
        check_strategy("auto", **{flag: given})
    monkeypatch.delenv("TF_CONFIG")
    check_strategy("auto", **{flag: given})
    slurm(monkeypatch, 0, 2, "n[1-2]", "1(x2)")
    with pytest.raises(BadInput, match=rf"^--{flag}={given} has no effect where Slurm names several workers\.$"):
        check_strategy("auto", **{flag: given})
    tf_config(monkeypatch, {"cluster": {"worker": ["10.0.0.1:2222"]}, "task": {"type": "worker", "index": 0}})
    check_strategy("auto", **{flag: given})  # one worker, whatever Slurm names


def test_several_workers_are_tried_with_the_command_that_is_installed(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(sys, "argv", ["bin/keras-resunits-train"])
    with pytest.raises(BadInput, match=r"on one machine: bin/keras-resunits-launch --workers=2 -- \.\.\.$"):
        check_strategy("multiworker")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--strategy=mirrored",), r"--strategy=mirrored requires a GPU; TensorFlow sees none\..*--cpu_devices=2"),
        (("--strategy=multiworker",), r"--strategy=multiworker requires .*python -m train\.launch --workers=2"),
        (("--strategy=tpu",), r"no TPU found at --tpu=local: "),
        pytest.param(("--strategy=tpu", "--tpu=nowhere"), r"no TPU found at --tpu=nowhere: ", marks=pytest.mark.long),
        (("TPU_NAME=elsewhere",), r"no TPU found at --tpu=elsewhere: .*\.$"),
        (("--strategy=horovod",), r"--strategy=horovod.*auto\|default\|mirrored\|multiworker\|tpu"),
        pytest.param(("--tpu=mine",), r"no TPU found at --tpu=mine: ", marks=pytest.mark.long),
        (
            ("--tpu=mine", "--strategy=default"),
            r"--tpu=mine has no effect with --strategy=default; expected auto or tpu\.",
        ),
        (
            ("--cpu_devices=2", "--strategy=tpu"),
            r"--cpu_devices=2 has no effect with --strategy=tpu; expected auto or mir",
        ),
        (("--cpu_devices=0",), r"--cpu_devices must be >= 1 and <= 64, got 0"),
    ],
)
def test_a_missing_device_is_refused_in_one_line(tmp_path, arguments, line):
    environment = dict(each.split("=") for each in arguments if not each.startswith("-"))
    flags = [each for each in arguments if each.startswith("-")]
    outcome = finished("train", f"--output={tmp_path}", *flags, CUDA_VISIBLE_DEVICES="", **environment)
    assert outcome.code == 2, outcome.err
    assert re.search(line, outcome.said[-1]), outcome.err
    assert len(outcome.said) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("batch", "replicas", "nearest"), [(33, 2, "32, 34"), (1, 2, "2"), (10, 4, "8, 12"), (7, 8, "8")]
)
def test_a_batch_that_the_replicas_cannot_share_is_refused(batch, replicas, nearest):
    line = (
        rf"--batch_size={batch} is shared by {replicas} replicas and must divide by {replicas}; nearest: {nearest}\.$"
    )
    with pytest.raises(BadInput, match=line):
        require_divisible(batch, replicas)
    require_divisible(batch * replicas, replicas)


def test_auto_takes_one_device_where_there_is_one_and_a_cluster_of_one_is_none(monkeypatch):
    tf_config(monkeypatch, {"cluster": {"worker": ["10.0.0.1:1"]}, "task": {"type": "worker", "index": 0}})
    place = make_strategy("auto", "", 1, 5, 5)
    assert (place.strategy, place.taken) == (tf.distribute.get_strategy(), "the CPU")
    assert (place.is_chief, place.workers) == (True, 1)


class Devices:
    """Stands in for devices that the machine of a test lacks; `made` has what was asked for."""

    def __init__(self, monkeypatch, gpus: int = 0):
        self.made, self.patch = [], monkeypatch.setattr
        self.num_replicas_in_sync = 8
        here = tf.config.list_physical_devices
        self.patch(tf.config, "list_physical_devices", lambda kind: ["gpu"] * gpus if kind == "GPU" else here(kind))
        self.patch(tf.distribute, "MirroredStrategy", self.make)
        self.patch(tf.distribute, "TPUStrategy", self.make)
        self.patch(tf.distribute.cluster_resolver, "TPUClusterResolver", lambda tpu: f"resolver of {tpu}")
        self.patch(tf.config, "experimental_connect_to_cluster", self.made.append)
        self.patch(tf.tpu.experimental, "initialize_tpu_system", self.made.append)

    def make(self, of) -> Devices:
        self.made.append(of)
        return self


@pytest.mark.parametrize(
    ("name", "gpus", "taken", "devices"),
    [
        ("auto", 1, "one GPU", []),
        ("default", 2, "one GPU", []),
        ("mirrored", 1, "1 GPUs of this machine", [["GPU:0"]]),
        ("auto", 2, "2 GPUs of this machine", [["GPU:0", "GPU:1"]]),
    ],
)
def test_auto_takes_all_gpus_of_the_machine_where_there_are_several(monkeypatch, name, gpus, taken, devices):
    found = Devices(monkeypatch, gpus)
    assert (make_strategy(name, "", 1, 5, 5).taken, found.made) == (taken, devices)


@pytest.mark.parametrize(
    ("name", "tpu", "environment", "found"),
    [
        ("tpu", "", "", "local"),
        ("tpu", "", "theirs", "theirs"),
        ("tpu", "mine", "theirs", "mine"),
        ("auto", "mine", "", "mine"),
        ("auto", "", "theirs", "theirs"),
    ],
)
def test_a_tpu_is_taken_by_its_name(monkeypatch, name, tpu, environment, found):
    devices = Devices(monkeypatch, gpus=2)
    monkeypatch.setenv("TPU_NAME", environment)
    place = make_strategy(name, tpu, 1, 5, 5)
    assert (place.strategy, place.taken) == (devices, f"TPU {found}, 8 cores")
    assert devices.made == [f"resolver of {found}"] * 3  # connected, begun, and used


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, OSError, tf.errors.NotFoundError])
def test_why_there_is_no_tpu_is_told_in_at_most_160_characters(monkeypatch, kind):
    error = "word " * 99 if kind is not tf.errors.NotFoundError else (None, None, "word " * 99)

    def lacking(resolver):
        raise kind(*error) if isinstance(error, tuple) else kind(error)

    Devices(monkeypatch)
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", lacking)
    with pytest.raises(BadInput, match=r"^no TPU found at --tpu=mine: (word ){31}\.\.\.\.$"):
        make_strategy("tpu", "mine", 1, 5, 5)


def test_a_worker_has_its_number_its_address_and_its_patience(monkeypatch, capsys):
    (address,) = free_addresses(1)
    tf_config(monkeypatch, {"cluster": {"worker": [address]}, "task": {"type": "worker", "index": 0}})
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: "all workers")  # one in a process
    place = make_strategy("multiworker", "", 1, 50.0, 7.5)
    assert (place.strategy, place.taken) == ("all workers", f"worker 0 of 1 ({address})")
    assert (place.number, place.workers) == (0, 1)
    assert (place.watch.who, place.watch.first, place.watch.later) == ("worker 0 of 1", 50.0, 7.5)
    limit = "at most 50 s (--startup_timeout), then SIGALRM ends this process"
    assert capsys.readouterr().err == f"train: worker 0: all 1 workers are present and join, {limit}.\n"


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, tf.errors.UnavailableError])
def test_why_tensorflow_connects_no_workers_is_told(monkeypatch, kind):
    def lacking():
        raise kind(None, None, "busy") if issubclass(kind, tf.errors.OpError) else kind("busy")

    (address,) = free_addresses(1)
    tf_config(monkeypatch, {"cluster": {"worker": [address]}, "task": {"type": "worker", "index": 0}})
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lacking)
    with pytest.raises(ClusterError, match=rf"^worker 0 of 1 cannot join at {address}: busy\. Is the port taken"):
        make_strategy("multiworker", "", 1, 5, 5)


def test_the_cpu_is_split_into_devices():
    assert make_strategy("auto", "", 2, 5, 5).taken == "2 logical CPU devices"
    assert len(tf.config.list_logical_devices("CPU")) == 2


def test_the_cpu_is_not_split_once_tensorflow_computes():
    assert float(tf.constant(1.0) + 1.0) == 2.0
    assert make_strategy("default", "", 1, 5, 5).taken == "the CPU"  # nothing is to be split
    with pytest.raises(BadInput, match=r"^--cpu_devices=3: TensorFlow computes already, as objects that config\(\)"):
        make_strategy("default", "", 3, 5, 5)


# rounding alone differs, and grows from step to step: three of them
LINE = ["--depth=8", "--batch_size=8", "--epochs=1", "--schedule=cosine", "--learning_rate=0.05", "--ema=0.9"]
LINE += ["--validation=0.25", "--noexport"]


@pytest.mark.slow
def test_one_device_two_devices_and_two_workers_train_the_same_network(spawn, files, tmp_path):
    data = files.npz(tmp_path / "set.npz", **files.arrays(train=32, test=9))
    line = [*LINE, f"--dataset={data}", f"--output={tmp_path}"]
    outcomes = {
        "default": finished("train", *line, "--run=default", "--strategy=default"),
        "mirrored": finished("train", *line, "--run=mirrored", "--cpu_devices=2"),
        "workers": spawn("-m", "train.launch", "--workers=2", "--", *line, "--run=workers"),
    }
    weights, hashes, ends = {}, {}, {}
    for name, outcome in outcomes.items():
        assert outcome.code == 0, outcome.err + outcome.out
        ends[name] = re.findall(r"(?:validation accuracy|test accuracy) [^ ]*%.*$", outcome.out, re.MULTILINE)[-2:]
        (hashes[name],) = re.findall(r"state +([0-9a-f]{12}) ", outcome.out)
        model = PreActResNet(8, (8, 8, 1), 2)
        checkpoint = str(newest_checkpoint(tmp_path / "runs" / name / "checkpoints") / "state")
        tf.train.Checkpoint(model=model).read(checkpoint).assert_existing_objects_matched().expect_partial()
        weights[name] = model.get_weights()
    assert hashes["mirrored"] == hashes["workers"]
    assert len(ends["default"]) == 2 and ends["default"] == ends["mirrored"] == ends["workers"]
    histories = {name: read_history(tmp_path / "runs" / name / "history.csv") for name in outcomes}
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "gradient_norm"):
        assert histories["mirrored"][name] == histories["workers"][name]
        np.testing.assert_allclose(histories["workers"][name], histories["default"][name], rtol=1e-5, err_msg=name)
    start = PreActResNet(8, (8, 8, 1), 2).get_weights()
    for name in ("mirrored", "workers"):
        for ours, theirs in zip(weights[name], weights["default"], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    moved = max(np.abs(a - b).max() for a, b in zip(weights["default"], start, strict=True))
    assert moved > 1e-3
    assert "25 images (7 for validation), 3 steps an epoch, on the CPU\n" in outcomes["default"].out
    assert "25 images (7 for validation), 3 steps an epoch, on 2 logical CPU devices\n" in outcomes["mirrored"].out
    assert re.search(
        r"\[worker 0\] .*25 images \(7 for validation\), .*, on worker 0 of 2 \(127\.0\.0\.1:\d+\)\n",
        outcomes["workers"].out,
    )
    assert not re.search(r"\[worker 1\] \S+: .* parameters", outcomes["workers"].out)  # only the chief prints
    assert "WARNING:tensorflow" not in outcomes["workers"].out + outcomes["workers"].err


def test_a_worker_knows_its_place_and_keeps_to_the_cpu(monkeypatch):
    monkeypatch.setenv("OF_THE_LAUNCHER", "kept")
    names = ("TF_CONFIG", "CUDA_VISIBLE_DEVICES", "OF_THE_LAUNCHER")
    code = f"import os; print([os.environ[each] for each in {names}])"
    worker = start(["a:1", "b:2"], 1, ["-n1", "-r1", code], module="timeit", stdout=subprocess.PIPE)
    said, _ = worker.communicate(timeout=30)
    config, gpus, kept = ast.literal_eval(said.splitlines()[0])
    task = {"type": "worker", "index": 1}
    assert (json.loads(config), gpus, kept) == ({"cluster": {"worker": ["a:1", "b:2"]}, "task": task}, "", "kept")


def test_a_worker_has_a_process_group_of_its_own_so_that_ctrl_c_comes_once():
    worker = start(["127.0.0.1:1"], 0, ["-n1", "-r1", "import time; time.sleep(60)"], module="timeit")
    try:
        assert os.getpgid(worker.pid) == worker.pid != os.getpgrp()
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.slow
def test_a_worker_that_is_lost_after_all_have_met_is_not_waited_for_forever(spawn):
    script = """
import sys
from train.cluster import strategy
strategy.meet = lambda *_: None  # the other was present, and died
strategy.make_strategy("multiworker", "", 1, startup_timeout=3.0, worker_timeout=3.0)
"""
    cluster = {"cluster": {"worker": free_addresses(2)}, "task": {"type": "worker", "index": 0}}
    assert spawn("-c", script, TF_CONFIG=json.dumps(cluster)).code == -signal.SIGALRM


@pytest.mark.slow
def test_a_batch_that_two_devices_cannot_share_ends_a_run_in_one_line(files, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    line = ["--depth=8", f"--dataset={data}", f"--output={tmp_path}", "--batch_size=5", "--cpu_devices=2"]
    outcome = finished("train", *line)
    assert outcome.code == 2
    assert outcome.said == ["train: --batch_size=5 is shared by 2 replicas and must divide by 2; nearest: 4, 6."]
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_launch_ends_as_the_first_worker_that_failed_and_kills_those_that_do_not_end(monkeypatch):
    def started(*commands):
        return [subprocess.Popen(["sh", "-c", command]) for command in commands]

    soon = "sleep 0.3; exit"
    assert launching._wait(started(f"{soon} 0", f"{soon} 0")) == 0
    assert launching._wait(started(f"{soon} 0", f"{soon} 3")) == 3
    monkeypatch.setattr(launching, "GRACE", 0.3)
    failed, stuck = started("exit 3", "exec sleep 60")
    assert launching._wait([stuck, failed]) == 3
    assert stuck.wait(5) == -signal.SIGKILL
