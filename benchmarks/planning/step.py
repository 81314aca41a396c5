"""How long a training step takes on many accelerators.

    step     = max(compute + exchange, input)
    compute  = images of a device / its images a second
    exchange = M hops(n) hop + B (share(m) / inside + share(h) / between)
    input    = images of a host / (its cores x images a second a core decodes)

for M messages of B bytes together, among n devices: m on each of h hosts. `hop` is the time from one device to the
next. A message passes hops(n) of them one after the other: 2 (n - 1) in a ring, 2 ceil(log2 n) in a tree. Each wire
carries share(n) = 2 (n - 1) / n of a sum's bytes (Patarasuk and Yuan 2009). Nothing overlaps: the messages are in one
order, and the gradients are one of them, after the backward pass. Input is made beside the step.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Cluster:
    """What accelerators, hosts and wires do; all but `decode` are assumptions, and flags of the command."""

    accelerators: int = 8  # a host
    cores: int = 48  # a host
    images: float = 2500.0  # a second, on one accelerator
    inside: float = 150.0  # GB/s between the accelerators of a host
    between: float = 100.0  # Gbit/s of a host
    hop: float = 5.0  # microseconds
    decode: float = 338.0  # images a second a core

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a number above 0; got {value}.")


@dataclass(frozen=True)
class Step:
    """The seconds of a step's parts."""

    compute: float
    exchange: float
    input: float

    @property
    def fed(self) -> float:
        """Seconds, where the input is no limit."""
        return self.compute + self.exchange

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return max(self.fed, self.input)

    @property
    def efficiency(self) -> float:
        """The part of a fed step that computes."""
        return self.compute / self.fed


def ring(devices: int) -> int:
    """Hops of a sum that goes around: TensorFlow's own.

    >>> ring(4)
    6
    """
    return 2 * (devices - 1)


def tree(devices: int) -> int:
    """Hops of a sum that goes up and down: what NCCL chooses for small messages among many.

    >>> tree(64), tree(1)
    (12, 0)
    """
    return 2 * math.ceil(math.log2(devices))


def share(parts: int) -> float:
    """How much of a sum's bytes each of its parts sends.

    >>> share(4), share(1)
    (1.5, 0.0)
    """
    return 2 * (parts - 1) / parts


def predicted(messages: list[int], devices: int, batch: int, cluster: Cluster) -> Step:
    """A step of `batch` images a device that sends these bytes.

    Raises:
        ValueError: if the last host is not full.
    """
    on_host = min(devices, cluster.accelerators)
    hosts, left = divmod(devices, on_host)
    if left:
        raise ValueError(f"{devices} accelerators do not fill hosts of {cluster.accelerators}.")
    wires = share(on_host) / (cluster.inside * 1e9) + share(hosts) / (cluster.between * 1e9 / 8)
    return Step(
        compute=batch / cluster.images,
        exchange=len(messages) * tree(devices) * cluster.hop * 1e-6 + sum(messages) * wires,
        input=batch * on_host / (cluster.cores * cluster.decode),
    )
