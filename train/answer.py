"""The command that classifies images with an exported SavedModel as TensorFlow Serving does: with a TF1 session.

It requires only TensorFlow. It also runs by its path, outside the package, so it imports nothing from it.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing, suppress
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png")
"""Of the files in a folder that are read; TensorFlow reads no others."""

USAGE = """Classify images with an exported SavedModel as TensorFlow Serving does, using only TensorFlow.

    {answer} saved_models/RUN/1 PICTURE.png ...
        Prints the classes of pictures, or of those in folders.
    {answer} saved_models/RUN/1 IMAGES.npy OUT.npz
        Writes the answers to uint8 [n, height, width, channels].

A run saves a picture to try: runs/RUN/example.png. saved_models/RUN stands for its newest version, as in a server.
"""


def tensorflow() -> Any:
    """Import TensorFlow without its messages about missing drivers, which no log level silences."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            import_module("tensorflow")
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nowhere)
    imported = sys.modules["tensorflow"]
    imported.get_logger().setLevel("ERROR")  # hides that the TF1 loader is deprecated, which servers use
    return imported


def answer(saved_model: str, images) -> dict:
    """The outputs by name, of signature `serving_default` for uint8 images; or for a list of the paths of pictures.

    Pictures go to `serve_bytes`, if the export has it: it sees of them what the network's test saw.
    """
    tf = tensorflow()
    graph = tf.Graph()
    with closing(tf.compat.v1.Session(graph=graph)) as session:
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(session, ["serve"], saved_model)
            signature = loaded.signature_def["serving_default"]
            (pixels,) = signature.inputs.values()
            shape = [dim.size for dim in pixels.tensor_shape.dim]
            if pixels.dtype != tf.uint8.as_datatype_enum or len(shape) != 4 or "classes" not in signature.outputs:
                raise ValueError("its signature 'serving_default' does not take uint8 images and return classes")
        except (OSError, RuntimeError, KeyError, ValueError, tf.errors.OpError) as error:
            refuse(f"{saved_model} is not a SavedModel of this program: {error}.")
        paths = images if isinstance(images, list) else []
        if paths and "serve_bytes" in loaded.signature_def:
            signature = loaded.signature_def["serve_bytes"]
            (pixels,), images = signature.inputs.values(), [content(path) for path in paths]
        else:
            images = pictures(paths, shape[1:]) if paths else images
            require_images(images, shape)
        answers = session.run({name: t.name for name, t in signature.outputs.items()}, {pixels.name: images})
    for path, why in zip(paths, answers.get("error", ()), strict=False):
        if why:
            refuse(f"{path}: {why.decode()}.")
    return answers


def content(path: str) -> bytes:
    """The bytes of a file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}.")


def require_images(images: np.ndarray, shape=(-1, "height", "width", "channels")) -> None:
    """Refuse an array that is not uint8 images of the model's size; a cast would change the images."""
    fits = images.ndim == 4 and all(
        want == got for want, got in zip(shape, images.shape, strict=True) if want != -1 and not isinstance(want, str)
    )
    if images.dtype != np.uint8 or not fits or not len(images):
        expected = ["n", *("any" if side == -1 else side for side in shape[1:])]
        hint = " Pixels in 0..1 become (255 * images).round().astype('uint8')." if images.dtype.kind == "f" else ""
        refuse(
            f"expected uint8 images [{', '.join(map(str, expected))}], 0..255; "
            f"got {images.dtype} {list(images.shape)}.{hint}"
        )


def pictures(paths, shape):
    """Image files as uint8 `[n, height, width, channels]`, resized if they have another size; a side of -1 stays."""
    tf = tensorflow()
    *sides, channels = shape

    def read(path):
        try:
            image = tf.io.decode_image(tf.io.read_file(path), channels=channels, expand_animations=False)
        except tf.errors.OpError:
            refuse(f"{path} must be an image that TensorFlow reads (PNG, JPEG, GIF, BMP).")
        wanted = [got if side == -1 else side for side, got in zip(sides, image.shape, strict=False)]
        if image.shape[:2] != wanted:
            image = tf.cast(tf.round(tf.image.resize(image, wanted, antialias=True)), tf.uint8)
        return image.numpy()

    found = [read(path) for path in paths]
    if len(sizes := sorted({image.shape[:2] for image in found})) > 1:
        refuse(f"the model takes images of any size, but one size in a batch; got {sizes[0]} and {sizes[1]}.")
    return np.stack(found)


