"""Folders of images as people have them: which folder holds which split, and which class."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

import numpy as np

from ...process.errors import BadInput
from ...settings.sections import Source
from .images import check_names
from .splitting import asked, held_out, interval

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
PREFIXED = re.compile(rf"(.+[_-])({'|'.join(SPELLINGS)})", re.IGNORECASE)
NO_DATA = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # what operating systems leave
DEEPEST = 4  # folders that only wrap the data
SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """Files by split and class.

    Args:
        classes: The names of the classes, in the order of the labels.
        files: The files of each class, by split: "train", and one of "validation" and "test", or both.
        places: Where each split was found, for the line that says so.
    """

    classes: list[str]
    files: Mapping[str, Sequence[Sequence[Path]]]
    places: Mapping[str, str]

    def count(self, split: str) -> int:
        """The number of images of a split."""
        return sum(map(len, self.files[split]))

    def in_words(self, counts: Mapping[str, int]) -> str:
        """What was taken for what, with the number of images of each split that are used."""
        splits = [split for split in self.files if split != "train" or self.files.get("test") is not self.files[split]]
        parts = [f"{split} from {self.places[split]} ({counts[split]:,} images)" for split in splits]
        return f"{len(self.classes)} classes, {', '.join(parts)}"


def finished(layout: Layout, source: Source, seed: int, ordered: bool = True, lone: bool = False) -> Layout:
    """The layout with its classes in the order asked for, and a validation split if one is asked for.

    Args:
        layout: What was found.
        source: The options.
        seed: The run's seed.
        ordered: Whether `--class_names` is the order of the classes; in runs of earlier versions it renamed them.
        lone: Whether images without a split are those to test on.

    Raises:
        BadInput: if the class names are not those of the data, or no image is left to test on.
    """
    if ordered and source.class_names:
        layout = _ordered(layout, source.class_names)
    if interval(source):
        layout = _divided(layout, source, seed)
    if len(layout.files) == 1 and lone:
        split, place = layout.files["train"], layout.places["train"]
        return replace(layout, files={"train": split, "test": split}, places={"train": place, "test": place})
    if len(layout.files) == 1:
        raise BadInput(
            f"{source.dataset} has images to train on ({layout.places['train']}), and none to test on. Pass "
            "--validation=0.2 to hold out a fifth of each class."
        )
    return layout


def _ordered(layout: Layout, names: Sequence[str]) -> Layout:
    """The layout with its classes in the order of these names."""
    given = [normalize("NFC", name) for name in names]
    check_names(given, layout.classes)
    if strange := [name for name in given if name not in layout.classes]:
        raise BadInput(
            f"--class_names={','.join(names)}: the data have no class {strange[0]!r}, they have "
            f"{', '.join(layout.classes[:20])}. The names give the order of the classes; rename folders to rename them."
        )
    order = [layout.classes.index(name) for name in given]
    files = {split: [lists[place] for place in order] for split, lists in layout.files.items()}
    return replace(layout, classes=given, files=files)


def _divided(layout: Layout, source: Source, seed: int) -> Layout:
    """The layout with part of the training images held out for validation."""
    if "validation" in layout.files:
        raise BadInput(
            f"{asked(source)} has no effect: {source.dataset} has validation images, {layout.places['validation']}."
        )
    flat = [(label, path) for label, paths in enumerate(layout.files["train"]) for path in paths]
    names = [normalize("NFC", f"{layout.classes[label]}/{path.name}") for label, path in flat]
    chosen = held_out(names, np.array([label for label, _ in flat]), layout.classes, source, seed)
    sides: tuple[list[list[Path]], ...] = tuple([[] for _ in layout.classes] for _ in range(2))
    for (label, path), held in zip(flat, chosen, strict=True):
        sides[int(held)][label].append(path)
    whose = f"{layout.places['train']} by {asked(source)}"
    files = {"train": sides[0], "validation": sides[1], **{k: v for k, v in layout.files.items() if k == "test"}}
    return replace(layout, files=files, places={**layout.places, "validation": whose})


def class_folders(root: Path, held: bool = False) -> Layout:
    """The files of a folder of class folders, with or without folders of splits above these.

    Prints how many images elsewhere, and how many files of other formats, are ignored.

    Args:
        root: The folder.
        held: Whether part of the training images is held out, so that no other split is required.

    Raises:
        BadInput: if a split or class is missing or empty.
    """
    top = _unwrapped(root)
    splits = _splits(top)
    if "train" not in splits:
        found = sorted(folder.name for folder in _folders(top)) if top.is_dir() else []
        if not (held and found) or splits:
            ways = f", or --validation=0.2 for folders of classes ({', '.join(found[:SHOWN])})" * (len(found) > 1)
            raise BadInput(f"{top / 'train'} is missing; {_wanted(top / 'train')}{ways}.")
        splits = {"train": top}
    elif set(splits) == {"train"} and not held:
        raise BadInput(f"{top / 'test'} is missing; {_wanted(top / 'test')}, or --validation=0.2.")
    unlabelled = {split: folder for split, folder in splits.items() if split != "train" and not _folders(folder)}
    if unlabelled and not held and len(splits) - len(unlabelled) < 2:
        folder = next(iter(unlabelled.values()))
        raise BadInput(f"{folder} has no class; {_wanted(folder)}, or --validation=0.2 to leave it aside.")
    for split, folder in unlabelled.items():
        print(f"{folder} has no folders of classes: not used", file=sys.stderr)
        del splits[split]
    classes = {split: _classes(folder) for split, folder in splits.items()}
    for split in classes:
        if classes[split].keys() != classes["train"].keys():
            raise BadInput(_class_difference(root, split, set(classes["train"]), set(classes[split])))
    names = sorted(classes["train"])
    files = {split: [_images(classes[split][name]) for name in names] for split in splits}
    used = [folder for each in classes.values() for name in names for folder in each[name]]
    _tell_passed_over(used)
    _tell_beside(root, {*used, *unlabelled.values()})
    return Layout(names, files, {split: f"{folder}" for split, folder in splits.items()})


def has_splits(root: Path) -> bool:
    """Whether the folder has folders of splits."""
    return bool(_splits(_unwrapped(root)))


def _unwrapped(root: Path) -> Path:
    """The folder that holds the data, below folders that hold nothing but one folder."""
    top = root
    for _ in range(DEEPEST):
        inside = _folders(top) if top.is_dir() else []
        if len(inside) != 1 or inside[0].name.casefold() in SPELLINGS or not _folders(inside[0]):
            return top
        top = inside[0]
    return root


def _splits(top: Path) -> dict[str, Path]:
    """The folders of splits, by the split's name; `seg_train` counts if another split has the same prefix."""
    if not top.is_dir():
        return {}
    found: dict[str, dict[str, list[Path]]] = {}
    for folder in _folders(top):
        match = PREFIXED.fullmatch(folder.name)
        prefix, name = match.groups() if match else ("", folder.name)
        if split := SPELLINGS.get(name.casefold()):
            found.setdefault(prefix.casefold(), {}).setdefault(split, []).append(folder)
    chosen = [found[""]] if "" in found else [each for each in found.values() if len(each) > 1]
    if not chosen or _is_a_class(top, chosen[0].get("train", [])):
        return {}
    merged = {split: [path for each in chosen for path in each.get(split, ())] for split in SPELLINGS.values()}
    for folders in merged.values():
        if len(folders) > 1:
            raise BadInput(f"{folders[0]} and {folders[1]}: expected one folder for each split.")
    return {split: _inner(folders[0]) for split, folders in merged.items() if folders}


