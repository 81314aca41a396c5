"""A record stays as it was made: every dataclass is frozen, but for those that are filled in step by step."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import walk_packages

import keras_resunits
import train
from keras_resunits.analysis.records import Record

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


APART = {  # each is equal to itself alone: they hold arrays, layers or operations, which compare otherwise
    "keras_resunits.serving.affine.Affine",
    "keras_resunits.serving.classifiers.PixelClassifier",
    "keras_resunits.serving.folding.Value",
    "keras_resunits.serving.nodes.Constant",
    "keras_resunits.serving.nodes.Linear",
    "keras_resunits.serving.nodes.Node",
    "keras_resunits.surgery.chains.Part",
    "keras_resunits.surgery.chains.Parts",
}


def test_records_that_hold_what_does_not_compare_are_compared_by_identity():
    assert {name for name, each in records() if not each.__dataclass_params__.eq} == APART


def test_records_of_analyses_print_as_tables():
    found = [each for _, each in records() if issubclass(each, Record)]
    assert len(found) > 10 and {each.__repr__ for each in found} == {Record.__str__}


def test_records_are_frozen():
    found = dict(records())
    assert len(found) > 50
    assert {name for name, each in found.items() if not each.__dataclass_params__.frozen} == FILLED_IN
