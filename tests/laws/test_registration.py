"""Law: Keras finds every class of the package and of the program that a file can hold, by its registered name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import keras

import keras_resunits
import train

SAVED = (
    keras.layers.Layer,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.initializers.Initializer,
)


def saved_classes() -> Iterator[tuple[str, type]]:
    """The classes whose objects a `.keras` file can hold, by their full names, and their bases."""
    for package in (keras_resunits, train):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] in ("triton_model", "__main__"):
                continue
            for each in vars(import_module(found.name)).values():
                if inspect.isclass(each) and each.__module__ == found.name and issubclass(each, SAVED):
                    yield f"{found.name}.{each.__qualname__}", each


BASES = {"keras_resunits.layers.nesting.Nest", "keras_resunits.units.merges.Merge"}


def test_every_class_that_a_file_can_hold_is_registered():
    found = dict(saved_classes())
    assert len(found) > 25
    for name, each in found.items():
        package = "keras_resunits" if name.startswith("keras_resunits.") else "keras_resunits.train"
        registered = keras.saving.get_registered_name(each) == f"{package}>{each.__name__}"
        assert registered != (name in BASES or each.__name__.startswith("_")), name
