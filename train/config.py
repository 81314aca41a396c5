"""Flags, and the one resolved configuration that they become."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from absl import flags

from train.errors import BadInput, say
from train.experiments import experiment
from train.files import whole
from train.strategy import STRATEGIES

FLAGS = flags.FLAGS

# the flags stand in the order of the pipeline; --help shows them under these headings, each before its first flag
GROUPS = {
    "config": "Experiment",
    "dataset": "Data",
    "pad": "Augmentation",
    "model": "Network",
    "epochs": "Recipe",
    "resume": "Loop, faults, export",
    "output": "Places",
}

flags.DEFINE_string(
    "config",
    None,
    "An experiment of train/configs by name, or a .py file of yours like them: values for these flags. Flags that are "
    "given override it.",
)
flags.DEFINE_bool("smoke", False, "The experiment's smoke twin: the same in seconds, on tiny data.")
flags.DEFINE_string(
    "dataset",
    "digits",
    "What to train on: 'digits' (scikit-learn's handwritten digits), the name of a tensorflow-datasets image "
    "classification set ('cifar10'), a folder of images (train/<class>/*, test/<class>/*; JPEG or PNG), a folder of "
    "IDX files (train-images-idx3-ubyte, ...; .gz or not), or an .npz file with x_train, y_train, x_test, y_test.",
)
flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its sets; its own default if not given.")
flags.DEFINE_integer(
    "image_size",
    None,
    "Resize the images of a folder or a tensorflow-datasets set to this height and width, in pixels.",
    lower_bound=1,
)
flags.DEFINE_list("class_names", None, "Names of the classes, in the order of the labels, separated by commas.")
flags.DEFINE_bool(
    "skip_bad_images",
    False,
    "Leave out images of a folder that cannot be read, instead of stopping; under --crop=resized all are decoded once "
    "at the start to find them.",
)
flags.DEFINE_enum(
    "test_view",
    None,
    ["paper", "central", "ten_crop"],
    "How an image of any size is looked at to test: the centre after its shorter side is 256, as the paper (default); "
    "7/8 of the central square; or the mean over ten crops. Sizes are for views of 224.",
)
flags.DEFINE_integer(
    "pad",
    None,
    "Pixels that a training image may be shifted by; by default 4, less for images smaller than 28 (1 at 8).",
)
flags.DEFINE_bool(
    "flip",
    None,
    "Mirror half of the training images; by default yes, unless the name speaks of digits or letters "
    "(digits, mnist, svhn, ...).",
)
flags.DEFINE_enum(
    "crop",
    "pad",
    ["pad", "resized"],
    "Training crops: windows of the padded image (see --pad), or windows of any size and shape, resized, which folders "
    "and tensorflow-datasets sets of images of any size may be trained on (to --image_size, by default 224).",
)
flags.DEFINE_float("crop_area", 0.08, "The least part of an image that a resized crop shows.", 0.0, 1.0)
flags.DEFINE_float("randaugment", 0.0, "RandAugment's magnitude, up to 30; 0 for none.", 0.0, 30.0)
flags.DEFINE_integer("randaugment_ops", 2, "RandAugment's operations an image.", lower_bound=1)
flags.DEFINE_float("erasing", 0.0, "How likely a rectangle of a training image is erased.", 0.0, 1.0)
flags.DEFINE_float("mixup", 0.0, "MixUp's alpha (0.2 on ImageNet); 0 for none.", lower_bound=0.0)
flags.DEFINE_float("cutmix", 0.0, "CutMix's alpha (1 in the paper); 0 for none.", lower_bound=0.0)
flags.DEFINE_float("label_smoothing", 0.0, "What the true class gives away to all, evenly.", 0.0, 1.0)
flags.DEFINE_string(
    "model",
    "PreActResNet",
    "The network's family (PreActResNet, ResNet, WideResNet, DenseNet, ...), or a network by name (resnet110_dropout).",
)
flags.DEFINE_integer(
    "depth",
    None,
    "The network's depth, in weight layers: 20, 56, 110, 164, ...; 18, 50, ...; by default 20 for PreActResNet and "
    "ResNet, else the family's own.",
)
flags.DEFINE_integer("width", None, "Multiplies the filters of every stage.", lower_bound=1)
flags.DEFINE_string("block", None, "The branch: basic, bottleneck, ...; by default the paper's for the depth.")
flags.DEFINE_string("order", None, "The order of norm, activation, weights (full_pre_act, post_act, ...).")
flags.DEFINE_string("shortcut", None, "The shortcut: zero_pad, projection, ...; by default the paper's.")
flags.DEFINE_string("merge", None, "How the paths meet: add, branch_only, exclusive_gating, ...")
flags.DEFINE_string("tail", None, "What ends the branch: residual_gate, stochastic_depth, squeeze_excite, ...")
flags.DEFINE_string("stem", None, "What precedes the first unit: cifar, imagenet, imagenet_3x3.")
flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16", "mixed_float16"], "Keras' dtype policy for the network."
)
flags.DEFINE_integer("epochs", None, "Epochs in all; by default 40 for digits, else 164 as in the authors' code.")
flags.DEFINE_integer(
    "batch_size",
    None,
    "Images a step, of all devices; by default 128 as in the paper, less for a small set: at least 16 steps an epoch.",
)
flags.DEFINE_float("learning_rate", 0.1, "The highest rate; --schedule says how it is reached and left.")
flags.DEFINE_enum(
    "schedule",
    "steps",
    ["steps", "cosine", "one_cycle"],
    "The rate over the run: the papers' warm-up and drops, a cosine after a linear warm-up, or Smith's 1cycle.",
)
flags.DEFINE_float(
    "warm_up",
    None,
    "The part of the run that warms up (0 for none); by default 1/160 at a tenth of the rate for steps, as in the "
    "paper, and 1/18 rising from zero for cosine.",
    lower_bound=0.0,
)
flags.DEFINE_list("drops", None, "Parts of the run after which steps lowers the rate tenfold; 0.5,0.75 by default.")
flags.DEFINE_float("momentum", 0.9, "Of SGD.", 0.0, 1.0)
flags.DEFINE_bool("nesterov", True, "Whether SGD's momentum looks ahead, as in the authors' code.")
flags.DEFINE_float("weight_decay", 1e-4, "Coupled, on all parameters but scalar gates.", lower_bound=0.0)
flags.DEFINE_float("clip_norm", None, "Gradients are scaled down to this global norm where theirs is larger.")
flags.DEFINE_integer("accumulate", 1, "Batches whose mean gradient makes one update.", lower_bound=1)
flags.DEFINE_float(
    "ema", None, "Average the weights with this decay, 0.999 say; the averages are tested beside them, and exported."
)
flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", 0, 2**32 - 1)
flags.DEFINE_bool(
    "resume",
    False,
    "Go on from the run's last checkpoint, with the flags it was started with; those of places, below, are to be given "
    "again. With --run=NAME a run that was not begun yet begins, so that one command serves for both.",
)
flags.DEFINE_integer(
    "checkpoint_every", None, "Save every so many steps too, not after each epoch alone.", lower_bound=1
)
flags.DEFINE_integer("keep", 3, "How many of the newest checkpoints stay, beside the best.", lower_bound=1)
flags.DEFINE_enum(
    "on_nan",
    "stop",
    ["stop", "rollback", "skip"],
    "What becomes of a step whose loss or gradient is no number: the run stops, or goes back to the last checkpoint "
    "and on without that batch, or undoes that step alone (which keeps a copy of the state on the device).",
)
flags.DEFINE_bool(
    "export",
    True,
    "Export the trained network and check that what serves answers as it does; a run of --noexport is exported by "
    "--resume.",
)
flags.DEFINE_string("output", ".", "The folder that gets runs/<run>/ and saved_models/<run>/<version>/.")
flags.DEFINE_string("run", None, "The run's name; by default the dataset, family and depth, numbered if taken.")
flags.DEFINE_enum(
    "strategy",
    "auto",
    STRATEGIES,
    "Where to compute: one device; all GPUs of this machine; several machines, from TF_CONFIG or Slurm; a TPU. auto "
    "takes what is there and says what it took. --batch_size is shared by all.",
)
flags.DEFINE_string("tpu", "", "The TPU's name, or local; by default TPU_NAME, or local without it.")
flags.DEFINE_integer(
    "cpu_devices",
    1,
    "Splits the processor into so many devices, to try --strategy=mirrored without GPUs.",
    lower_bound=1,
)
flags.DEFINE_float(
    "startup_timeout",
    300.0,
    "Seconds to wait for all workers to appear, for the first step, and for a save.",
    lower_bound=1.0,
)
flags.DEFINE_float(
    "worker_timeout", 25.0, "Seconds that a step of several workers may take: after them one is stuck.", lower_bound=1.0
)


# how a run survives: one that is resumed may be given another way
SURVIVAL = ("checkpoint_every", "keep", "on_nan")
# what may differ between two runs of equal numbers: names, places, faults
DECIDES_NO_NUMBER = frozenset({"config", "smoke", "class_names", "data_dir", *SURVIVAL})


@dataclass(frozen=True)
class Config:
    """All that a run depends on. `None` stands for a default that depends on the data, or for the network's own."""

    dataset: str
    data_dir: str | None
    image_size: int | None
    class_names: list[str] | None
    skip_bad_images: bool
    model: str
    depth: int | None
    block: str | None
    order: str | None
    shortcut: str | None
    merge: str | None
    tail: str | None
    width: int | None
    stem: str | None
    epochs: int
    batch_size: int | None
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    pad: int | None
    flip: bool | None
    crop: str
    crop_area: float
    randaugment: float
    randaugment_ops: int
    erasing: float
    mixup: float
    cutmix: float
    label_smoothing: float
    test_view: str | None
    precision: str
    seed: int
    config: str | None = None
    smoke: bool = False
    schedule: str = "steps"
    warm_up: float | None = None
    drops: list[float] | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    ema: float | None = None
    checkpoint_every: int | None = None
    keep: int = 3
    on_nan: str = "stop"

    @property
    def shows_characters(self) -> bool:
        """Whether the dataset's name speaks of digits or letters, which mirrored are others."""
        name = Path(self.dataset).name.lower()
        return "fashion" not in name and any(word in name for word in ("digit", "mnist", "svhn", "omniglot"))

    def resolved(
        self, image_shape: tuple[int, int, int], images: int, class_names: list[str], resumed: bool = False
    ) -> Config:
        """The configuration with what depends on the data filled in.

        Args:
            image_shape: `(height, width, channels)`.
            images: How many there are to train on.
            class_names: One for each class.
            resumed: Whether the run chose these values when it began; that other data no longer allow them is told by
                what compares the data.

        Raises:
            BadInput: if the batch that was asked for is larger than the set, the run shorter than an update, or an
                augmentation does not fit.
        """
        batch = min(self.batch_size or default_batch(images), images)
        small_twin = self.smoke and not FLAGS["batch_size"].present  # an experiment's batch, a few images
        if self.batch_size and self.batch_size > images and not small_twin and not resumed:
            raise BadInput(f"--batch_size={self.batch_size} is larger than the training set of {images} images.")
        if self.pad and self.crop == "pad" and self.pad >= min(image_shape[:2]) and not resumed:
            raise BadInput(f"--pad={self.pad} must be less than an image's side; the images are {image_shape[:2]}.")
        if self.accumulate > self.epochs * (images // batch):
            raise BadInput(f"--accumulate={self.accumulate} batches are more than the run has: no update is made.")
        if (self.mixup or self.cutmix) and batch % 2:
            raise BadInput(f"--mixup and --cutmix mix neighbours and want an even --batch_size; got {batch}.")
        if self.randaugment and image_shape[2] not in (1, 3):
            raise BadInput(f"--randaugment wants images of 1 or 3 channels; got {image_shape[2]}.")
        return replace(
            self,
            batch_size=batch,
            pad=self._default_pad(image_shape) if self.pad is None else self.pad,
            flip=not self.shows_characters if self.flip is None else self.flip,
            class_names=class_names,
        )

    def _default_pad(self, image_shape: tuple[int, int, int]) -> int:
        return min(4, round(min(image_shape[:2]) / 8)) if self.crop == "pad" else 0

    @property
    def default_run(self) -> str:
        """The run's name if the user gives none: the experiment's, or `cifar10-preactresnet20`."""
        if self.config:
            return Path(self.config).stem + "-smoke" * self.smoke
        dataset = Path(self.dataset.replace(":", "-")).resolve().name.removesuffix(".npz")
        return f"{dataset}-{self.model.lower()}{self.depth or ''}"

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides the numbers, by name."""
        return _deciding(asdict(self))

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all that decides the numbers.

        Choices left open (`None`) do not count, so that a flag that is added later changes no fingerprint by being
        there.
        """
        return fingerprint_of(asdict(self))

    def save(self, path: Path) -> None:
        """Write as JSON, with the fingerprint."""
        with whole(path) as unfinished:
            unfinished.write_text(json.dumps({**asdict(self), "fingerprint": self.fingerprint}, indent=2) + "\n")

    def __str__(self) -> str:
        shown = {**asdict(self), "fingerprint": self.fingerprint}
        return "\n".join(f"  {name:<16}{value}" for name, value in shown.items() if value is not None)


def _deciding(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in DECIDES_NO_NUMBER}


def fingerprint_of(values: dict[str, Any]) -> str:
    """The fingerprint of a configuration's values by name; see `Config.fingerprint`."""
    decides = {name: value for name, value in _deciding(values).items() if value is not None}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def default_batch(images: int) -> int:
    """The paper's 128, or the power of two that gives a smaller set 16 steps an epoch; at least 2.

    >>> [default_batch(images) for images in (50_000, 1437, 100, 6)]
    [128, 64, 4, 2]
    """
    return min(128, 2 ** int(math.log2(max(images / 16, 2))))


def resolve(saved: Path | None = None) -> Config:
    """The configuration that the flags ask for.

    Args:
        saved: The configuration of the run that is resumed: it stands wherever a flag is not given.

    Raises:
        BadInput: for a value out of its range, or a flag that contradicts the resumed run.
    """
    values: dict[str, Any] = _at_home({field.name: FLAGS[field.name].value for field in fields(Config)})
    values["drops"] = _parts("drops", values["drops"])
    values = _at_home(_experiment(values)) if saved is None else _resumed(values, _saved(saved), saved)
    if values["depth"] is None and values["model"] in ("PreActResNet", "ResNet"):
        values["depth"] = 20
    if values["epochs"] is None:
        values["epochs"] = 40 if values["dataset"] == "digits" else 164
    for name in ("epochs", "batch_size", "learning_rate", "clip_norm", "crop_area"):
        if values[name] is not None and not values[name] > 0:
            raise BadInput(f"--{name} must be > 0, got {values[name]}.")
    chances = ("crop_area", "randaugment", "erasing", "mixup", "cutmix", "label_smoothing")
    for name in ("learning_rate", "momentum", "weight_decay", "clip_norm", "warm_up", *chances):
        if values[name] is not None and not math.isfinite(values[name]):
            raise BadInput(f"--{name} must be finite, got {values[name]}.")
    for name in ("startup_timeout", "worker_timeout"):
        if not math.isfinite(FLAGS[name].value or 0):
            raise BadInput(f"--{name} must be finite, got {FLAGS[name].value}.")
    if values["pad"] is not None and values["pad"] < 0:
        raise BadInput(f"--pad must be >= 0, got {values['pad']}.")
    if values["pad"] and values["crop"] == "resized" and saved is None:
        raise BadInput(f"--pad={values['pad']} means nothing for --crop=resized.")
    _check_schedule(values)
    return Config(**values)


def _at_home(values: dict[str, Any]) -> dict[str, Any]:
    """The values, `~` in paths being the user's folder, which no shell makes of `--dataset=~/images`."""
    return values | {name: values[name] and os.path.expanduser(values[name]) for name in ("dataset", "data_dir")}


def _experiment(values: dict[str, Any]) -> dict[str, Any]:
    """The flags' values with those of `--config` wherever a flag is not given."""
    if not values["config"]:
        if values["smoke"]:
            raise BadInput("--smoke needs --config: it is an experiment's smoke twin.")
        return values
    chosen = experiment(values["config"], values["smoke"])
    for name, value in chosen.items():
        if value is None or FLAGS[name].present:
            continue
        try:
            values[name] = _parts(name, value) if name == "drops" else FLAGS[name].parser.parse(value)
        except (ValueError, TypeError) as error:
            raise BadInput(f"--config={values['config']}: {name}={value!r}: {error}.") from None
    return values


def _parts(name: str, given: list | None) -> list[float] | None:
    """A list flag's values as numbers."""
    try:
        return given and [float(part) for part in given]
    except (ValueError, TypeError):
        raise BadInput(f"--{name}={given}: wanted numbers, separated by commas.") from None


def _check_schedule(values: dict[str, Any]) -> None:
    """Refuse parts of the run that do not follow each other, and those that the schedule does not heed."""
    heeded = {"steps": {"warm_up", "drops"}, "cosine": {"warm_up"}, "one_cycle": set()}[values["schedule"]]
    for name in ("warm_up", "drops"):
        if values[name] is not None and name not in heeded:
            raise BadInput(f"--{name} means nothing for --schedule={values['schedule']}.")
    parts = [values["warm_up"] or 0.0, *(values["drops"] or ()), 1.0]
    if not all(before < after for before, after in itertools.pairwise(parts)):
        raise BadInput(
            f"--warm_up and --drops must be parts of the run, rising from 0 to 1; "
            f"got warm_up={values['warm_up']}, drops={values['drops']}."
        )
    if values["ema"] is not None and not 0 < values["ema"] < 1:
        raise BadInput(f"--ema must be between 0 and 1, got {values['ema']}.")


def read(path: Path) -> Config:
    """A run's configuration as it was saved; flags that came later have their defaults.

    Raises:
        BadInput: if it cannot be read.
    """
    return replace(defaults(), **_saved(path))


def defaults() -> Config:
    """Every flag's default; what depends on the data is open."""
    values: dict[str, Any] = {field.name: FLAGS[field.name].default for field in fields(Config)}
    return Config(**values)


def _saved(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None
    if not isinstance(saved, dict):
        raise BadInput(f"{path} holds no configuration.")
    fingerprint = saved.pop("fingerprint", None)
    unknown = sorted(set(saved) - {field.name for field in fields(Config)})
    if unknown:
        raise BadInput(f"{path} is of another version: it has {', '.join(unknown)}.")
    hints = get_type_hints(Config)
    for name, value in saved.items():
        if not _is_a(value, hints[name]):
            wanted = getattr(hints[name], "__name__", hints[name])
            raise BadInput(f"{path} is damaged: wanted {wanted} for {name}; got {value!r}.")
    if fingerprint != fingerprint_of(saved):
        raise BadInput(
            f"{path} was changed: its values have the fingerprint {fingerprint_of(saved)}, and it was written with "
            f"{fingerprint}. Put the run's own values back, or take another --run."
        )
    return saved


def _is_a(value, hint) -> bool:
    """Whether JSON's value is of a field's type.

    >>> _is_a(None, int | None), _is_a(0, float), _is_a(None, int), _is_a(True, int), _is_a(["a", 1], list[str])
    (True, True, False, False, False)
    """
    if isinstance(hint, UnionType):
        return any(_is_a(value, each) for each in get_args(hint))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_is_a(each, *get_args(hint)) for each in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _compare_experiment(values: dict[str, Any], saved: dict[str, Any]) -> None:
    """Say where an experiment's file asks for other values than the run that goes on with its own."""
    asked = {name: value for name, value in values.items() if not FLAGS[name].present and value != FLAGS[name].default}
    other = {name: value for name, value in asked.items() if value != saved.get(name)}
    if other:
        theirs, own = (", ".join(f"{name}={where.get(name)}" for name in other) for where in (other, saved))
        say(f"--config={values['config']} has {theirs}: the run goes on with the {own} that it began with.")


def _resumed(flag_values: dict[str, Any], saved: dict[str, Any], path: Path) -> dict[str, Any]:
    given = {name: value for name, value in flag_values.items() if FLAGS[name].present}
    if "config" in given and given["config"] == saved.get("config"):
        _compare_experiment(_at_home(_experiment({**flag_values, "smoke": saved.get("smoke", False)})), saved)
    changed = [name for name, value in given.items() if name not in ("epochs", *SURVIVAL) and saved.get(name) != value]
    if changed:
        now, then = (", ".join(f"{name}={values.get(name)}" for name in changed) for values in (given, saved))
        raise BadInput(f"--{now.replace(', ', ', --')}, but the run to resume has {then} ({path}).")
    if given.get("epochs", saved.get("epochs")) != saved.get("epochs"):
        stretched = f"--epochs={given['epochs']} in place of {saved.get('epochs')}: the schedule is stretched to them."
        say(stretched)
    return {**flag_values, **saved, **given}
