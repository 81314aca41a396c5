"""Make a trained network of the package from a run: its file, its row in the table, its card in the documentation.

python tools/pretrained.py runs/fashion-mnist-preactresnet20 preactresnet20:fashion-mnist
python tools/pretrained.py                                      only write the cards again

The file is the run's network in float32, with its normalisation in front; kernels are stored in float16. The accuracy
in the table is that of the file on the test images, loaded as users load it, by `kr.create(NAME)`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shlex
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import keras
import numpy as np

from train.process.startup import importing

with importing():
    import keras_resunits as kr
    from keras_resunits.converters.statistics import Statistics, normalized
    from keras_resunits.zoo.networks import MODELS
    from keras_resunits.zoo.pretrained import FOLDER, TABLE, Pretrained, table
    from train.data.datasets import load
    from train.evaluation.networks import Network, checkpoint_network, chosen_checkpoint
    from train.process.errors import BadInput
    from train.process.files import whole
    from train.run.folder import Run
    from train.settings.config import Config, read
    from train.settings.experiments import experiment

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guide" / "pretrained.md"
MARK = "<!-- tools/pretrained.py writes the rest -->\n"
# values that the program finds by itself
RESOLVED = {"dataset", "class_names", "pad", "flip", "initial_digest", "initial_copy"}
MOST = 20e6  # bytes, of all files together


@dataclass(frozen=True)
class DataSet:
    """What the table states of a data set.

    Args:
        title: Its name.
        licence: Its licence.
        spelled: What `--dataset` was.
        class_names: Names of the classes; `None` for those of the run.
    """

    title: str
    licence: str
    spelled: str
    class_names: tuple[str, ...] | None = None


DATA = {
    "digits": DataSet(
        "scikit-learn's digits (Optical Recognition of Handwritten Digits, UCI; 1,437 train, 360 test)",
        "CC BY 4.0",
        "digits",
    ),
    "fashion-mnist": DataSet(
        "Fashion-MNIST (Zalando Research)",
        "MIT",
        "/usr/share/datasets/fashion-mnist",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10-jpeg": DataSet(
        "CIFAR-10 (JPEG copy: quality 75, not the lossless set)",
        "none stated for the images of CIFAR-10",
        "cifar10-jpeg",
    ),
}


def halved(weights: bytes) -> bytes:
    """A `.weights.h5` file with its kernels in float16."""
    content = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as old, h5py.File(content, "w") as new:

        def copied(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                array = np.asarray(item)
                made = new.create_dataset(name, data=array.astype("float16") if array.ndim > 1 else array)
            else:
                made = new.require_group(name)
            made.attrs.update(item.attrs)

        old.visititems(copied)
    return content.getvalue()


def write(model, class_names: list[str], path: Path) -> None:
    """Write a small `.keras` file of a network that takes pixels; it states the names of its classes too."""
    with tempfile.TemporaryDirectory() as folder, whole(path) as unfinished:
        saved = Path(folder, "net.keras")
        model.save(saved)
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as new:
            metadata = json.loads(old.read("metadata.json"))
            metadata["classifier"] = {"class_names": class_names, "view": "stretch"}
            new.writestr("metadata.json", json.dumps(metadata))
            new.writestr("config.json", old.read("config.json"))
            new.writestr("model.weights.h5", halved(old.read("model.weights.h5")))


def right(model, normalization, test) -> np.ndarray:
    """Which test images a network names rightly."""
    images, labels = test
    logits = model.predict(normalization(images.astype("float32")), batch_size=256, verbose=0)
    return np.argmax(logits, 1) == labels


def statistics_of(normalization) -> Statistics:
    """Mean and deviation of a run's pixels, scaled to 0..1."""
    mean, variance = (np.ravel(each).astype(float) for each in (normalization.mean, normalization.variance))
    return Statistics(tuple((mean / 255).tolist()), tuple((np.sqrt(variance) / 255).tolist()))


def command_of(config: Config, data: DataSet) -> str:
    """The command that trained a run."""
    usual = {**Config().flat, **(experiment(config.config) if config.config else {})}
    own = RESOLVED | {"config"}
    given = {name: value for name, value in config.flat.items() if name not in own and value != usual[name]}
    flags = [
        f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}" for name, value in given.items()
    ]
    begun = [f"--config={config.config}"] if config.config else []
    return shlex.join(["python", "-m", "train", *begun, f"--dataset={data.spelled}", *flags])


def in_float32(network: Network) -> Network:
    """The network in float32, in whatever precision it was trained."""
    keras.config.set_dtype_policy("float32")
    model = network.model
    if model.dtype_policy.name == "float32":
        return network
    settings = json.loads(model.to_json().replace(f'"name": "{model.dtype_policy.name}"', '"name": "float32"'))
    twin = keras.saving.deserialize_keras_object(settings)
    twin.set_weights(model.get_weights())
    return replace(network, model=twin)


