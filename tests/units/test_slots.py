"""Slots and stages: the plan of a network, before any layer exists."""

import pytest

from keras_resunits import Slot, Stage, plan


def test_a_plan_has_one_slot_for_each_unit_and_the_stride_on_the_first_of_a_stage():
    assert plan([Stage(2, 16), Stage(1, 32, strides=2)], in_filters=8) == (
        Slot(index=0, total=3, in_filters=8, filters=16),
        Slot(index=1, total=3, in_filters=16, filters=16),
        Slot(index=2, total=3, in_filters=16, filters=32, strides=2),
    )


def test_only_the_first_slot_is_marked_as_activated_by_the_stem():
    assert [slot.activated for slot in plan([Stage(2, 8), Stage(1, 8)], 8, activated=True)] == [True, False, False]
    assert not any(slot.activated for slot in plan([Stage(2, 8)], 8))


@pytest.mark.parametrize(
    ("in_filters", "filters", "strides", "changes"),
    [(16, 16, 1, False), (16, 16, 2, True), (16, 32, 1, True), (32, 16, 1, True)],
)
def test_a_slot_knows_whether_the_shape_changes(in_filters, filters, strides, changes):
    assert Slot(0, 1, in_filters, filters, strides).changes_shape is changes


@pytest.mark.parametrize("index", [-1, 1.5, True, "7"])
def test_a_position_that_is_not_a_non_negative_int_is_refused(index):
    with pytest.raises(ValueError, match=rf"`index` must be a.* int.*Received: index={index!r}"):
        Slot(index, 2000, 8, 8)


@pytest.mark.parametrize(("index", "name"), [(0, "unit000"), (42, "unit042"), (1234, "unit1234")])
def test_a_slot_is_named_by_its_position(index, name):
    assert Slot(index, 2000, 8, 8).name == name


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", True, None])
@pytest.mark.parametrize("field", ["total", "in_filters", "filters", "strides"])
def test_a_slot_requires_positive_ints(field, wrong):
    numbers = {"total": 3, "in_filters": 8, "filters": 8, "strides": 1, field: wrong}
    with pytest.raises(
        ValueError, match=rf"`{field}` must be a positive int\. Received: {field}={wrong!r} \(unit 'unit007'\)"
    ):
        Slot(index=7, **numbers)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", True, None])
@pytest.mark.parametrize("field", ["units", "filters", "strides"])
def test_a_stage_requires_positive_ints(field, wrong):
    numbers = {"units": 3, "filters": 8, "strides": 1, field: wrong}
    with pytest.raises(ValueError, match=rf"`{field}` must be a positive int\. Received: {field}={wrong!r} \(stage\)"):
        Stage(**numbers)


def test_a_plan_of_no_stages_is_refused():
    with pytest.raises(ValueError, match=r"`stages` must hold at least one Stage. Received: an empty sequence"):
        plan([], in_filters=16)


def test_a_plan_names_the_unit_whose_input_is_wrong():
    with pytest.raises(
        ValueError, match=r"`in_filters` must be a positive int\. Received: in_filters=0 \(unit 'unit000'"
    ):
        plan([Stage(1, 16)], in_filters=0)


def test_a_generator_of_stages_is_read_once():
    stages = [Stage(2, 16), Stage(1, 32, strides=2)]
    assert plan((stage for stage in stages), 16) == plan(stages, 16)
    with pytest.raises(ValueError, match=r"`stages` must hold at least one Stage"):
        plan((stage for stage in ()), 16)
