"""The speed of an exported version in the runtimes that are installed, batch by batch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resunits.serving.formats import FORMATS
from keras_resunits.serving.runtimes import Answer, opened

SERVER = "savedmodel"
"""The SavedModel in a session of TensorFlow, as TensorFlow Serving runs it."""


@dataclass(frozen=True)
class Runtime:
    """A file of a version, and what opens it.

    Args:
        name: A format, or `SERVER`.
        size: Bytes on the disk.
        open: Returns its answers to images.
        agreement: Share of images with the same best class as the model, as its export measured; `None` for the
            SavedModel itself.
    """

    name: str
    size: int
    open: Callable[[], Answer]
    agreement: float | None = None


@dataclass(frozen=True)
class Timed:
    """The requests of one batch size to one runtime.

    Args:
        runtime: Its name.
        batch: Images in a request.
        seconds: Of each request, in the order of time.
    """

    runtime: str
    batch: int
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Seconds of the median request."""
        return float(np.median(self.seconds))

    @property
    def slow(self) -> float:
        """Seconds that 99 of 100 requests stay below."""
        return float(np.percentile(self.seconds, 99))

    @property
    def rate(self) -> float:
        """Images per second, at the median."""
        return self.batch / self.median


@dataclass(frozen=True)
class Benchmark:
    """What `benchmark` measured, which prints as a table with a recommendation.

    Args:
        runtimes: What was measured.
        loads: Seconds in which each was opened, by name.
        timed: The requests.
        missing: The formats that the version has and this machine does not run, each with the packages that it lacks.
    """

    runtimes: Sequence[Runtime]
    loads: dict[str, float]
    timed: Sequence[Timed]
    missing: dict[str, list[str]]

    def fastest(self, batch: int) -> Timed:
        """Return the runtime with the most images per second."""
        return max((each for each in self.timed if each.batch == batch), key=lambda each: each.rate)

    def __str__(self) -> str:
        lines = [f"{'runtime':<15}{'size':>10}{'load':>9}{'agreement':>11}"]
        for each in self.runtimes:
            agreement = "" if each.agreement is None else f"{each.agreement:.1%}"
            lines.append(
                f"{each.name:<15}{each.size / 1e6:>7.1f} MB{self.loads[each.name]:>7.2f} s{agreement:>11}".rstrip()
            )
        lines += ["", f"{'runtime':<15}{'batch':>6}{'median':>12}{'p99':>12}{'images/s':>11}"]
        for request in self.timed:
            times = f"{1e3 * request.median:>9.2f} ms{1e3 * request.slow:>9.2f} ms"
            lines.append(f"{request.runtime:<15}{request.batch:>6}{times}{request.rate:>11,.0f}")
        lines += [""]
        for batch in dict.fromkeys(request.batch for request in self.timed):
            best = self.fastest(batch)
            (server,) = (each for each in self.timed if (each.runtime, each.batch) == (SERVER, batch))
            ratio = f", {best.rate / server.rate:.2f} times the SavedModel" if best is not server else ""
            rounded = best.runtime != SERVER and FORMATS[best.runtime].integers
            lines.append(f"fastest at batch {batch}: {best.runtime}{ratio}{'; check its accuracy' * rounded}")
        lines += [f"not measured: {name} (no {', '.join(packages)})" for name, packages in self.missing.items()]
        return "\n".join(lines)

    def plot(self, ax=None):
        """Draw images per second against the batch size.

        Args:
            ax: Axes of matplotlib to draw in. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        from matplotlib.figure import Figure
        from matplotlib.ticker import StrMethodFormatter

        ax = ax or Figure((6.4, 4.0), layout="constrained").subplots()
        for name in self.loads:
            points = [(each.batch, each.rate) for each in self.timed if each.runtime == name]
            ax.plot(*zip(*points, strict=True), marker="o", label=name)
        ax.set(xscale="log", yscale="log", xlabel="images in a request", ylabel="images per second")
        batches = sorted({each.batch for each in self.timed})
        ax.set_xticks(batches, [str(batch) for batch in batches], minor=False)
        ax.set_xticks([], minor=True)
        for formatted in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            formatted(StrMethodFormatter("{x:,.0f}"))
        ax.grid(alpha=0.3, which="both")
        ax.legend(frameon=False)
        return ax


def benchmark(
    version: Path, batches: Sequence[int] = (1, 8, 32), rounds: int = 5, requests: int = 10, seed: int = 0
) -> Benchmark:
    """Time requests to every runtime of an exported version that is installed here.

    The runtimes answer by turns, so that a machine that slows down slows all. Images are random: their values change no
    time.

    Args:
        version: The folder of a SavedModel that `export_saved_model` wrote, with the files of its `formats`.
        batches: The numbers of images in a request; each is measured once.
        rounds: The number of turns. Defaults to 5.
        requests: Requests to each runtime in a turn. Defaults to 10.
        seed: Of the images. Defaults to 0.

    Returns:
        Sizes, loads, requests, and what could not be measured.

    Raises:
        ValueError: if the folder is no such version, or lacks a file of its `formats`.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> version = kr.export_saved_model(kr.ResNet([1, 1, 1], (8, 8, 3)), tempfile.mkdtemp())
    >>> found = benchmark(version, batches=[1, 2], rounds=1, requests=2)
    >>> [(each.runtime, each.batch, len(each.seconds)) for each in found.timed]
    [('savedmodel', 1, 2), ('savedmodel', 2, 2)]
    """
    metadata, batches = _metadata(version), list(dict.fromkeys(batches))
    runtimes, missing = _runtimes(version, metadata.get("formats", {}))
    shape, answers, loads = _image_shape(version), {}, {}
    for runtime in runtimes:
        began = time.perf_counter()
        answers[runtime.name] = runtime.open()
        loads[runtime.name] = time.perf_counter() - began
    drawn = np.random.default_rng(seed).integers(0, 256, (max(batches), *shape), dtype=np.uint8)
    timed = [
        Timed(name, batch, seconds)
        for batch in batches
        for name, seconds in _by_turns(answers, drawn[:batch], rounds, requests).items()
    ]
    return Benchmark(runtimes, loads, timed, missing)


def _metadata(version: Path) -> dict:
    """Return what an export states of itself."""
    try:
        return json.loads((version / "metadata.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{version} is no version that `export_saved_model` wrote: {error}.") from error


def _image_shape(version: Path) -> tuple[int, ...]:
    """Return height, width and channels of the images that `serving_default` takes."""
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    shape = tuple(inputs["images"].shape[1:])
    if None in shape:
        raise ValueError(f"{version} takes images of any size, {shape}: a benchmark requires one size.")
    return shape


def _runtimes(version: Path, formats: dict[str, dict]) -> tuple[list[Runtime], dict[str, list[str]]]:
    """Return what can be measured here, and the packages that the rest lacks."""
    served = (version / "saved_model.pb", *(version / "variables").glob("*"))
    found, missing = [Runtime(SERVER, _size(served), partial(_session, version))], {}
    for name, told in formats.items():
        if lacks := [each for each in FORMATS[name].packages if not find_spec(each)]:
            missing[name] = lacks
            continue
        file = version / told["file"]
        if not file.is_file():
            raise ValueError(f"{version} lacks {told['file']}, which its metadata.json names.")
        size = _size({file, *file.parent.glob(f"{file.stem}.bin")})
        found.append(Runtime(name, size, partial(opened, file), told["agreement"]))
    return found, missing


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _session(version: Path) -> Answer:
    """Open a SavedModel as TensorFlow Serving does."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
    signature = loaded.signature_def["serving_default"]
    images, outputs = signature.inputs["images"].name, signature.outputs["probabilities"].name
    return session.make_callable(outputs, feed_list=[images])


def _by_turns(answers: dict[str, Answer], images: np.ndarray, rounds: int, requests: int) -> dict[str, list[float]]:
    """Return the seconds of requests by runtime, after two that are not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    for turn in range(rounds + 1):
        for name, answer in answers.items():
            for _ in range(requests if turn else 2):
                began = time.perf_counter()
                answer(images)
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    return seconds
