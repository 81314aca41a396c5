"""The trained network of a run in its folder: a `.keras` file that takes pixels and states its classes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keras_resunits.converters.statistics import normalizing
from keras_resunits.serving.classifiers import save_classifier, stated_by

from ..process.files import stored, whole
from .networks import Network


def keep(network: Network, path: Path) -> None:
    """Save a run's network, unless the file holds this state already.

    Args:
        network: The network; its facts have the hash of its `state`.
        path: The file.

    Raises:
        StorageError: if it cannot be written.
    """
    if _kept(path) == (network.facts["state"], network.head):
        return
    layer = None if normalizing(network.model) else network.preprocessing  # its own layer takes pixels

    def save(unfinished: Path) -> None:
        save_classifier(
            network.model, unfinished, network.class_names or None, layer, network.view, network.facts, network.head
        )

    with stored(f"{path}; the run is saved: free space, and pass --resume"), whole(path) as unfinished:
        _without_strategy(lambda: save(unfinished))


def _kept(path: Path) -> tuple[str | None, str | None] | None:
    """The hash of the state in a file, and the head that it states; `None` if it is missing or damaged."""
    try:
        told = stated_by(path)
    except ValueError:
        return None
    return told.get("state"), told.get("head")


def _without_strategy(work: Callable[[], None]) -> None:
    """Work in a thread of its own, where no strategy is in scope.

    The variables of a copy are then plain ones. Those of a strategy would exist on every device, and other workers
    would have to create them too.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