def files_of(path):
    """A picture, or the pictures at and below a folder in the order of their names."""
    if not os.path.isdir(path):
        return [path]
    found = [os.path.join(place, name) for place, _, names in os.walk(path) for name in names]
    shown = sorted(each for each in found if each.lower().endswith(SUFFIXES) and os.path.basename(each)[0] != ".")
    return shown or refuse(f"{path} has no pictures ({', '.join(SUFFIXES)}).")


def refuse(why: str) -> NoReturn:
    """Print one line, and exit with code 2."""
    print(f"answer: {why}", file=sys.stderr)
    sys.exit(2)


def newest(saved_model: str) -> str:
    """The highest version in a folder of versions, or the path itself."""
    versions = [name for name in (os.listdir(saved_model) if os.path.isdir(saved_model) else ()) if name.isdecimal()]
    return os.path.join(saved_model, max(versions, key=int)) if versions else saved_model


def array(path: str) -> np.ndarray:
    """The images in an .npy file; other arrays are refused before TensorFlow is imported, which takes seconds."""
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        refuse(f"{path} is not a readable .npy file: {error}.")
    require_images(images)
    return images


def write(answers: dict, path: str) -> None:
    """Write the answers as an .npz file, whole or not at all; names as text, so that a plain `np.load` reads them."""
    unfinished = f"{path}.unfinished-{os.getpid()}.npz"
    try:
        text = {
            name: np.vectorize(bytes.decode, otypes=["U"])(each)
            for name, each in answers.items()
            if each.dtype == object
        }
        np.savez(unfinished, **{**answers, **text})
        os.replace(unfinished, path)
    except OSError as error:
        with suppress(OSError):  # it may not exist
            os.remove(unfinished)
        refuse(f"{path} cannot be written: {error.strerror}.")


def main(saved_model: str, *paths: str) -> None:
    """Call the model, and print or write its answers."""
    saved_model, arrays = newest(saved_model), paths[0].endswith(".npy")
    if arrays and len(paths) != 2:
        refuse(f"IMAGES.npy must be followed by one OUT.npz; got {' '.join(paths[1:]) or 'none'}.")
    for path in (os.path.join(saved_model, "saved_model.pb"), *(paths[:1] if arrays else paths)):
        if not os.path.isfile(path) and (arrays or not os.path.isdir(path)):
            refuse(f"{path}: there is no such file.")
    if arrays:
        if not os.path.isdir(folder := os.path.dirname(paths[1]) or "."):
            refuse(f"{paths[1]} cannot be written: there is no folder {folder}.")
        write(answer(saved_model, array(paths[0])), paths[1])
        return
    shown = [each for path in paths for each in files_of(path)]
    answers = answer(saved_model, shown)
    for path, classes, scores in zip(shown, answers["classes"], answers["scores"], strict=True):
        print(
            path, *(f"{name.decode()} {score:.1%}" for name, score in zip(classes[:3], scores, strict=False)), sep="  "
        )


def usage() -> str:
    """The usage of this command, under the name by which it was started."""
    started = os.path.basename(sys.argv[0])
    module = f"python -m {__spec__.name}" if __spec__ else f"python {started}"
    return USAGE.format(answer=started if started.startswith("keras-resunits") else module)


def entry() -> None:
    """The command `keras-resunits-answer`, and `python -m train.answer`."""
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`: nobody reads the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(arguments: list[str]) -> None:
    """Print the help, or answer."""
    if {"-h", "--help"} & set(arguments):
        print(usage())
    elif len(arguments) < 2:
        print(usage(), file=sys.stderr)
        sys.exit(2)
    else:
        gc.disable()  # the import creates a million objects, which all stay alive until the process ends
        main(*arguments)


if __name__ == "__main__":
    entry()