def _is_a_class(top: Path, train: Sequence[Path]) -> bool:
    """Whether the folder called `train` holds trains, and no classes: others beside it hold images of other things."""
    others = [folder for folder in _folders(top) if folder.name.casefold() not in SPELLINGS]
    return bool(train and others) and not _folders(train[0])


def _inner(folder: Path) -> Path:
    """`seg_train/seg_train` for `seg_train`, as some archives have it."""
    inside = _folders(folder)
    alone = len(inside) == 1 and inside[0].name.casefold() == folder.name.casefold()
    return inside[0] if alone and _folders(inside[0]) else folder


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != "." and _is_data(each))


def _is_data(path: Path) -> bool:
    return path.name not in NO_DATA


def _wanted(folder: Path) -> str:
    return f"expected a folder of images for each class: {folder}/<class>/*"


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The folders of each class; names that differ only in how letters are composed (NFC, NFD) are one."""
    classes: dict[str, list[Path]] = {}
    for each in _folders(folder):
        classes.setdefault(normalize("NFC", each.name), []).append(each)
    if len(classes) < 2:
        what = f"one class ({next(iter(classes))!r})" if classes else "no class"
        raise BadInput(f"{folder} has {what}; {_wanted(folder)}, two or more.")
    return classes


def _class_difference(root: Path, split: str, train: set[str], other: set[str]) -> str:
    missing, extra = sorted(train - other), sorted(other - train)
    differences = [f"{split} lacks {', '.join(missing)}"] * bool(missing)
    differences += [f"train lacks {', '.join(extra)}"] * bool(extra)
    return f"{root}: train and {split} must have the same classes; {'; '.join(differences)}."


def _images(folders: Sequence[Path]) -> list[Path]:
    """The images of one class."""
    files = sorted(path for folder in folders for path in folder.iterdir() if names_an_image(path))
    if not files:
        deeper = [path for folder in folders for path in _deeper(folder)]
        where = f", but {len(deeper)} in folders below it ({deeper[0]})" if deeper else ""
        raise BadInput(
            f"{folders[0]} has no images ({', '.join(sorted(SUFFIXES))}){where}; expected one or more in every class."
        )
    return files


def _tell_passed_over(folders: Sequence[Path]) -> None:
    """Print how many images are too deep, and how many files are no images that can be read."""
    if deeper := [path for folder in folders for path in _deeper(folder)]:
        counted = f"{len(deeper)} image{'s' * (len(deeper) > 1)}"
        print(f"ignored {counted} deeper than <class>/* ({deeper[0]}{', ...' * (len(deeper) > 1)})", file=sys.stderr)
    tell_other_formats([path for folder in folders for path in sorted(folder.iterdir())])


def _tell_beside(root: Path, known: Collection[Path]) -> None:
    """Print how many images lie outside the folders that are used, or were mentioned."""
    beside = []
    for place, inside, names in os.walk(root):
        paths = sorted(map(Path(place).joinpath, names))
        beside += [path for path in paths if names_an_image(path)]
        folders = map(Path(place).joinpath, inside)
        inside[:] = sorted(
            each.name for each in folders if each not in known and _is_data(each) and each.name[0] != "."
        )
    if beside:
        counted = f"{len(beside)} image{'s' * (len(beside) > 1)}"
        more = ", ..." * (len(beside) > 1)
        print(f"ignored {counted} outside the folders of classes ({beside[0]}{more})", file=sys.stderr)


def tell_other_formats(paths: Sequence[Path]) -> None:
    """Print how many of these are files of formats that are not read."""
    others = [path for path in paths if not names_an_image(path) and _is_file(path) and _is_data(path)]
    if not others:
        return
    kinds = Counter(path.suffix.lower() or "no suffix" for path in others)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(SHOWN))
    print(
        f"ignored {len(others)} file{'s' * (len(others) > 1)} in other formats ({counted}): "
        f"{others[0]}{', ...' * (len(others) > 1)}",
        file=sys.stderr,
    )


def _deeper(folder: Path) -> list[Path]:
    """Images in folders below the folder of a class."""
    below = [path for path in folder.iterdir() if not (names_an_image(path) or path.name[0] == ".") and path.is_dir()]
    return [path for each in sorted(below) for path in sorted(each.rglob("*")) if names_an_image(path)]


def names_an_image(path: Path) -> bool:
    """Whether a file's name is that of an image, and reading it ends."""
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and not _is_special(path)


def _is_file(path: Path) -> bool:
    return path.name[0] != "." and path.is_file()


def _is_special(path: Path) -> bool:
    """Whether reading may never end: a FIFO, a socket or a device."""
    try:
        mode = path.stat().st_mode
    except OSError:  # reading reports it
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
