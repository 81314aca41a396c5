"""Time the input pipeline: images a second, and images a second of processor time, for CIFAR and for ImageNet's sizes.

    python -m benchmarks.input_pipeline --rounds=5
    PYTHONPATH=FOLDER_WITH_KERAS_CV python -m benchmarks.input_pipeline --rounds=5 --peers
    python -m benchmarks.input_pipeline --rounds=1 --needs_cifar=500 --needs_imagenet=2500

A round measures every row once, one after the other, so that a machine that drifts is unjust to none; the table has the
medians. "A core" is images over the processor time that the whole process took, which other work on the machine hardly
disturbs; "needed" is the rate of the training step, given, or measured here where it is not: PreActResNet-164 for
CIFAR, ResNet-50 for ImageNet, at a batch that fits.

The images are not photographs: CIFAR's are noise, for which every operation takes the same time; the JPEGs are coarse
noise made smooth, with grain, of ImageNet's mean size (500 x 375 and around, quality 90, about 110 kB), made anew. The
last rows have them stored again, with a shorter side of 256.
The `--peers` are keras-cv's and Keras' own layers inside tf.data, on batches that were cropped and mirrored as ours.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import train  # noqa: F401, I001 -- says how TensorFlow starts

import numpy as np
import tensorflow as tf

from benchmarks.machine import machine
from train.data.augmentation import Augmentation
from train.data.datasets import ImageData
from train.data.datasets.decoding import VIEWS
from train.data.datasets.encoded import EncodedData, from_files
from train.data.batches import test_batches, training_batches

CLASSES = 10
STORED = 256  # pixels of the shorter side of images that were made smaller before
CIFAR = {
    "pad, crop, flip": Augmentation(pad=4, flip=True),
    "resized crop, flip": Augmentation(crop="resized", flip=True),
    "+ label smoothing": Augmentation(pad=4, flip=True, label_smoothing=0.1),
    "+ MixUp": Augmentation(pad=4, flip=True, mixup=0.2),
    "+ CutMix": Augmentation(pad=4, flip=True, cutmix=1.0),
    "+ random erasing": Augmentation(pad=4, flip=True, erasing=0.5),
    "+ RandAugment": Augmentation(pad=4, flip=True, randaugment=9.0),
    "all": Augmentation(4, True, randaugment=9.0, erasing=0.5, mixup=0.2, cutmix=1.0, label_smoothing=0.1),
}
IMAGENET = {
    "resized crop, flip": Augmentation(crop="resized", flip=True),
    "+ MixUp, CutMix": Augmentation(crop="resized", flip=True, mixup=0.2, cutmix=1.0),
    "+ RandAugment": Augmentation(crop="resized", flip=True, randaugment=9.0),
}


def rate(batches: tf.data.Dataset, seconds: float) -> tuple[float, float]:
    """`(images a second, images a second of processor time)` of an endless stream, after its first batches."""
    stream = iter(batches)
    for _ in range(3):
        next(stream)
    images, began, work = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        images += len(next(stream)[1])
    return images / (time.perf_counter() - began), images / (time.process_time() - work)


def cifar() -> ImageData:
    """50,000 images of noise, 32 x 32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(50_000) % CLASSES
    return ImageData((images, labels), (images[:10_000], labels[:10_000]), [str(i) for i in range(CLASSES)])


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEGs of the sizes and weight of ImageNet's, both ways up."""
    from PIL import Image

    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        width, height = (int(side * rng.uniform(0.8, 1.2)) for side in ((500, 375), (375, 500))[i % 4 == 0])
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        pixels = np.clip(smooth + rng.normal(0, 15, (height, width, 1)), 0, 255).astype(np.uint8)
        paths.append(folder / f"{i}.jpg")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        paths[-1].write_bytes(buffer.getvalue())
    return paths


def shortened(paths: list[Path], side: int) -> list[Path]:
    """The same stored again with this shorter side, beside them."""
    from PIL import Image

    stored = [path.with_stem(f"{path.stem}-{side}") for path in paths]
    for path, smaller in zip(paths, stored, strict=True):
        with Image.open(path) as image:
            size = [round(length * side / min(image.size)) for length in image.size]
            image.resize(size, Image.Resampling.BICUBIC).save(smaller, "JPEG", quality=90)
    return stored


