"""A table of labels beside a folder of images: a csv file with a column of names or ids, and a column of labels."""

from __future__ import annotations

import codecs
import csv
import io
import math
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from unicodedata import normalize

from ...process.errors import BadInput
from ...settings.sections import Source
from .images import require_file
from .layouts import SPELLINGS, SUFFIXES, Layout, names_an_image

T = TypeVar("T")
SEPARATORS = ",;\t|"
LABELS = ("label", "labels", "class", "class_name", "classname", "target", "category", "y")
IMAGES = ("id", "image", "image_id", "image_name", "img", "file", "filename", "file_name", "filepath", "path")
TRIED = 50  # rows, to find the column and the folder of the images
RIVAL = 0.5  # of the images that the best column or folder has: then it takes more than a count to choose
SHOWN = 3


@dataclass(frozen=True)
class Table:
    """The rows of a csv file below its header, as text.

    Args:
        path: The file.
        header: The names of the columns.
        rows: The cells of each row.
        separator: What separates them in the file.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    separator: str = ","

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.header.index(name)
        return [row[place].strip() for row in self.rows]

    def keys(self, name: str) -> list[str]:
        """The cells of a column of names of images; see `key_of`."""
        return [key_of(cell) for cell in self.column(name)]

    def require(self, flag: str, name: str) -> str:
        """Check the name of a column.

        Raises:
            BadInput: if there is no such column.
        """
        if name not in self.header:
            raise BadInput(f"--{flag}={name}: {self.path} has no such column; it has {', '.join(self.header)}.")
        return name


def labelled(source: Source) -> Layout:
    """The files that the table `--labels` names, with their labels.

    Raises:
        BadInput: if the table cannot be read, columns cannot be told apart, an id has no file or several, is there
            twice, or has no label; or if an image of the folder has no row.
    """
    root = Path(source.dataset)
    table = read_table(_path(root, source.labels or ""))
    named = _images(table, _Index(root), source.image_column, source.label_column)
    label = _label(table, named.column, source.label_column)
    files = _files(table, named, source.skip_bad_images)
    classes, lists = _classes(table, label, files)
    images = f"images in column {named.column!r}{named.meant(table)}"
    place = f"{named.folder} by {table.path}, {images}, labels in {label!r}"
    return Layout(classes, {"train": lists}, {"train": place})


def read_table(path: Path, argument: str = "--labels=", columns: int = 2) -> Table:
    """Read a csv file: with or without a byte order mark, UTF-8 or UTF-16, with any usual separator and line ends.

    Args:
        path: The file.
        argument: The argument that names it, for messages.
        columns: The least number of columns.

    Raises:
        BadInput: if it is missing, empty, no text, or a row has another number of cells than the header.
    """
    if not path.exists():
        raise BadInput(f"{argument}{path}: there is no such file.")
    require_file(path, argument)
    text = _text(path.read_bytes(), path)
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None
    if len(rows) < 2:
        raise BadInput(f"{path} has {'only a header' if rows else 'nothing'}; expected a header and rows.")
    header = [name.strip() for name in rows[0]]
    if len(header) < columns:
        raise BadInput(f"{path} has one column, {header[0]!r}; expected names and labels, separated by commas.")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BadInput(f"{path} has the column {twice[0]!r} more than once.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise BadInput(f"{path}: row {number} has {len(row)} cells, the header {len(header)}: {row[:SHOWN]}.")
    return Table(path, header, rows[1:], separator)


def _path(root: Path, name: str) -> Path:
    """The table, beside the images or where the program was started."""
    inside = root / name
    return inside if inside.exists() else Path(name)


def _text(content: bytes, path: Path) -> str:
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8: {error}.") from None
    if "\0" in text:
        raise BadInput(f"{path} is not a csv file: it holds bytes of 0.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def walked(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """The folders at and below a folder, with the files of each, sorted; without hidden folders."""
    for place, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if name[0] != "." and name != "__MACOSX")
        yield Path(place), sorted(map(Path(place).joinpath, names))


class _Index:
    """The images below a folder, by the path from each folder, with and without suffix.

    Attributes:
        files: By folder and by the path from it (`cat/1.png`), the files.
    """

    def __init__(self, root: Path):
        self.files: dict[Path, dict[str, list[Path]]] = {}
        folders: dict[Path, list[Path]] = {}
        for folder, paths in walked(root):
            folders[folder] = [path for path in paths if names_an_image(path)]
        for base in folders:
            found: dict[str, list[Path]] = {}
            self.files[base] = found
            for folder, paths in folders.items():
                if folder == base or base in folder.parents:
                    for path in paths:
                        found.setdefault(key_of(path.relative_to(base).as_posix()), []).append(path)


def key_of(name: str) -> str:
    """A name without the suffix of an image, in one form of composed letters.

    >>> key_of("cat/1.png"), key_of("img.01"), key_of("7")
    ('cat/1', 'img.01', '7')
    """
    path = PurePosixPath(normalize("NFC", name.replace("\\", "/")))
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)


def by_number(key: str) -> str:
    """The key of an image without the zeros before a number: a column of integers has lost them.

    >>> by_number("a/0007"), by_number("000"), by_number("img_07")
    ('a/7', '0', 'img_07')
    """
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}{name.lstrip('0') or '0'}" if name.isdecimal() else key


def numbered(known: Mapping[str, Sequence[T]]) -> dict[str, list[T]]:
    """Images by their keys, without the zeros before numbers.

    >>> numbered({"007": [1], "0007": [2], "a": [3]})
    {'7': [1, 2], 'a': [3]}
    """
    found: dict[str, list[T]] = {}
    for key, each in known.items():
        found.setdefault(by_number(key), []).extend(each)
    return found


@dataclass(frozen=True)
class _Named:
    """How a table names images.

    Args:
        column: The column of names.
        folder: The folder from which it names them.
        keys: The key of each row.
        files: The files by their keys.
    """

    column: str
    folder: Path
    keys: Sequence[str]
    files: Mapping[str, Sequence[Path]]

    @property
    def count(self) -> int:
        """The number of rows that have a file."""
        return sum(key in self.files for key in self.keys)

    def meant(self, table: Table) -> str:
        """An example, in brackets, of a number that stands for a name with zeros; nothing without one."""
        for cell, key, given in zip(table.column(self.column), self.keys, table.keys(self.column), strict=True):
            for path in self.files.get(key, ())[:1]:
                if path.stem.isdecimal() and path.stem != PurePosixPath(given).name:
                    return f" ({cell} is {path.name})"
        return ""


def _images(table: Table, index: _Index, asked: str | None, label: str | None) -> _Named:
    """How the table names images: exactly, or by numbers without zeros before them if this names more."""
    columns = [table.require("image_column", asked)] if asked else list(table.header)
    step = max(len(table.rows) // TRIED, 1)
    by_numbers = {place: numbered(files) for place, files in index.files.items()}
    for known, key in ((index.files, str), (by_numbers, by_number)):
        tried = {name: set(map(key, table.keys(name)[::step])) for name in columns}
        hits = {name: {place: len(tried[name] & files.keys()) for place, files in known.items()} for name in columns}
        most = {name: max(places.values()) for name, places in hits.items()}
        if any(most.values()):
            break
    else:
        shown = ", ".join(f"{column}={table.rows[0][table.header.index(column)]}" for column in columns[:4])
        raise BadInput(
            f"no column of {table.path} names images in {next(iter(index.files))} (its first row: {shown}). Pass "
            "--image_column, and the folder that holds the images as --dataset."
        )
    others = {name: count for name, count in most.items() if name != label}
    column = naming(table, others if any(others.values()) else most, "image_column")
    folder = _folder(table, column, hits[column])
    exact = _Named(column, folder, table.keys(column), index.files[folder])
    loose = replace(exact, keys=list(map(by_number, exact.keys)), files=by_numbers[folder])
    named = loose if loose.count > exact.count else exact
    require_header(table, column, named.files)
    return named


def naming(table: Table, hits: Mapping[str, int], flag: str) -> str:
    """The column that names images.

    Args:
        table: The table.
        hits: How many images each column names.
        flag: The argument that chooses the column, for messages.

    Raises:
        BadInput: if two columns name many, and not the same, such as ids and the numbers of the rows.
    """
    best = max(hits, key=lambda name: hits[name])
    rivals = [name for name in hits if hits[name] >= RIVAL * hits[best] and name.casefold() not in LABELS]
    known = [name for name in rivals if name.casefold() in IMAGES]
    if len(known) == 1:
        return known[0]
    keys = table.keys(best)
    if other := [name for name in rivals if table.keys(name) != keys]:
        raise BadInput(
            f"columns {best!r} and {other[0]!r} of {table.path} both name images, in row 2 {table.column(best)[0]!r} "
            f"and {table.column(other[0])[0]!r}: pass --{flag}."
        )
    return best


def _folder(table: Table, column: str, hits: Mapping[Path, int]) -> Path:
    """The folder from which a column names images, by how many it names from each: the root is the first.

    Of several, it is the root, or else `train/` for train.csv, or else the only one of training images.
    """
    most = max(hits.values())
    rivals = [folder for folder, count in hits.items() if count >= RIVAL * most]
    if len(rivals) == 1 or rivals[0] == next(iter(hits)):
        return rivals[0]
    for fits in (_akin, _trains):
        if len(fitting := [folder for folder in rivals if fits(folder, table)]) == 1:
            return fitting[0]
    raise BadInput(
        f"column {column!r} of {table.path} names images in {rivals[0]} and in {rivals[1]}: pass the one that is meant "
        "as --dataset, with the path of the table as --labels."
    )


def _akin(folder: Path, table: Table) -> bool:
    return folder.name.casefold().startswith(table.path.stem.casefold()[:5])


def _trains(folder: Path, table: Table) -> bool:
    return SPELLINGS.get(folder.name.casefold()) == "train"


def require_header(table: Table, column: str, known: Mapping[str, Any]) -> None:
    """Refuse a table whose first row names an image, as the others do.

    Raises:
        BadInput: if it does.
    """
    if key_of(column) in known:
        raise BadInput(f"the first row of {table.path} names an image ({column}): expected a header above it.")


def _label(table: Table, images: str, asked: str | None) -> str:
    """The column of labels."""
    if asked:
        if asked == images:
            raise BadInput(f"--label_column={asked} is the column of the images.")
        return table.require("label_column", asked)
    others = [name for name in table.header if name != images]
    named = [name for name in others if name.casefold() in LABELS]
    if len(named) == 1 or len(others) == 1:
        return (named or others)[0]
    raise BadInput(f"{table.path} has several columns beside {images!r} ({', '.join(others)}): pass --label_column.")


def _files(table: Table, named: _Named, skip: bool) -> dict[int, Path]:
    """The file of each row, by its number; those without are left out if `skip`."""
    cells, images, keys, files = table.column(named.column), named.column, named.keys, named.files
    if twice := [key for key, count in Counter(keys).items() if count > 1]:
        raise BadInput(
            f"column {images!r} of {table.path} must name each image once; several rows name {listed(twice)}. "
            "Remove the other rows."
        )
    found = {number: _one(table, cells[number], files[key]) for number, key in enumerate(keys) if key in files}
    missing = [cells[number] for number in range(len(cells)) if number not in found]
    _tell(missing, f"of {len(cells)} names in column {images!r} of {table.path} have no file in {named.folder}", skip)
    chosen, places = set(found.values()), {path.parent for path in found.values()}
    # images in other folders, such as test/, need no row
    unnamed = [str(path) for paths in files.values() for path in paths if path not in chosen and path.parent in places]
    _tell(unnamed, f"images beside those that {table.path} names have no row in it", skip)
    return found


def _one(table: Table, cell: str, paths: Sequence[Path]) -> Path:
    """The file that a cell names: of several that differ in the suffix, the one with the cell's."""
    exact = [path for path in paths if path.suffix == PurePosixPath(cell).suffix]
    chosen = exact if len(exact) == 1 else paths
    if len(chosen) > 1:
        raise BadInput(f"{table.path}: {cell!r} may be {chosen[0]} or {chosen[1]}; expected the names of files.")
    return chosen[0]


