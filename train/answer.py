"""The command that asks an exported SavedModel, as TensorFlow Serving does: a TF1 session, TensorFlow and nothing else.

It is also run by its path, outside the package, so it imports nothing of it.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing
from typing import Any, NoReturn

import numpy as np

USAGE = """Ask an exported SavedModel, as TensorFlow Serving does, with TensorFlow and nothing else.

    {answer} saved_models/RUN/1 PICTURE.png ...
        Prints the classes of pictures.
    {answer} saved_models/RUN/1 IMAGES.npy OUT.npz
        Writes the answers to uint8 [n, height, width, channels].

A run keeps a picture to try: runs/RUN/example.png. saved_models/RUN stands for its newest version, as for a server.
"""


def tensorflow() -> Any:
    """TensorFlow, imported without its messages about drivers that it did not find, which no log level silences."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            import tensorflow
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nowhere)
        tensorflow.get_logger().setLevel("ERROR")  # the TF1 loader calls itself deprecated: servers use it
    return sys.modules["tensorflow"]


def answer(saved_model: str, images) -> dict:
    """The answers of signature `serving_default`, by name, to uint8 images (an array, or a function of their shape)."""
    tf = tensorflow()
    graph = tf.Graph()
    with closing(tf.compat.v1.Session(graph=graph)) as session:
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], saved_model)
        signature = loaded.signature_def["serving_default"]
        (pixels,) = signature.inputs.values()
        if callable(images):  # outside the graph: decoding pictures wants eager execution
            images = images([dim.size for dim in pixels.tensor_shape.dim][1:])
        return session.run({name: t.name for name, t in signature.outputs.items()}, {pixels.name: images})


def pictures(paths, shape):
    """Image files as uint8 `[n, height, width, channels]`, resized where they are of another size."""
    tf = tensorflow()
    height, width, channels = shape

    def read(path):
        try:
            image = tf.io.decode_image(tf.io.read_file(path), channels=channels, expand_animations=False)
        except tf.errors.InvalidArgumentError:
            refuse(f"{path} is no image that TensorFlow reads (PNG, JPEG, GIF, BMP).")
        if image.shape[:2] != (height, width):
            image = tf.cast(tf.round(tf.image.resize(image, (height, width), antialias=True)), tf.uint8)
        return image.numpy()

    return np.stack([read(path) for path in paths])


def refuse(why: str) -> NoReturn:
    """End with one line and exit code 2."""
    print(f"answer: {why}", file=sys.stderr)
    sys.exit(2)


def newest(saved_model: str) -> str:
    """The highest version in a folder of versions, or what is given."""
    versions = [name for name in (os.listdir(saved_model) if os.path.isdir(saved_model) else ()) if name.isdecimal()]
    return os.path.join(saved_model, max(versions, key=int)) if versions else saved_model


def main(saved_model: str, *paths: str) -> None:
    """Answer, and print or write the answers."""
    saved_model = newest(saved_model)
    for path in (os.path.join(saved_model, "saved_model.pb"), *(paths[:1] if paths[0].endswith(".npy") else paths)):
        if not os.path.isfile(path):
            refuse(f"{path}: there is no such file.")
    if paths[0].endswith(".npy"):
        np.savez(paths[1], **answer(saved_model, np.load(paths[0])))
        return
    answers = answer(saved_model, lambda shape: pictures(paths, shape))
    for path, classes, scores in zip(paths, answers["classes"], answers["scores"], strict=True):
        print(
            path, *(f"{name.decode()} {score:.1%}" for name, score in zip(classes[:3], scores, strict=False)), sep="  "
        )


def usage() -> str:
    """How this command is used, by the name under which it was started."""
    started = os.path.basename(sys.argv[0])
    module = f"python -m {__spec__.name}" if __spec__ else f"python {started}"
    return USAGE.format(answer=started if started.startswith("keras-resunits") else module)


def entry() -> None:
    """The command `keras-resunits-answer`, and `python -m train.answer`."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(usage())
    elif len(arguments) < 2:
        print(usage(), file=sys.stderr)
        sys.exit(2)
    else:
        gc.disable()  # a million objects come with the import, and all stay to the end, which is near
        main(*arguments)


if __name__ == "__main__":
    entry()
