"""The devices that a run computes on: one device, all GPUs of a machine, a TPU, or several machines."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from textwrap import shorten
from typing import Any

from ..process.errors import BadInput, first_line, say
from .discovery import cluster
from .rendezvous import cannot_join, fatal_after, meet
from .watch import Watch


@dataclass(frozen=True)
class Place:
    """The devices of a run, and this worker's place among them.

    Args:
        strategy: The `tf.distribute` strategy.
        taken: Its devices, in the words of the first line that is printed.
        number: This worker's number, from 0; worker 0 is the chief, the only one that writes.
        workers: The number of workers.
        watch: `with watch(what):` around a joint operation detects a worker that is stuck.
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

    def gathered(self, numbers: list[int]):
        """The numbers of all workers, `[replicas, len(numbers)]`; every worker waits here for the slowest."""
        import tensorflow as tf

        return self._gather(tf.constant([numbers], tf.int64)).numpy()

    @cached_property
    def _gather(self):
        """A function of numbers `[1, n]`, traced once for each `n`; eagerly, each call is traced, with a warning."""
        import tensorflow as tf

        return tf.function(lambda mine: self.strategy.gather(self.strategy.run(tf.identity, (mine,)), axis=0))

    def all_did(self, did: bool) -> bool:
        """Whether `did` is true on every worker."""
        return did if self.workers == 1 else bool(self.gathered([int(did)]).min())


def make_strategy(name: str, tpu: str, cpu_devices: int, startup_timeout: float, worker_timeout: float) -> Place:
    """The place that `name` asks for; call this before TensorFlow computes anything.

    Args:
        name: One of `--strategy`'s choices; "auto" takes several workers where `TF_CONFIG` or Slurm names them, else a
            TPU where `tpu` or `TPU_NAME` does, else all GPUs if there are several, else one device.
        tpu: The TPU's name, or "local"; where it is empty, `TPU_NAME`, or "local" without it.
        cpu_devices: How many logical devices the CPU is split into.
        startup_timeout: Seconds to wait for the other workers to appear, and for a first step to end.
        worker_timeout: Seconds to wait for each later step to end.

    Raises:
        BadInput: if the device does not exist.
        ClusterError: if the workers do not find each other.
    """
    import tensorflow as tf

    if cpu_devices > 1:
        (cpu, *_) = tf.config.list_physical_devices("CPU")
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpu_devices)
        except RuntimeError:
            raise BadInput(
                f"--cpu_devices={cpu_devices}: TensorFlow computes already, as objects that config() makes let it: let "
                "config() return functions that make them."
            ) from None
    workers = cluster() if name in ("auto", "multiworker") else None
    if name == "multiworker" or (workers and len(workers[0]) > 1):
        return _multiworker(workers, startup_timeout, worker_timeout)
    if name == "tpu" or (name == "auto" and (tpu or os.environ.get("TPU_NAME"))):
        return _tpu(tpu or (os.environ.get("TPU_NAME") or "local"))
    gpus = tf.config.list_physical_devices("GPU")
    if name == "mirrored" or (name == "auto" and (len(gpus) > 1 or cpu_devices > 1)):
        return _mirrored(len(gpus), cpu_devices)
    return Place(tf.distribute.get_strategy(), "one GPU" if gpus else "the CPU")


def _mirrored(gpus: int, cpu_devices: int) -> Place:
    import tensorflow as tf

    if gpus:
        return Place(tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(gpus)]), f"{gpus} GPUs of this machine")
    if cpu_devices > 1:
        devices = [f"CPU:{i}" for i in range(cpu_devices)]
        return Place(tf.distribute.MirroredStrategy(devices), f"{cpu_devices} logical CPU devices")
    raise BadInput(
        "--strategy=mirrored requires a GPU; TensorFlow sees none. Install tensorflow[and-cuda], pass "
        "--strategy=default, or try it on the CPU with --cpu_devices=2."
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
    say(f"worker {number}: all {len(addresses)} workers are present and join, {limit}.")
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
        BadInput: with the nearest batch sizes that they can share.

    >>> require_divisible(33, 2)
    Traceback (most recent call last):
    train.process.errors.BadInput: --batch_size=33 is shared by 2 replicas and must divide by 2; nearest: 32, 34.
    """
    low = batch_size // replicas * replicas
    if batch_size != low:
        nearest = ", ".join(str(size) for size in (low, low + replicas) if size)
        raise BadInput(
            f"--batch_size={batch_size} is shared by {replicas} replicas and must divide by {replicas}; "
            f"nearest: {nearest}."
        )


def require_one_device(compiled: bool, place: Place) -> None:
    """Refuse to compile a step with XLA for several devices, whose variables it cannot read.

    Raises:
        BadInput: with the devices.
    """
    if compiled and (replicas := place.strategy.num_replicas_in_sync) > 1:
        raise BadInput(f"--jit_compile requires one device, got {replicas} ({place.taken}); pass --strategy=default.")
