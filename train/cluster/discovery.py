"""The list of workers, and this process's place in it, from TF_CONFIG or from Slurm."""

from __future__ import annotations

import json
import os

from ..process.commands import command
from ..process.errors import BadInput
from .processes import tf_config

TASK_TYPES = ("chief", "worker")
SLURM_PORT = 8888  # of the first task on each host, as in TensorFlow's own resolver


def cluster() -> tuple[list[str], int] | None:
    """The addresses of all workers, the chief first, and this worker's number, from `TF_CONFIG` or Slurm.

    Returns:
        `(addresses, number)`, or `None` where neither names a cluster.

    Raises:
        BadInput: for an invalid `TF_CONFIG` or Slurm environment.
    """
    if text := os.environ.get("TF_CONFIG"):  # empty is unset
        return _from_tf_config(text)
    return _from_slurm() if _started_by_srun() else None


def _started_by_srun() -> bool:
    """Whether srun started this process as one of several tasks; job scripts and interactive steps have one."""
    return _slurm_number("SLURM_STEP_NUM_TASKS", 1) > 1


def _slurm_number(name: str, default: int | str = "") -> int:
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"Slurm: {name} must be an integer; got {text!r}.") from None


def _from_tf_config(text: str) -> tuple[list[str], int]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise BadInput(f"TF_CONFIG is not valid JSON: {error}. Got {text[:80]!r}.") from None
    if not isinstance(config, dict) or not isinstance(config.get("cluster"), dict):
        raise BadInput(f"""TF_CONFIG must be {{"cluster": {{"worker": [...]}}, "task": {{...}}}}; got {text[:80]!r}.""")
    jobs, task = config["cluster"], config.get("task")
    if "ps" in jobs:
        raise BadInput(
            "TF_CONFIG: parameter servers ('ps') are not supported: they apply each worker's gradients whenever they "
            "arrive, so no two runs are the same. List only workers."
        )
    unknown = sorted(set(jobs) - set(TASK_TYPES))
    if unknown:
        raise BadInput(f"TF_CONFIG: cluster has {unknown[0]!r}; expected 'worker' and, optionally, 'chief'.")
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise BadInput(f"TF_CONFIG: {job} must be a list of 'host:port', ports up to 65535; got {addresses!r}.")
    if len(jobs.get("chief", [])) > 1:
        raise BadInput(f"TF_CONFIG: chief must be one 'host:port'; got {jobs['chief']!r}.")
    # in a list, because looking up an unhashable type in a dict raises TypeError
    if not isinstance(task, dict) or task.get("type") not in list(jobs) or type(task.get("index")) is not int:
        types = " or ".join(map(repr, jobs))
        raise BadInput(f"""TF_CONFIG: task must be {{"type": {types}, "index": an integer}}; got {task!r}.""")
    if not 0 <= task["index"] < len(jobs[task["type"]]):
        count = len(jobs[task["type"]])
        raise BadInput(f"TF_CONFIG: task index {task['index']} is outside 0..{count - 1}: {count} {task['type']}s.")
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    if len(set(addresses)) < len(addresses):
        raise BadInput(f"TF_CONFIG: an address is listed twice in {', '.join(addresses)}.")
    return addresses, task["index"] + (len(jobs.get("chief", [])) if task["type"] == "worker" else 0)


def _is_address(text) -> bool:
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16


def _from_slurm() -> tuple[list[str], int]:
    """The cluster that srun started; TensorFlow's resolver expands Slurm's shortened lists of hosts."""
    import tensorflow as tf

    number, tasks = _slurm_number("SLURM_PROCID"), _slurm_number("SLURM_STEP_NUM_TASKS")
    try:
        # one GPU per task is only nominal: otherwise the resolver asks nvidia-smi, and divides by what it finds
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        hosts = resolver._resolve_task_configuration()  # its cluster spec sorts n10 before n2; this keeps Slurm's order
    except (RuntimeError, ValueError) as error:
        hint = "Set TF_CONFIG, or pass --strategy=mirrored to use only this machine."
        raise BadInput(f"Slurm: {error}. {hint}") from error
    addresses = [f"{host}:{SLURM_PORT + i}" for host, count in hosts.items() for i in range(count)]
    if not 0 <= number < len(addresses):
        raise BadInput(f"Slurm: SLURM_PROCID={number} is outside 0..{len(addresses) - 1}.")
    here = os.environ.get("SLURMD_NODENAME")
    if here and here != addresses[number].split(":")[0]:
        raise BadInput(
            f"Slurm: task {number} was expected on {addresses[number].split(':')[0]} but is on {here}: start srun with "
            "--distribution=block, or set TF_CONFIG."
        )
    os.environ["TF_CONFIG"] = tf_config(addresses, number)
    return addresses, number


def check_strategy(name: str, tpu: str = "", cpu_devices: int = 1) -> None:
    """Refuse a strategy that the environment does not allow, before TensorFlow is imported.

    Args:
        name, tpu, cpu_devices: As for `make_strategy`.

    Raises:
        BadInput: for `multiworker` without a cluster, for a bad `TF_CONFIG`, and for a flag of another strategy.
    """
    text = os.environ.get("TF_CONFIG")
    found = _from_tf_config(text) if text else None
    several = len(found[0]) > 1 if found else _started_by_srun()
    for flag, given, strategy in ("tpu", tpu, "tpu"), ("cpu_devices", cpu_devices > 1 and cpu_devices, "mirrored"):
        if given and name not in ("auto", strategy):
            raise BadInput(f"--{flag}={given} has no effect with --strategy={name}; expected auto or {strategy}.")
        if given and name == "auto" and several:
            where = "TF_CONFIG" if found else "Slurm"
            raise BadInput(f"--{flag}={given} has no effect where {where} names several workers.")
    if name == "multiworker" and not found and not _started_by_srun():
        raise BadInput(
            "--strategy=multiworker requires TF_CONFIG, or srun with several tasks; found neither. "
            f"To try it on one machine: {command('launch')} --workers=2 -- ..."
        )
