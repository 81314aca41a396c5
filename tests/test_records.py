"""A record stays as it was made: every dataclass is frozen, but for those that are filled in step by step."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import walk_packages

import keras_resunits
import train

FILLED_IN = {
    "keras_resunits.serving.nodes.Constant",
    "keras_resunits.serving.nodes.Linear",
    "keras_resunits.serving.nodes.Node",
    "keras_resunits.surgery.folding._Changes",
    "train.evaluation.predicting.Predicted",
    "train.run.checkpoints.Position",
}


def records():
    """The dataclasses of both packages by their full names."""
    for package in (keras_resunits, train):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] == "triton_model":  # runs in a server only
                continue
            for each in vars(import_module(found.name)).values():
                if inspect.isclass(each) and is_dataclass(each) and each.__module__ == found.name:
                    yield f"{found.name}.{each.__qualname__}", each


def test_records_are_frozen():
    found = dict(records())
    assert len(found) > 50
    assert {name for name, each in found.items() if not each.__dataclass_params__.frozen} == FILLED_IN