def rows(folder: Path, count: int, peers: bool, batch: int) -> dict[tuple[str, str], tf.data.Dataset]:
    """`{(what, with what): an endless stream}`."""
    small, paths = cifar(), photographs(folder, count)
    weight = statistics.mean(path.stat().st_size for path in paths) / 1000
    print(f"{count} JPEGs of {weight:.0f} kB on average", file=sys.stderr)
    split = from_files(paths, [i % CLASSES for i in range(count)])
    found = {("CIFAR", name): training_batches(small, batch, chosen, 0) for name, chosen in CIFAR.items()}
    if peers:
        found |= {("CIFAR", name): stream for name, stream in peer_streams(small, batch).items()}
    for protocol in VIEWS:
        large = EncodedData(split, split, small.class_names, 224, protocol)
        found["ImageNet", f"test view: {protocol}"] = test_batches(large, min(batch, 16)).repeat()
    for name, chosen in IMAGENET.items():
        found["ImageNet", name] = training_batches(large, batch, chosen, 0)
    split = from_files(shortened(paths, STORED), [i % CLASSES for i in range(count)])
    smaller = EncodedData(split, split, small.class_names, 224, "central")
    for name, chosen in IMAGENET.items():
        found["ImageNet", f"{name}, stored at {STORED}"] = training_batches(smaller, batch, chosen, 0)
    return found


def peer_streams(data: ImageData, batch: int) -> dict[str, tf.data.Dataset]:
    """The same by layers of keras-cv, where it is installed, and of Keras."""
    import keras

    layers = {
        "+ MixUp, Keras": keras.layers.MixUp(0.2),
        "+ CutMix, Keras": keras.layers.CutMix(1.0),
        "+ random erasing, Keras": keras.layers.RandomErasing(0.5),
        "+ RandAugment, Keras": keras.layers.RandAugment(num_ops=2, factor=0.3),
    }
    try:
        import keras_cv
    except ImportError:
        print("keras-cv is not installed", file=sys.stderr)
    else:
        layers |= {
            "+ MixUp, keras-cv": keras_cv.layers.MixUp(0.2),
            "+ CutMix, keras-cv": keras_cv.layers.CutMix(1.0),
            "+ random erasing, keras-cv": keras_cv.layers.RandomCutout(0.5, 0.5),
            "+ RandAugment, keras-cv": keras_cv.layers.RandAugment((0, 255), augmentations_per_image=2, magnitude=0.3),
        }
    cropped = training_batches(data, batch, CIFAR["pad, crop, flip"], 0)

    def through(layer):
        def apply(images, labels):
            floats = {"images": tf.cast(images, tf.float32), "labels": tf.one_hot(labels, CLASSES)}
            done = layer(floats, training=True)
            return done["images"], done["labels"]

        return cropped.map(apply, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    return {name: through(layer) for name, layer in layers.items()}


def step_rate(model: str, depth: int, shape: tuple[int, int, int], batch: int) -> float:
    """Images a second of the training step."""
    import keras

    from keras_resunits import create
    from train.step.trainer import Trainer

    network = create(model, depth=depth, input_shape=shape, classes=CLASSES)
    trainer = Trainer(network, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(0.01))
    images, labels = tf.zeros([batch, *shape], tf.uint8), tf.zeros([batch], tf.int64)
    step = partial(trainer.train_step, images, labels, tf.constant(0.0))
    step()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        step().numpy()
        seconds.append(time.perf_counter() - began)
    return batch / statistics.median(seconds)


def table(results: dict[tuple[str, str], list[tuple[float, float]]], needs: dict[str, float]) -> str:
    """Medians, as Markdown."""
    lines = ["| images | | images/s | images/s a core | needed |", "|---|---|---:|---:|---:|"]
    for (what, name), seen in results.items():
        wall, core = (statistics.median(figures) for figures in zip(*seen, strict=True))
        lines.append(f"| {what} | {name} | {wall:,.0f} | {core:,.0f} | {needs[what]:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each row")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--jpegs", type=int, default=256, help="how many to make")
    parser.add_argument("--batch", type=int, default=128, help="images a batch, even")
    parser.add_argument("--peers", action="store_true", help="measure Keras' and keras-cv's layers too")
    parser.add_argument("--needs_cifar", type=float, help="images/s of the training step; measured if not given")
    parser.add_argument("--needs_imagenet", type=float, help="the same for ImageNet")
    args = parser.parse_args()
    needs = {
        "CIFAR": args.needs_cifar or step_rate("PreActResNet", 164, (32, 32, 3), 64),
        "ImageNet": args.needs_imagenet or step_rate("ResNet", 50, (224, 224, 3), 8),
    }
    with tempfile.TemporaryDirectory() as folder:
        streams = rows(Path(folder), args.jpegs, args.peers, args.batch)
        results: dict[tuple[str, str], list[tuple[float, float]]] = {row: [] for row in streams}
        for i in range(args.rounds):
            for row, seen in results.items():
                seen.append(rate(streams[row], args.seconds))
                wall, core = seen[-1]
                print(f"round {i + 1}/{args.rounds}  {' '.join(row):<40}{wall:>10,.0f}{core:>10,.0f}", file=sys.stderr)
    print(f"{machine()}; {args.rounds} rounds\n\n{table(results, needs)}")


if __name__ == "__main__":
    main()
