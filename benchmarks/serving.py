"""Time requests to exported networks: this package's export beside Keras' export of the same network of stock layers.

    python -m benchmarks.serving --rounds=5 --forms float32 bfloat16

Each is loaded by TensorFlow's session loader, as TensorFlow Serving does, and answers by turns in one process. A figure
is the median over the rounds of the ratio of the two median requests. Keras' export is in float32. Beside it stand CPU
seconds of export and load, the size on the disk relative to the weights, and the number of operations of a request.
Traced requests tell the share of convolutions, which no graph can spare. The form "constants" has all weights as
constants, where an export of more than 32 MB keeps the large ones as variables.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np

import keras_resunits as kr
from benchmarks.loading import Served
from benchmarks.training_step.stock_keras import preact_bottleneck
from keras_resunits.serving import weights as placing


@dataclass(frozen=True)
class Network:
    """A network of this package and the same one of stock Keras layers, and the batches that are measured."""

    ours: Callable[[], keras.Model]
    stock: Callable[[], keras.Model]
    batches: tuple[int, ...]


FORMS = {
    "float32": ("float32", placing.LARGEST_CONSTANTS),
    "bfloat16": ("bfloat16", placing.LARGEST_CONSTANTS),
    "constants": ("float32", math.inf),
}
"""Of our export: the precision, and the most bytes of weights that are constants."""

NETWORKS = {
    "PreActResNet-164": Network(lambda: kr.PreActResNet(164), lambda: preact_bottleneck(164), (1, 64)),
    "ResNet-50": Network(
        lambda: kr.ResNet(50, (224, 224, 3), 1000, stem="imagenet"),
        lambda: keras.applications.ResNet50(weights=None, classifier_activation=None),
        (1, 16),
    ),
}


def trained(model: keras.Model) -> keras.Model:
    """Return the model with norms as training leaves them: no scale is 1 and no shift 0."""
    rng = np.random.default_rng(0)
    draws = {
        "gamma": lambda shape: rng.uniform(0.5, 1.5, shape),
        "beta": lambda shape: rng.normal(0.0, 0.3, shape),
        "moving_mean": lambda shape: rng.normal(0.0, 0.3, shape),
        "moving_variance": lambda shape: rng.uniform(0.5, 2.0, shape),
    }
    for variable in model.variables:
        if variable.name in draws:
            variable.assign(draws[variable.name](variable.shape))
    return model


def exported(write: Callable[[], Path], weights: int) -> tuple[Served, str]:
    """Export and load a network, and describe what that took."""
    began = time.process_time()
    directory = write()
    export = time.process_time() - began
    served = Served(directory)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    text = f"export {export:.1f} s, load {served.load_seconds:.2f} s, {size / 1e6:.1f} MB, {size / weights:.2f} of the "
    return served, f"{text}weights, {served.operations} operations"


def compare(network: Network, rounds: int, requests: int, forms: Sequence[str]) -> None:
    """Measure one network and print its figures."""
    with tempfile.TemporaryDirectory() as folder:
        ours, stock = trained(network.ours()), trained(network.stock())
        weights = sum(np.prod(v.shape) * 4 for v in ours.variables)
        shape = ours.input_shape[1:]
        theirs, text = exported(lambda: _stock(stock, Path(folder) / "stock"), weights)
        print(f"  stock: {text}")
        mine = {}
        for form in forms:
            precision, placing.LARGEST_CONSTANTS = FORMS[form]
            write = partial(kr.export_saved_model, ours, Path(folder) / form, serving_precision=precision)
            mine[form], text = exported(write, weights)
            print(f"  ours, {form}: {text}")
        for batch in network.batches:
            images = _images(batch, shape)
            for served in (theirs, *mine.values()):
                served.seconds(images), served.seconds(images)  # optimises the graph for this size
            turns = [
                [[served.seconds(images) for served in (theirs, *mine.values())] for _ in range(requests)]
                for _ in range(rounds)
            ]
            stock, *own = np.median(turns, 1).T  # of each round
            print(f"  batch {batch}: stock {1000 * np.median(stock):.1f} ms")
            for form, seconds in zip(mine, own, strict=True):
                ratios, took = stock / seconds, 1000 * np.median(seconds)
                ratio = f"{np.median(ratios):.2f}x ({ratios.min():.2f} to {ratios.max():.2f})"
                convolved = np.median([mine[form].convolved(images) for _ in range(rounds)])
                print(f"    ours, {form}: {took:.1f} ms, {ratio}, {convolved:.0%} convolutions")


def _images(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _stock(model: keras.Model, directory: Path) -> Path:
    model.export(directory, format="tf_saved_model", verbose=False)
    return directory


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20, help="of either export in a round")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["float32"], help="of our export")
    args = parser.parse_args()
    for name in args.networks:
        print(name)
        compare(NETWORKS[name], args.rounds, args.requests, args.forms)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
