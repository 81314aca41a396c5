"""Law: the catalog contains everything that the package exports, under its kind, and nothing else."""

import inspect
from types import ModuleType

import keras
import pytest

import keras_resunits as kr
from keras_resunits import surgery
from keras_resunits.models import stems
from keras_resunits.models.family import FAMILIES
from keras_resunits.units import bodies, merges, orders, shortcuts, tails
from tests import catalog

EXPORTED = {name: thing for name, thing in vars(kr).items() if name[0] != "_" and not isinstance(thing, ModuleType)}


ALL_ORDERS = {**catalog.ORDERS, **catalog.MORE_ORDERS}


def has_abstract_methods(thing):
    return any(getattr(method, "__isabstractmethod__", False) for method in vars(thing).values())


KINDS = {
    "layer": (catalog.LAYERS, lambda thing: issubclass(thing, keras.layers.Layer)),
    "order": (ALL_ORDERS, lambda thing: issubclass(thing, kr.Order)),
    "optimizer": (catalog.OPTIMIZERS, lambda thing: issubclass(thing, keras.optimizers.Optimizer)),
    "body": (catalog.BODIES, lambda thing: isinstance(thing, kr.Body)),
    "shortcut": (catalog.SHORTCUTS, lambda thing: list(inspect.signature(thing).parameters)[:2] == ["slot", "order"]),
    "merge": (catalog.MERGES, lambda thing: isinstance(thing(catalog.SLOTS["same"]), kr.Merge)),
    "tail": (catalog.TAILS, lambda thing: isinstance(thing(catalog.SLOTS["same"]), list)),
    "initializer": (catalog.INITIALIZERS, lambda thing: issubclass(thing, keras.initializers.Initializer)),
    "factory": (catalog.FACTORIES, lambda thing: "input_shape" in inspect.signature(thing).parameters),
    "record": (catalog.RECORDS, lambda thing: thing.__dataclass_params__.frozen),
    "abstract": (dict.fromkeys(catalog.ABSTRACT), has_abstract_methods),
    "helper": (dict.fromkeys(catalog.HELPERS), inspect.isfunction),
}


def exported_names(table):
    """`CoupledSGD-plain` is an instance of what is exported as `CoupledSGD`."""
    return {name.partition("-")[0] for name in table}


NAMESPACES = {
    "analysis": kr.analysis,
    "bodies": bodies,
    "merges": merges,
    "orders": orders,
    "shortcuts": shortcuts,
    "surgery": surgery,
    "tails": tails,
}


def test_everything_exported_is_listed_in_all_and_vice_versa():
    assert sorted(kr.__all__) == sorted({*EXPORTED, *NAMESPACES})
    assert all(getattr(kr, name) is module for name, module in NAMESPACES.items())


@pytest.mark.parametrize(
    ("namespace", "kind"),
    [("bodies", "body"), ("merges", "merge"), ("orders", "order"), ("shortcuts", "shortcut"), ("tails", "tail")],
)
def test_a_namespace_holds_every_variant_of_its_kind(namespace, kind):
    for name in exported_names(KINDS[kind][0]):
        assert getattr(NAMESPACES[namespace], name) is getattr(kr, name)


def test_no_order_is_a_subclass_of_a_concrete_one():
    final = [thing for name, thing in EXPORTED.items() if name in exported_names(ALL_ORDERS)]
    assert [order for order in final if any(base in final for base in order.__mro__[1:])] == []


def test_everything_exported_has_a_docstring_with_an_example():
    operations = {name: getattr(surgery, name) for name in surgery.__all__}
    described = {
        name: thing
        for name, thing in {**EXPORTED, **operations}.items()
        if inspect.isfunction(thing) or inspect.isclass(thing)
    }
    assert [name for name, thing in described.items() if ">>>" not in inspect.getdoc(thing)] == []


def test_everything_exported_is_in_the_catalog():
    catalogued = set().union(*(exported_names(table) for table, _ in KINDS.values()))
    assert set(EXPORTED) - catalogued == set(), "add each to tests/catalog.py: one line"


@pytest.mark.parametrize("kind", KINDS)
def test_everything_in_the_catalog_is_exported_and_of_its_kind(kind):
    table, is_of_kind = KINDS[kind]
    assert exported_names(table) - set(EXPORTED) == set(), "the catalog contains what is not exported"
    assert [name for name in exported_names(table) if not is_of_kind(EXPORTED[name])] == []


def test_nothing_is_catalogued_twice():
    names = [name for table, _ in KINDS.values() for name in exported_names(table)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("kind", ["layer", "record", "order"])
def test_an_instance_is_of_the_class_it_is_listed_under(kind):
    table = {"layer": catalog.LAYERS, "record": catalog.RECORDS, "order": ALL_ORDERS}[kind]
    made = {name: thing.make() if isinstance(thing, catalog.Case) else thing for name, thing in table.items()}
    assert {name: type(thing) for name, thing in made.items()} == {n: EXPORTED[n.partition("-")[0]] for n in table}


@pytest.mark.parametrize(
    ("named", "catalogued"),
    [
        (bodies.BODIES, catalog.BODIES),
        (orders.ORDERS, ALL_ORDERS),
        (shortcuts.SHORTCUTS, catalog.SHORTCUTS),
        (merges.MERGES, catalog.MERGES),
        (tails.TAILS, catalog.TAILS),
        ({name: family.build for name, family in FAMILIES.items()}, catalog.FACTORIES),
    ],
    ids=["bodies", "orders", "shortcuts", "merges", "tails", "factories"],
)
def test_the_names_at_the_public_edge_are_those_of_the_catalog(named, catalogued):
    assert all(thing in list(catalogued.values()) for thing in named.values()), (
        "a name for something that the catalog lacks"
    )
    assert all(thing in list(named.values()) for thing in catalogued.values()), (
        "the catalog contains something without a name"
    )


def test_every_named_stem_and_every_network_family_has_an_instance():
    assert {f"stem-{name}" for name in stems.STEMS} <= set(catalog.STEMS)
    assert set(catalog.FACTORIES) <= set(catalog.NETWORKS) | set(catalog.KERAS_LAYOUTS)
