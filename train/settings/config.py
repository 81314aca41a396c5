"""The one configuration of a run: what it holds, what of it decides the numbers, how it is kept beside the run."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..process.errors import BadInput
from ..process.files import whole
from .flags import FLAGS

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
    config: str | None
    smoke: bool
    schedule: str
    warm_up: float | None
    drops: list[float] | None
    clip_norm: float | None
    accumulate: int
    ema: float | None
    checkpoint_every: int | None
    keep: int
    on_nan: str

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


def read(path: Path) -> Config:
    """A run's configuration as it was saved; flags that came later have their defaults.

    Raises:
        BadInput: if it cannot be read.
    """
    return replace(defaults(), **saved_values(path))


def defaults() -> Config:
    """Every flag's default; what depends on the data is open."""
    values: dict[str, Any] = {field.name: FLAGS[field.name].default for field in fields(Config)}
    return Config(**values)


def saved_values(path: Path) -> dict[str, Any]:
    """Those of a run's configuration by name, as it was saved.

    Raises:
        BadInput: if it cannot be read, is of another version, or was changed.
    """
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
