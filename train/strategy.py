"""Where a run computes: one device, all of a machine's, a TPU's, or several machines'."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from train.errors import BadInput, first_line, say
from train.launch import tf_config
from train.rendezvous import cannot_join, fatal_after, meet
from train.watch import Watch

STRATEGIES = ("auto", "default", "mirrored", "multiworker", "tpu")
TASK_TYPES = ("chief", "worker")
SLURM_PORT = 8888  # of the first task on each host, as TensorFlow numbers them


@dataclass(frozen=True)
class Place:
    """What computes, and which part of it this process is.

    Args:
        strategy: The `tf.distribute` strategy.
        taken: The same in words.
        number: This worker's, from 0; the first is the chief, the only one that writes.
        workers: How many there are.
        watch: `with watch(what):` around what the workers do together finds out one that is stuck.
    """

    strategy: Any
    taken: str
    number: int = 0
    workers: int = 1
    watch: Callable[[str], AbstractContextManager] = nullcontext

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.number == 0


def cluster() -> tuple[list[str], int] | None:
    """`(addresses of all workers, this one's number)` from `TF_CONFIG` or Slurm, the chief first; `None` without.

    Raises:
        BadInput: for a `TF_CONFIG` that cannot be followed.
    """
    if "TF_CONFIG" in os.environ:
        return _from_tf_config(os.environ["TF_CONFIG"])
    return _from_slurm() if _started_by_srun() else None


def _started_by_srun() -> bool:
    """As one task of several; in a job script alone, and in an interactive step, there is one."""
    return _slurm_number("SLURM_STEP_NUM_TASKS", 1) > 1


def _slurm_number(name: str, default: int | str = "") -> int:
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"Slurm: {name} must be a whole number; got {text!r}.") from None


def _from_tf_config(text: str) -> tuple[list[str], int]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise BadInput(f"TF_CONFIG is not valid JSON: {error}. Got {text[:80]!r}.") from None
    if not isinstance(config, dict) or not isinstance(config.get("cluster"), dict):
        raise BadInput(f"""TF_CONFIG wants {{"cluster": {{"worker": [...]}}, "task": {{...}}}}; got {text[:80]!r}.""")
    jobs, task = config["cluster"], config.get("task")
    if "ps" in jobs:
        raise BadInput(
            "TF_CONFIG: parameter servers ('ps') are not supported: they apply each worker's gradients whenever they "
            "arrive, so that no two runs are the same. List workers alone."
        )
    unknown = sorted(set(jobs) - set(TASK_TYPES))
    if unknown:
        raise BadInput(f"TF_CONFIG: cluster has {unknown[0]!r}; wanted 'worker', and 'chief' if you like.")
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise BadInput(f"TF_CONFIG: {job} must be a list of 'host:port', ports up to 65535; got {addresses!r}.")
    if len(jobs.get("chief", [])) > 1:
        raise BadInput(f"TF_CONFIG: chief must be one 'host:port'; got {jobs['chief']!r}.")
    # a list of them: a type that cannot be hashed is in no dict, and raises
    if not isinstance(task, dict) or task.get("type") not in list(jobs) or type(task.get("index")) is not int:
        types = " or ".join(map(repr, jobs))
        raise BadInput(f"""TF_CONFIG: task must be {{"type": {types}, "index": a whole number}}; got {task!r}.""")
    if not 0 <= task["index"] < len(jobs[task["type"]]):
        count = len(jobs[task["type"]])
        raise BadInput(f"TF_CONFIG: task index {task['index']} is outside 0..{count - 1}: {count} {task['type']}s.")
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    if len(set(addresses)) < len(addresses):
        raise BadInput(f"TF_CONFIG: an address stands twice in {', '.join(addresses)}.")
    return addresses, task["index"] + (len(jobs.get("chief", [])) if task["type"] == "worker" else 0)


def _is_address(text) -> bool:
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16


def _from_slurm() -> tuple[list[str], int]:
    """As srun started it; TensorFlow's own resolver knows how Slurm shortens lists of hosts."""
    import tensorflow as tf

    number, tasks = _slurm_number("SLURM_PROCID"), _slurm_number("SLURM_STEP_NUM_TASKS")
    try:
        # one GPU a task is only said: it would ask nvidia-smi, and divide by what it finds
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        hosts = resolver._resolve_task_configuration()  # its own list sorts n10 before n2; Slurm counts as it lists
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise BadInput(f"Slurm: {error}. Set TF_CONFIG, or pass --strategy=mirrored for this machine alone.") from error
    addresses = [f"{host}:{SLURM_PORT + i}" for host, count in hosts.items() for i in range(count)]
    if not 0 <= number < len(addresses):
        raise BadInput(f"Slurm: SLURM_PROCID={number} is outside 0..{len(addresses) - 1}.")
    here = os.environ.get("SLURMD_NODENAME")
    if here and here != addresses[number].split(":")[0]:
        raise BadInput(
            f"Slurm: task {number} was expected on {addresses[number].split(':')[0]} and is on {here}: start srun with "
            "--distribution=block, or set TF_CONFIG."
        )
    os.environ["TF_CONFIG"] = tf_config(addresses, number)
    return addresses, number