def made(run: Run, name: str, data: DataSet) -> Pretrained:
    """Write the file of a trained network, and return its row."""
    checkpoint = chosen_checkpoint(run)
    if checkpoint is None:
        raise BadInput(f"{run.folder} has no checkpoint.")
    config, network = read(run.config), in_float32(checkpoint_network(run, checkpoint))
    chosen = config.network
    family = MODELS[chosen.model].factory.__name__ if chosen.model in MODELS else chosen.model
    arguments = {**(MODELS[chosen.model].arguments if chosen.model in MODELS else {}), **chosen.choices}
    statistics = statistics_of(network.preprocessing)
    shape, names = network.model.input_shape[1:], list(data.class_names or network.class_names)
    row = Pretrained(
        name=name,
        family=family,
        arguments=arguments,
        input_shape=shape,
        class_names=tuple(names),
        mean=statistics.mean,
        std=statistics.deviation,
        data=data.title,
        test_images=0,
        correct=0,
        correct_of_tenths=0,
        parameters=sum(int(np.prod(weight.shape)) for weight in network.model.trainable_weights),
        command=command_of(config, data),
        seed=config.recipe.seed,
        code_licence="Apache-2.0",
        data_licence=data.licence,
        sha256="",
    )
    expected = kr.create(family, input_shape=shape, classes=len(names), **arguments).name
    if name.partition(":")[0] != expected:
        raise BadInput(f"NAME must be {expected}:<weights> for {run.folder}; got {name}.")
    test = load(config.source, seed=config.recipe.seed).test
    write(normalized(network.model, statistics), names, row.file)
    loaded = kr.create(family, weights=row.file, input_shape=shape, classes=len(names), **arguments)
    trained, found = (right(model, row.normalization(), test) for model in (network.model, loaded))
    print(f"{name}: {np.mean(trained):.2%} in float32, {np.mean(found):.2%} in the file ({len(found):,} test images)")
    digest = hashlib.sha256(row.file.read_bytes()).hexdigest()
    counts = {"test_images": len(found), "correct": int(found.sum()), "correct_of_tenths": int(found[::10].sum())}
    row = replace(row, sha256=digest, **counts)
    enter(row)
    again = right(kr.create(name), kr.pretrained(name).normalization(), test)
    if not np.array_equal(again, found):
        raise BadInput(f"kr.create({name!r}) names {again.sum()} rightly, but the file {found.sum()}.")
    return row


def enter(row: Pretrained) -> None:
    """Write a row into the table, in the place of one of the same name."""
    rows = {**table(), row.name: row}
    size = sum(each.file.stat().st_size for each in rows.values())
    if size > MOST:
        raise BadInput(f"all files must be at most {MOST / 1e6:.0f} MB; with '{row.name}' they have {size / 1e6:.1f}.")
    with whole(FOLDER / TABLE) as unfinished:
        text = json.dumps([rows[name].to_dict() for name in sorted(rows)], indent=2)
        unfinished.write_text(f"{text}\n")
    table.cache_clear()


def cards(rows: list[Pretrained]) -> str:
    """The table of all trained networks and a card for each, in Markdown."""
    listed = [
        f"| [`{row.name}`](#{row.name.replace(':', '')}) | {row.data.partition(' (')[0]} | {row.parameters:,} "
        f"| {row.accuracy:.2%} | {row.file.stat().st_size / 1e6:.2f} MB |"
        for row in rows
    ]
    heading = ["| name | data | parameters | test accuracy | file |", "|---|---|---:|---:|---:|"]
    return "\n".join([*heading, *listed, "", *map(card, rows)])


def card(row: Pretrained) -> str:
    """A trained network's card."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in row.arguments.items())
    sides = " x ".join(map(str, row.input_shape))
    facts = {
        "network": f'`kr.{row.family}({arguments}, weights="{row.weights}")`, {row.parameters:,} parameters',
        "data": f"{row.data}; licence: {row.data_licence}",
        "images": f"{sides}; classes {', '.join(row.class_names)}",
        "normalisation": f"mean {_listed(row.mean)}, deviation {_listed(row.std)}, of pixels scaled to 0..1",
        "test accuracy": f"{row.accuracy:.2%} ({row.correct:,} of {row.test_images:,}); one run, seed {row.seed}",
        "command": f"`{row.command}`",
        "licence of code and weights": row.code_licence,
        "SHA-256": f"`{row.sha256}`",
    }
    lines = [f"| {name} | {fact} |" for name, fact in facts.items()]
    return "\n".join([f"## `{row.name}`", "", "| | |", "|---|---|", *lines, ""])


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.4f}" for number in numbers)


def page() -> str:
    """The documentation's page, with the cards of the table."""
    head, mark, _ = PAGE.read_text().partition(MARK)
    return f"{head}{mark}\n{cards(list(table().values()))}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="the folder of a finished run")
    parser.add_argument("name", nargs="?", help=f"<network>:<weights>; weights are {', '.join(DATA)}")
    given = parser.parse_args()
    if given.run is not None:
        data = DATA.get((given.name or "").partition(":")[2])
        if data is None:
            parser.error(f"NAME must end in {', '.join(f':{name}' for name in DATA)}; got {given.name}")
        try:
            made(Run.at(given.run.resolve()), given.name, data)
        except (BadInput, OSError, ValueError) as error:
            print(f"pretrained: {error}", file=sys.stderr)
            return 2
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