def _tell(names: Sequence[str], what: str, skip: bool) -> None:
    """Refuse what has no partner, or print that it is left out."""
    if not names:
        return
    line = f"{len(names)} {what}: {listed(names)}"
    if not skip:
        raise BadInput(f"{line}. Fix the table, or leave them out with --skip_bad_images.")
    print(f"left out {line}", file=sys.stderr)


def listed(names: Sequence[str]) -> str:
    """The first of these names, for a message."""
    return ", ".join(map(repr, names[:SHOWN])) + ", ..." * (len(names) > SHOWN)


def _classes(table: Table, label: str, files: Mapping[int, Path]) -> tuple[list[str], list[list[Path]]]:
    """The classes, numbers in their order, and the files of each."""
    cells = [normalize("NFC", cell) for cell in table.column(label)]
    if empty := [number for number in files if not cells[number]]:
        raise BadInput(f"{table.path}: column {label!r} is empty in {len(empty)} rows, the first of {files[empty[0]]}.")
    found = {cells[number] for number in files}
    classes = _in_order(found, f"column {label!r} of {table.path}")
    if len(classes) < 2:
        raise BadInput(f"column {label!r} of {table.path} has one class, {classes[0]!r}; expected two or more.")
    if len(classes) > len(files) // 2 and len(files) > 20:
        raise BadInput(
            f"column {label!r} of {table.path} has {len(classes)} values for {len(files)} images: they are no classes. "
            "Pass --label_column."
        )
    lists: dict[str, list[Path]] = {name: [] for name in classes}
    for number, path in files.items():
        lists[cells[number]].append(path)
    return classes, [sorted(paths) for paths in lists.values()]


def _in_order(names: Collection[str], where: str) -> list[str]:
    """The names of classes in order: numbers by their value.

    Raises:
        BadInput: if two are one number, such as 1 and 1.0.
    """
    if not all(map(is_number, names)):
        return sorted(names)
    ordered = sorted(names, key=lambda name: (float(name), name))
    if same := [pair for pair in pairwise(ordered) if float(pair[0]) == float(pair[1])]:
        raise BadInput(f"{where} has {same[0][0]!r} and {same[0][1]!r}, which are one number: write them alike.")
    return ordered


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
