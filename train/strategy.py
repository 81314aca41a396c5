"""Where the steps run: one device, several of one machine, several machines, a TPU."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import tensorflow as tf

from train.errors import BadInput, ClusterError

COLLECTIVE_TIMEOUT = 30.0  # seconds: without a limit a stuck worker holds up the others for ever
HEARTBEAT_TIMEOUT = 20  # seconds until a silent worker counts as gone
START_TIMEOUT = 120  # seconds to wait for the other workers

NAMES = ("auto", "default", "mirrored", "multiworker", "tpu")
PARAMETER_SERVER = (
    "--strategy=parameter_server is not offered: its workers apply gradients of weights that have moved on meanwhile, "
    "so that the numbers depend on timing. Use multiworker."
)


@dataclass(frozen=True)
class Place:
    """A strategy, and this process' part in it.

    Args:
        strategy: TensorFlow's.
        title: What was taken, for people.
        worker: This process' number among the workers, from 0.
        workers: How many there are.
    """

    strategy: tf.distribute.Strategy
    title: str
    worker: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """Devices in all."""
        return self.strategy.num_replicas_in_sync

    @property
    def local_replicas(self) -> int:
        """Devices of this process."""
        return self.replicas // self.workers


def choose(name: str, cpu_devices: int = 1) -> Place:
    """The strategy that `--strategy` names.

    Args:
        name: One of `NAMES`; "auto" takes several workers where `TF_CONFIG` or Slurm name them, else a TPU where
            `TPU_NAME` is set, else all GPUs where there are several, else one device.
        cpu_devices: Logical devices that the processor is split into, to try "mirrored" without GPUs; 1 by default.

    Raises:
        BadInput: for what this machine or `TF_CONFIG` does not give.
        ClusterError: if the workers do not come together.
    """
    if name == "parameter_server":
        raise BadInput(PARAMETER_SERVER)
    if cpu_devices > 1:
        split = [tf.config.LogicalDeviceConfiguration()] * cpu_devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], split)
    return {"default": _default, "mirrored": _mirrored, "multiworker": _multiworker, "tpu": _tpu}[
        _automatic() if name == "auto" else name
    ]()


def _automatic() -> str:
    if "TF_CONFIG" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        return "multiworker"
    if "TPU_NAME" in os.environ:
        return "tpu"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "default"


def _default() -> Place:
    device = "one GPU" if tf.config.list_physical_devices("GPU") else "the processor"
    return Place(tf.distribute.get_strategy(), f"default: {device}")


def _mirrored() -> Place:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices(kind)]
    if kind == "CPU" and len(devices) == 1:
        raise BadInput("--strategy=mirrored needs GPUs; TensorFlow sees 0. Try it with --cpu_devices=2.")
    return Place(tf.distribute.MirroredStrategy(devices), f"mirrored: {', '.join(devices)}")


def _tpu() -> Place:
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, AttributeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"--strategy=tpu: no TPU found at {name!r} (TPU_NAME): {why}") from error
    strategy = tf.distribute.TPUStrategy(resolver)
    return Place(strategy, f"tpu: {strategy.num_replicas_in_sync} cores at {name}")


def _multiworker() -> Place:
    cluster = _cluster()
    workers, index = cluster["cluster"]["worker"], cluster["task"]["index"]
    if len(workers) > 1:
        print(f"worker {index} of {len(workers)} waits for the others (at most {START_TIMEOUT} s) ...", flush=True)
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=COLLECTIVE_TIMEOUT)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ClusterError(f"the workers did not come together: {why}") from error
    return Place(strategy, f"multiworker: worker {index} of {len(workers)}", index, len(workers))


def _cluster() -> dict:
    """`TF_CONFIG`, checked; made from Slurm's variables where it is not set.

    Raises:
        BadInput: if it is not there or not sound.
    """
    if "TF_CONFIG" not in os.environ and "SLURM_NTASKS" in os.environ:
        os.environ["TF_CONFIG"] = json.dumps(_slurm())
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise BadInput("--strategy=multiworker needs TF_CONFIG; it is not set (`python -m train.launch` sets it).")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise BadInput(f"TF_CONFIG is not valid JSON: {error}.") from None
    workers = config.get("cluster", {}).get("worker") if isinstance(config, dict) else None
    task = config.get("task", {}) if isinstance(config, dict) else {}
    if not isinstance(workers, list) or not workers:
        raise BadInput('TF_CONFIG: wanted {"cluster": {"worker": ["host:port", ...]}, "task": {...}}; got ' + text)
    if "ps" in config["cluster"] or task.get("type") == "ps":
        raise BadInput(PARAMETER_SERVER)
    if task.get("type") != "worker" or task.get("index") not in range(len(workers)):
        raise BadInput(f"TF_CONFIG: task must be a worker of index 0..{len(workers) - 1}; got {json.dumps(task)}.")
    return config


def _slurm() -> dict:
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver()
    addresses = resolver.cluster_spec().as_dict()
    return {"cluster": addresses, "task": {"type": resolver.task_type, "index": resolver.task_id}}


def require_divisible(batch_size: int, place: Place) -> None:
    """Refuse a global batch that the replicas cannot share evenly.

    Raises:
        BadInput: naming the nearest batches that they can.
    """
    if batch_size % place.replicas:
        low = batch_size // place.replicas * place.replicas
        near = " or ".join(str(size) for size in (low, low + place.replicas) if size)
        raise BadInput(
            f"--batch_size={batch_size} is that of all replicas together and must divide by {place.replicas} "
            f"({place.title}); use {near}."
        )
