"""Images to classify: files, folders, tables of names, arrays. They are read one by one, never all of them."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.datasets.decoding import test_view
from ..data.datasets.encoded import why_undecodable
from ..data.datasets.files import Header, converted, read_headers
from ..data.datasets.folder import pixels
from ..data.datasets.images import way_out
from ..data.datasets.layouts import names_an_image, tell_other_formats
from ..data.datasets.npz import IMAGES
from ..data.datasets.tables import (
    Table,
    by_number,
    key_of,
    listed,
    naming,
    numbered,
    read_table,
    require_header,
    walked,
)
from ..process.backend import tf
from ..process.errors import BadInput, first_line

TABLES, ARRAYS = (".csv", ".tsv"), (".npy", ".npz")
Key = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Inputs:
    """Images in order.

    Args:
        title: What they are, for messages.
        names: How the rows of the predictions name them.
        read: Reads an image by its number, as the network sees it: uint8 `[height, width, channels]`. It raises one of
            `UNREADABLE`.
        keys: Ways in which a table may name images: mappings from a name without suffix to the numbers of images.
        column: The header of the column of names.
        bad: Those that are known to be unreadable, by number, and why.
    """

    title: str
    names: Sequence[str]
    read: Callable[[int], np.ndarray]
    keys: Sequence[Key]
    column: str = "image"
    bad: Mapping[int, str] = field(default_factory=dict)

    def part(self, numbers: Sequence[int], names: Sequence[str], column: str) -> Inputs:
        """Some of the images, in this order and with other names."""
        place = {number: i for i, number in enumerate(numbers)}
        bad = {place[number]: why for number, why in self.bad.items() if number in place}
        key = _keys([names])
        return replace(self, names=names, read=lambda i: self.read(numbers[i]), keys=key, column=column, bad=bad)


@dataclass(frozen=True)
class Sight:
    """What a network sees of a picture.

    Args:
        shape: `(height, width, channels)` of its images.
        view: "stretch" for all of the picture, resized; "central" or "paper" as in `decoding.test_view`.
    """

    shape: tuple[int, int, int]
    view: str = "stretch"

    def of_files(self, headers: Mapping[Path, Header]) -> Callable[[Path], np.ndarray]:
        """A function that reads a picture as training and evaluation do: uint8 `[height, width, channels]`.

        Raises:
            BadInput: if pictures do not have the channels of the network's images.
        """
        if self.shape[2] not in (1, 3):
            raise BadInput(f"the model's images have {self.shape[2]} channels: pass an .npy file, not pictures.")
        if self.view == "stretch":
            return self._stretched

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def seen(contents):
            return test_view(contents, self.shape[0], self.view)

        def cut(path: Path) -> np.ndarray:
            contents = path.read_bytes() if headers[path].direct else converted(path)
            try:
                return seen(tf.constant(contents)).numpy()
            except tf.errors.OpError as error:
                raise ValueError(why_undecodable(contents) or first_line(error)) from error

        return cut

    def _stretched(self, path: Path) -> np.ndarray:
        picture, _ = pixels(path, self.shape[:2])
        if self.shape[2] == 1:
            grey = picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))
            return grey[..., np.newaxis]
        return picture if picture.ndim == 3 else np.stack([picture] * 3, -1)


def find_inputs(given: Sequence[str], folder: str | None, column: str | None, sight: Sight) -> Inputs:
    """The images that a command line names.

    Args:
        given: Image files and folders of them, in order; or one table (.csv), or one array (.npy, .npz).
        folder: The folder of the images that a table names; by default its own.
        column: The column of the table that names images; by default the one that does.
        sight: What the network sees.

    Raises:
        BadInput: if there is no such file, no image, or a table names images that are not there.
    """
    paths = [Path(each).expanduser() for each in given]
    for each, path in zip(given, paths, strict=True):
        if not each or not path.exists():
            raise BadInput(f"{each!r}: there is no such file or folder.")
    first, kinds = paths[0], {path.suffix.lower() for path in paths}
    if not kinds & {*TABLES, *ARRAYS}:
        _require_unset(folder, column, "a table of names")
        return of_files(*_files(given, paths), sight)
    if len(paths) > 1:
        raise BadInput(f"{first} and {paths[1]}: expected image files and folders, or one table, or one array.")
    if first.suffix.lower() in ARRAYS:
        _require_unset(folder, column, "a table of names")
        return of_array(first, sight)
    root = Path(folder).expanduser() if folder else first.parent
    if not root.is_dir():
        raise BadInput(f"--images={root}: there is no such folder.")
    images = _below(root)
    found = of_files([str(path.relative_to(root)) for path in images], images, sight)
    table = read_table(first, "", columns=1)
    names, numbers = matched(table, found, column)
    return found.part(numbers, table.column(names), names)


def of_files(names: Sequence[str], paths: Sequence[Path], sight: Sight) -> Inputs:
    """Image files; their headers are read, so that a file that is no image is found before the others are computed."""
    headers, bad = read_headers(list(paths))
    picture = sight.of_files(headers)
    keys = _keys([names, [Path(name).name for name in names]])
    unreadable = {number: bad[path] for number, path in enumerate(paths) if path in bad}
    return Inputs("images", names, lambda i: picture(paths[i]), keys, bad=unreadable)


def of_array(path: Path, sight: Sight) -> Inputs:
    """An array of images, named by their numbers from 0; tables may count from 1.

    Raises:
        BadInput: if they are not uint8 images of the network's size.
    """
    images = _array(path)
    if images.ndim == 3 and sight.shape[2] == 1:
        images = images[..., np.newaxis]
    if images.dtype != np.uint8 or images.shape[1:] != sight.shape or not len(images):
        raise BadInput(
            f"{path}: expected uint8 images [n, {', '.join(map(str, sight.shape))}], 0..255; got {images.dtype} "
            f"{list(images.shape)}.{way_out(images)}"
        )
    count = range(len(images))
    names = [str(number) for number in count]
    keys = _keys([names, [str(number + 1) for number in count]])
    return Inputs("images", names, lambda i: np.asarray(images[i]), keys)


def matched(
    table: Table, inputs: Inputs, column: str | None = None, argument: str = "--column"
) -> tuple[str, list[int]]:
    """The column of a table that names images, and the number of the image in each row.

    Args:
        table: The table.
        inputs: The images; names match with or without suffix.
        column: The column; by default the one that names most images.
        argument: The argument that chooses the column, for messages.

    Raises:
        BadInput: if no column names images, or several name others, or a name is there twice, has no image, or several.
    """
    if column is not None and column not in table.header:
        raise BadInput(f"{argument}={column}: {table.path} has no such column; it has {', '.join(table.header)}.")
    exact = {name: table.keys(name) for name in ([column] if column else table.header)}
    loose = {name: list(map(by_number, keys)) for name, keys in exact.items()}
    ways = [(exact, inputs.keys), (loose, [numbered(key) for key in inputs.keys])]
    hits = [{name: [len(key.keys() & set(cells[name])) for key in keys] for name in cells} for cells, keys in ways]
    chosen = 0 if any(map(any, hits[0].values())) else 1
    most = {name: max(counts) for name, counts in hits[chosen].items()}
    if not any(most.values()):
        first = ", ".join(f"{each}={cell}" for each, cell in zip(table.header, table.rows[0], strict=True))
        raise BadInput(
            f"no column of {table.path} names one of the {len(inputs.names)} images (its first row: {first[:80]}; the "
            f"first image: {inputs.names[0]})."
        )
    name = naming(table, most, argument.removeprefix("--"))
    if max(hits[1][name]) > most[name]:  # some names alone have no zeros
        chosen = 1
    cells, keys = ways[chosen]
    key = keys[hits[chosen][name].index(max(hits[chosen][name]))]
    shown, where = table.column(name), f"column {name!r} of {table.path}"
    require_header(table, name, key)
    _refuse_repeated(cells[name], where)
    if missing := [text for text, cell in zip(shown, cells[name], strict=True) if cell not in key]:
        raise BadInput(f"{len(missing)} of {len(shown)} names in {where} have no image: {listed(missing)}.")
    for text, cell in zip(shown, cells[name], strict=True):
        if len(key[cell]) > 1:
            several = [inputs.names[number] for number in key[cell]]
            raise BadInput(f"{text!r} in {where} may be any of {len(several)} images: {listed(several)}.")
    numbers = [key[cell][0] for cell in cells[name]]
    if chosen:
        row = next(row for row, cell in enumerate(cells[name]) if cell not in inputs.keys[0])
        named = f"{shown[row]} is {inputs.names[numbers[row]]}"
        print(f"{where} has numbers without zeros before them: {named}.", file=sys.stderr)
    return name, numbers


def _refuse_repeated(cells: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    twice = [cell for cell in cells if cell in seen or seen.add(cell)]  # type: ignore[func-returns-value]
    if twice:
        raise BadInput(f"{len(twice)} names in {where} are there more than once: {listed(twice)}.")


def _require_unset(folder: str | None, column: str | None, what: str) -> None:
    for flag, value in (("images", folder), ("column", column)):
        if value is not None:
            raise BadInput(f"--{flag}={value} has no effect without {what} (.csv).")


def _keys(ways: Sequence[Sequence[str]]) -> Sequence[Key]:
    keys: list[dict[str, list[int]]] = [{} for _ in ways]
    for key, names in zip(keys, ways, strict=True):
        for number, name in enumerate(names):
            key.setdefault(key_of(name), []).append(number)
    return keys


def _files(given: Sequence[str], paths: Sequence[Path]) -> tuple[list[str], list[Path]]:
    """The names and paths of image files; those of a folder are named from it if nothing else is given."""
    found: list[tuple[str, Path]] = []
    for text, path in zip(given, paths, strict=True):
        if not path.is_dir():
            found.append((text, path))
            continue
        images = _below(path)
        tell_other_formats([file for _, files in walked(path) for file in files])
        found += [(str(file if len(given) > 1 else file.relative_to(path)), file) for file in images]
    return [name for name, _ in found], [file for _, file in found]


def _below(folder: Path) -> list[Path]:
    """The images below a folder, sorted."""
    images = sorted(file for _, files in walked(folder) for file in files if names_an_image(file))
    if not images:
        raise BadInput(f"{folder} has no images.")
    return images


def _array(path: Path) -> np.ndarray:
    """The array of images in a file; an .npy file stays on the disk."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r")  # which refuses pickled objects
        with np.load(path, allow_pickle=False) as arrays:
            name = _name(path, list(arrays))
            images = arrays[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not a readable file of arrays: {first_line(error)}.") from error
    print(f"images from {name} of {path}", file=sys.stderr)
    return images


def _name(path: Path, names: Sequence[str]) -> str:
    """The array of images to classify: the only one, or that of test images."""
    test = [f"{a}{b}" for a in ("", "test_") for b in IMAGES] + [f"{b}_test" for b in IMAGES]
    known = [name for name in names if name.lower() in test]
    chosen = names if len(names) == 1 else known
    if len(chosen) != 1:
        raise BadInput(f"{path} has the arrays {', '.join(names) or 'none'}: expected one, or x_test among them.")
    return chosen[0]
