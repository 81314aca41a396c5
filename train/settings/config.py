"""The configuration of a run: its values, which of them determine the results, and how it is saved with the run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..process.errors import BadInput
from ..process.files import WILDCARDS, whole
from .conversion import Conversion
from .references import realized
from .sections import SECTIONS, Augmenting, Network, Recipe, Serving, Source, Survival

FREE = tuple(each.name for record in (Survival, Serving) for each in fields(record))
"""The options that may change on resume."""
# options that may differ between two runs with equal results
DECIDES_NO_NUMBER = frozenset({"config", "smoke", "class_names", "data_dir", "initial_model", "initial_copy", *FREE})
SECTION_OF = {each.name: section for section, record in SECTIONS.items() for each in fields(record)}
"""The section of every option, in the order of the pipeline."""
OWN = ("config", "smoke", "shuffle_rounds", "initial_digest", "initial_copy", "code")
"""The options outside the sections."""
ESSENTIAL = ("dataset", "model", "depth", "epochs", "batch_size", "learning_rate", "seed")
"""The options that a run prints though they have their defaults."""
DIGESTS = ("initial_digest", "initial_copy", "code")


@dataclass(frozen=True)
class Config:
    """All settings that a run depends on.

    Args:
        source, augmenting, network, recipe, survival, serving: Its sections.
        config: The experiment that it comes from; none by default.
        smoke: Whether it is the experiment's smoke version.
        shuffle_rounds: Rounds of the shuffle; `None` in runs of earlier versions, which have 4.
        initial_digest: SHA-256 of the file `initial_model`, or `Conversion.digest`; `None` without one.
        initial_copy: SHA-256 of the run's copy, where it was converted from `initial_model`; else `None`.
        code: SHA-256 of each file with objects of the options, by its name; `None` without one.
        given: Names of the options given on the command line; not saved with the run.
        files: Where a new run finds these files, by their names; not saved with the run, which keeps copies.
    """

    source: Source = field(default_factory=Source)
    augmenting: Augmenting = field(default_factory=Augmenting)
    network: Network = field(default_factory=Network)
    recipe: Recipe = field(default_factory=Recipe)
    survival: Survival = field(default_factory=Survival)
    serving: Serving = field(default_factory=Serving)
    config: str | None = None
    smoke: bool = False
    shuffle_rounds: int | None = 8
    initial_digest: str | None = None
    initial_copy: str | None = None
    code: dict[str, str] | None = None
    given: Collection[str] = field(default=frozenset(), compare=False)
    files: Mapping[str, Path] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        values: Mapping[str, Any],
        given: Collection[str] = frozenset(),
        files: Mapping[str, Path] = MappingProxyType({}),
    ) -> Config:
        """A configuration from the options' values by name; missing ones have their defaults.

        Raises:
            BadInput: for a value outside an option's bounds.
        """
        sections: dict[str, Any] = {
            name: record(**{each.name: values[each.name] for each in fields(record) if each.name in values})
            for name, record in SECTIONS.items()
        }
        own = {name: values[name] for name in OWN if name in values}
        return cls(**sections, **own, given=given, files=files)

    def realized(self, files: Mapping[str, Path]) -> Config:
        """This configuration with objects in the place of references to them, to build a run's parts from.

        Args:
            files: The files with objects, by their names: `Run.code_files`.

        Raises:
            BadInput: if an object cannot be found.
        """
        made: dict[str, Any] = {name: realized(getattr(self, name), files) for name in SECTIONS}
        return replace(self, **made)

    @property
    def rounds(self) -> int:
        """Rounds of the shuffle.

        >>> Config().rounds, Config(shuffle_rounds=None).rounds
        (8, 4)
        """
        return self.shuffle_rounds or 4

    @property
    def flat(self) -> dict[str, Any]:
        """The options' values by name, as they are saved with the run."""
        sections = (asdict(getattr(self, name)) for name in SECTIONS)
        options = {name: value for each in sections for name, value in each.items()}
        return options | {name: getattr(self, name) for name in OWN}

    def resolved(
        self, image_shape: tuple[int, int, int], images: int, class_names: list[str], resumed: bool = False
    ) -> Config:
        """This configuration with the defaults that depend on the data filled in.

        Args:
            image_shape: `(height, width, channels)`.
            images: The number of training images.
            class_names: One name for each class.
            resumed: Whether these are the saved values of a resumed run. If the data no longer allow them, the
                comparison of the data reports it.

        Raises:
            BadInput: if the given batch is larger than the training set, the run is shorter than one update, or an
                augmentation does not fit the images.
        """
        recipe, augmenting = self.recipe, self.augmenting
        batch = min(recipe.batch_size or default_batch(images), images)
        small_twin = self.smoke and "batch_size" not in self.given  # the experiment's batch, a few images
        if recipe.batch_size and recipe.batch_size > images and not small_twin and not resumed:
            raise BadInput(f"--batch_size={recipe.batch_size} is larger than the training set of {images} images.")
        pad, flip = augmenting.pad, augmenting.flip
        if pad and augmenting.crop == "pad" and pad >= min(image_shape[:2]) and not resumed:
            raise BadInput(f"--pad={pad} must be less than an image's side; the images are {image_shape[:2]}.")
        if recipe.accumulate > recipe.epochs * (images // batch):
            raise BadInput(f"--accumulate={recipe.accumulate} batches are more than the run has: no update is made.")
        if (augmenting.mixup or augmenting.cutmix) and batch % 2:
            raise BadInput(f"--mixup and --cutmix mix neighbours and require an even --batch_size; got {batch}.")
        if augmenting.randaugment and image_shape[2] not in (1, 3):
            raise BadInput(f"--randaugment requires images of 1 or 3 channels; got {image_shape[2]}.")
        return replace(
            self,
            source=replace(self.source, class_names=class_names),
            augmenting=replace(
                augmenting,
                pad=self._default_pad(image_shape) if pad is None else pad,
                flip=not shows_characters(self.source.dataset) if flip is None else flip,
            ),
            recipe=replace(recipe, batch_size=batch),
        )

    def _default_pad(self, image_shape: tuple[int, int, int]) -> int:
        return min(4, round(min(image_shape[:2]) / 8)) if self.augmenting.crop == "pad" else 0

    @property
    def initial_known(self) -> str | None:
        """SHA-256 of the `.keras` file that the run begins from; `None` without one."""
        return self.initial_copy or self.initial_digest

    @property
    def default_run(self) -> str:
        """The run's name if the user gives none: the experiment's, or one like `cifar10-preactresnet20`."""
        if self.config:
            return Path(self.config).stem + "-smoke" * self.smoke
        dataset = Path(self.source.dataset.replace(":", "-")).resolve().name.removesuffix(".npz")
        plain = "".join("_" if letter in WILDCARDS else letter for letter in dataset)
        initial = self.network.initial_model
        model = (self.network.model or "").rpartition(":")[2].removeprefix("config().")  # of a function, its name
        conversion = Conversion.of(initial)
        begun = conversion.network if conversion else Path(initial or "").stem
        name = begun or f"{model}{self.network.depth or ''}".lower()
        return f"{plain}-{''.join('_' if letter in WILDCARDS else letter for letter in name)}"

    @property
    def deciding(self) -> dict[str, Any]:
        """The values that determine the results, by name."""
        return _deciding(self.flat)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all values that determine the results.

        Values of `None` are left out, so that an option added later changes no fingerprint.
        """
        return fingerprint_of(self.flat)

    @property
    def run_identity(self) -> str:
        """The fingerprint without the number of epochs, so that it stays the same when a run is resumed with more."""
        return fingerprint_of({**self.flat, "epochs": None})

    def save(self, path: Path) -> None:
        """Write the configuration as JSON, with its fingerprint."""
        with whole(path) as unfinished:
            unfinished.write_text(json.dumps({**self.flat, "fingerprint": self.fingerprint}, indent=2) + "\n")

    def __str__(self) -> str:
        """The essentials and what differs from the defaults, one line each; the file of `save` has everything."""
        usual = Config().flat
        quiet = DIGESTS if "class_names" in self.given else ("class_names", *DIGESTS)
        shown = {
            name: value
            for name, value in self.flat.items()
            if name in ESSENTIAL or (value != usual[name] and name not in quiet)
        }
        shown["fingerprint"] = self.fingerprint
        return "\n".join(f"  {name:<16}{value}" for name, value in shown.items() if value is not None)


def shows_characters(dataset: str) -> bool:
    """Whether a data set's name suggests digits or letters, which must not be mirrored.

    >>> shows_characters("digits"), shows_characters("data/fashion-mnist"), shows_characters("svhn_cropped")
    (True, False, True)
    """
    name = Path(dataset).name.lower()
    return "fashion" not in name and any(word in name for word in ("digit", "mnist", "svhn", "omniglot"))


def _deciding(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in DECIDES_NO_NUMBER}


def fingerprint_of(values: dict[str, Any]) -> str:
    """The fingerprint of a configuration's values by name; see `Config.fingerprint`."""
    decides = {name: value for name, value in _deciding(values).items() if value is not None}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def default_batch(images: int) -> int:
    """The paper's 128, or for a smaller set the power of two that gives 16 steps per epoch or more; at least 2.

    >>> [default_batch(images) for images in (50_000, 1437, 100, 6)]
    [128, 64, 4, 2]
    """
    return min(128, 2 ** int(math.log2(max(images / 16, 2))))


def read(path: Path) -> Config:
    """Read a run's saved configuration; options added later have their defaults.

    Raises:
        BadInput: if the file cannot be read, is from another version, or was changed.
    """
    return Config.of({**OF_EARLIER, **saved_values(path)})


OF_EARLIER = {"shuffle_rounds": None}
"""What runs of earlier versions have where their configuration has no such value."""


def saved_values(path: Path) -> dict[str, Any]:
    """Read the values of a run's saved configuration, by name.

    Raises:
        BadInput: if the file cannot be read, is from another version, or was changed.
    """
    try:
        saved = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None
    if not isinstance(saved, dict):
        raise BadInput(f"{path} does not contain a configuration.")
    fingerprint = saved.pop("fingerprint", None)
    hints = _hints()
    if unknown := sorted(set(saved) - set(hints)):
        raise BadInput(f"{path} is from another version: this one lacks {', '.join(unknown)}.")
    for name, value in saved.items():
        if not _is_a(value, hints[name]):
            expected = getattr(hints[name], "__name__", hints[name])
            raise BadInput(f"{path} is damaged: expected {expected} for {name}; got {value!r}.")
    if fingerprint != fingerprint_of(saved):
        raise BadInput(
            f"{path} was changed: its values have the fingerprint {fingerprint_of(saved)}, but it was written with "
            f"{fingerprint}. Restore the run's original values, or use another --run."
        )
    return saved


def _hints() -> dict[str, Any]:
    """The type of every option that is saved with a run."""
    sections = {name: hint for record in SECTIONS.values() for name, hint in get_type_hints(record).items()}
    own = get_type_hints(Config)
    return {name: sections[name] for name in SECTION_OF} | {name: own[name] for name in OWN}


def _is_a(value, hint) -> bool:
    """Whether a value from JSON has a field's type.

    >>> _is_a(None, int | None), _is_a(0, float), _is_a(None, int), _is_a(True, int), _is_a(["a", 1], list[str])
    (True, True, False, False, False)
    """
    if isinstance(hint, UnionType):
        return any(_is_a(value, each) for each in get_args(hint))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_is_a(each, *get_args(hint)) for each in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_is_a(each, get_args(hint)[1]) for each in value.values())
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
