"""Law: a wrong value of any argument is refused by the argument's name, or accepted and builds."""

import inspect
import math
import random
import re

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.models.family import FAMILIES
from tests import catalog

WRONG = {
    "None": None,
    "empty": "",
    "nonsense": "nonsense",
    "number as text": "3",
    "bytes": b"relu",
    "negative": -1,
    "zero": 0,
    "fraction": 0.3,
    "nan": math.nan,
    "inf": math.inf,
    "complex": 1j,
    "bool": True,
    "list": [],
    "dict": {},
    "tuple of None": (None,),
    "list of objects": [object()],
    "object": object(),
    "class": keras.layers.ReLU,
    "layer": keras.layers.ReLU(),
    "array": np.array([1.0, 2.0]),
    "generator": (each for each in ()),
}
SMALL = {**catalog.SMALL, "depth": [1, 1, 1]}
GIVEN = {  # valid arguments where the defaults are large, or none
    **{name: {key: SMALL[key] for key in SMALL if key in family.accepts} for name, family in FAMILIES.items()},
    "FractalNet": {**catalog.SMALL, "columns": 2, "filters": (8, 8), "dropout": (0, 0.1)},
    "FullyConnectedResNet": {**catalog.SMALL, "depth": 4},
    "KerasResNet": {"depth": 50, "input_shape": (32, 32, 3)},
    "KerasResNetV2": {"depth": 50, "input_shape": (32, 32, 3)},
    "WideResNet": {**SMALL, "width": 1},
    "Body": {"weights": kr.basic.weights, "depth": 2},
    "Fractal": {"columns": catalog.columns(2)},
    "GatedCarry": {"gate": catalog.quarter(), "shortcut": keras.layers.Identity()},
    "create": {"name": "FullyConnectedResNet"},
    "deepest_column": {"model": catalog.NETWORKS["FractalNet"]},
    "export_saved_model": {"path": "saved"},
    "network": {"units": [(catalog.RECORDS["Recipe"], catalog.RECORDS["Slot"])], "stem": catalog.STEM},
    "normalization_of": {"images": np.zeros((2, 8, 8, 3))},
}
OF_NAME = {  # valid values of arguments without a default
    "bias": -1.0,
    "body": kr.basic,
    "branch": keras.layers.Rescaling(2.0),
    "classes": 3,
    "extra": 4,
    "filters": 8,
    "gate": catalog.quarter(),
    "in_filters": 8,
    "index": 0,
    "kernel_size": 3,
    "kernels": keras.initializers.Zeros(),
    "layers": [keras.layers.ReLU()],
    "model": catalog.NETWORKS["GatedResNet"],
    "name": "name",
    "order": kr.PostAct(),
    "path": "unit000/branch/conv1",
    "rate": 0.5,
    "shortcut": kr.projection,
    "slot": catalog.SLOTS["same"],
    "stages": [kr.Stage(1, 8)],
    "survival": 0.5,
    "total": 1,
    "units": 1,
}
EXPORTED = {name: getattr(kr, name) for name in kr.__all__ if callable(getattr(kr, name))}


def parameters(name):
    """Return the parameters of what is exported as `name`, without `**kwargs` and without the `*args` of Keras."""
    found = inspect.signature(EXPORTED[name]).parameters.values()
    return [each for each in found if each.kind is not each.VAR_KEYWORD and each.name != "args"]


def cases():
    """Return a pair of name and argument for every argument of every exported thing."""
    return [(name, each.name) for name in EXPORTED if name not in catalog.ABSTRACT for each in parameters(name)]


def called(name, parameter, value):
    """Call what is exported as `name` with one argument of this value and valid ones where needed."""
    given = inspect.signature(EXPORTED[name]).bind_partial()
    own = GIVEN.get(name, {})
    for each in parameters(name):
        several = each.kind is each.VAR_POSITIONAL
        if each.name == parameter:
            given.arguments[each.name] = (value,) if several else value
        elif each.name in own or (each.default is each.empty and not several):
            known = {**OF_NAME, **own}[each.name]
            given.arguments[each.name] = known.make() if isinstance(known, catalog.Case) else known
    return EXPORTED[name](*given.args, **given.kwargs)


def use(name, made):
    """Build what was made, without computing anything."""
    case = catalog.LAYERS.get(name, catalog.Case(None, inputs=3 if isinstance(made, kr.Merge) else 1))
    tensors = [keras.KerasTensor(case.shape) for _ in range(case.inputs)]
    slot = catalog.SLOTS["first"]
    match made:
        case keras.Model() | kr.Slot() | str() | None | dict():
            pass
        case keras.layers.Layer():
            made(*tensors)
        case [keras.layers.Layer(), *_]:
            kr.Series(made)(*tensors)
        case kr.Order():
            kr.Recipe(kr.basic, made, kr.projection)(slot)(*tensors)
        case kr.Body():
            kr.Series(made(slot))(*tensors)
        case kr.Recipe():
            made(slot)(*tensors)
        case kr.Stem():
            made(kr.PostAct())(*tensors)
        case kr.Stage():
            kr.plan([made], 8)
        case keras.optimizers.Optimizer():
            made.apply([keras.ops.zeros(1)], [keras.Variable([1.0])])
        case keras.initializers.Initializer():
            made((1, 1, 4, 2))
        case _ if name == "chained":
            made(slot)


def fault(name, parameter, wrong):
    """Return what is wrong with the answer to a wrong value, `None` if nothing is."""
    try:
        use(name, called(name, parameter, WRONG[wrong]))
    except (ValueError, TypeError) as error:
        said = re.search(rf"\b{parameter.removesuffix('s')}s?\b", str(error))
        return None if said else f"{name}({parameter}={wrong}): {type(error).__name__}: {error}"
    except Exception as error:
        return f"{name}({parameter}={wrong}): {type(error).__name__}: {error}"
    return None


QUICK = 200
LONG_TO_BUILD = {"KerasResNet", "KerasResNetV2", "export_saved_model"}


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Run in an empty folder, since some values are taken as a path."""
    monkeypatch.chdir(tmp_path)


def check(triples):
    """Fail with every fault of the triples of thing, argument and value."""
    optimizers = [triple for triple in triples if triple[0].startswith("Coupled")]
    found = [fault(*triple) for triple in optimizers]  # they make values
    with catalog.shapes_alone():
        found += [fault(*triple) for triple in triples if triple not in optimizers]
    assert [each for each in found if each] == []


def test_a_sample_of_wrong_values(scratch):
    quick = [pair for pair in cases() if pair[0] not in LONG_TO_BUILD]
    check(random.Random(0).sample([(*pair, wrong) for pair in quick for wrong in WRONG], QUICK))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({name for name, _ in cases()}))
def test_every_wrong_value(name, scratch):
    check([(*pair, wrong) for pair in cases() if pair[0] == name for wrong in WRONG])