def check_strategy(name: str, tpu: str = "", cpu_devices: int = 1) -> None:
    """Refuse what the environment cannot be, before TensorFlow is imported.

    Args:
        name, tpu, cpu_devices: As for `make_strategy`.

    Raises:
        BadInput: for `multiworker` without a cluster, for a bad `TF_CONFIG`, and for a flag of another strategy.
    """
    found = _from_tf_config(os.environ["TF_CONFIG"]) if "TF_CONFIG" in os.environ else None
    several = len(found[0]) > 1 if found else _started_by_srun()
    for flag, given, strategy in ("tpu", tpu, "tpu"), ("cpu_devices", cpu_devices > 1 and cpu_devices, "mirrored"):
        if given and name not in ("auto", strategy):
            raise BadInput(f"--{flag}={given} means nothing for --strategy={name}; wanted auto or {strategy}.")
        if given and name == "auto" and several:
            where = "TF_CONFIG" if found else "Slurm"
            raise BadInput(f"--{flag}={given} means nothing where {where} names several workers.")
    if name == "multiworker" and not found and not _started_by_srun():
        raise BadInput(
            "--strategy=multiworker wants TF_CONFIG, or to be started by srun with several tasks; neither is there. "
            "To try it on one machine: python -m train.launch --workers=2 -- ..."
        )


def make_strategy(name: str, tpu: str, cpu_devices: int, startup_timeout: float, worker_timeout: float) -> Place:
    """The place that `name` asks for; to be called before TensorFlow computes anything.

    Args:
        name: One of `STRATEGIES`; "auto" takes several workers where `TF_CONFIG` or Slurm names them, else a TPU where
            `tpu` or `TPU_NAME` does, else all GPUs if there are several, else one device.
        tpu: The TPU's name, or "local"; `TPU_NAME`, or "local" without it, where it is empty.
        cpu_devices: Into how many logical devices the processor is split.
        startup_timeout: Seconds to wait for the other workers to appear, and for a first step to end.
        worker_timeout: Seconds to wait for the end of a later one.

    Raises:
        BadInput: if there is no such device.
        ClusterError: if the workers do not find each other.
    """
    import tensorflow as tf

    if cpu_devices > 1:
        (cpu, *_) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpu_devices)
    workers = cluster() if name in ("auto", "multiworker") else None
    if name == "multiworker" or (workers and len(workers[0]) > 1):
        return _multiworker(workers, startup_timeout, worker_timeout)
    if name == "tpu" or (name == "auto" and (tpu or "TPU_NAME" in os.environ)):
        return _tpu(tpu or os.environ.get("TPU_NAME", "local"))
    gpus = tf.config.list_physical_devices("GPU")
    if name == "mirrored" or (name == "auto" and (len(gpus) > 1 or cpu_devices > 1)):
        return _mirrored(len(gpus), cpu_devices)
    return Place(tf.distribute.get_strategy(), "one GPU" if gpus else "the processor")


def _mirrored(gpus: int, cpu_devices: int) -> Place:
    import tensorflow as tf

    if gpus:
        return Place(tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(gpus)]), f"{gpus} GPUs of this machine")
    if cpu_devices > 1:
        devices = [f"CPU:{i}" for i in range(cpu_devices)]
        return Place(tf.distribute.MirroredStrategy(devices), f"{cpu_devices} parts of the processor")
    raise BadInput(
        "--strategy=mirrored wants a GPU; TensorFlow sees none. Install tensorflow[and-cuda], pass --strategy=default, "
        "or try it on the processor with --cpu_devices=2."
    )


def _tpu(name: str) -> Place:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        why = shorten(first_line(error), 160, placeholder=" ...")
        raise BadInput(f"no TPU found at --tpu={name}: {why}.") from error
    return Place(strategy, f"TPU {name}, {strategy.num_replicas_in_sync} cores")


def _multiworker(workers, startup_timeout: float, worker_timeout: float) -> Place:
    import tensorflow as tf

    addresses, number = workers
    meet(addresses, number, startup_timeout)
    limit = f"at most {startup_timeout:g} s (--startup_timeout), then SIGALRM ends this process"
    say(f"worker {number}: all {len(addresses)} are there and join, {limit}.")
    try:
        with fatal_after(startup_timeout):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise cannot_join(addresses, number, first_line(error)) from error
    who = f"worker {number} of {len(addresses)}"
    watch = Watch(who, startup_timeout, worker_timeout)
    return Place(strategy, f"{who} ({addresses[number]})", number, len(addresses), watch)


def require_divisible(batch_size: int, replicas: int) -> None:
    """Refuse a global batch that the replicas cannot share evenly.

    Raises:
        BadInput: with the nearest batches that they can.

    >>> require_divisible(33, 2)
    Traceback (most recent call last):
    train.errors.BadInput: --batch_size=33 is shared by 2 replicas and must divide by 2; nearest: 32, 34.
    """
    low = batch_size // replicas * replicas
    if batch_size != low:
        nearest = ", ".join(str(size) for size in (low, low + replicas) if size)
        raise BadInput(
            f"--batch_size={batch_size} is shared by {replicas} replicas and must divide by {replicas}; "
            f"nearest: {nearest}."
        )
