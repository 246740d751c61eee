"""The check finds what no builder makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expr.python_view import check
from expr.sample import call, expressions, leaf, near_jets, task_with_result
from hep_flows.expr import build
from hep_flows.expr.types import Float, Type


@pytest.mark.parametrize("name", expressions())
def test_what_builders_make_is_well_formed(name):
    check(expressions()[name])


def test_a_wrong_type_is_found():
    pt = leaf("Jet.pt")
    wrong = replace(call("sqrt", pt), type=replace(pt.type, item=Float(64)))
    with pytest.raises(
        AssertionError, match=r"np\.sqrt\(events\.Jet\.pt\): float64, events x Jet, but float32, events x Jet when made anew"
    ):
        check(call("add", wrong, 1))


def test_missing_items_that_were_forgotten_are_found():
    picked = build.pick(leaf("Jet.pt"), 0, 1)
    with pytest.raises(AssertionError, match="when made anew"):
        check(replace(picked, type=replace(picked.type, optional=False)))


def test_arguments_that_do_not_fit_are_found():
    made = call("add", leaf("Jet.pt"), 1)
    with pytest.raises(AssertionError, match="cannot be made anew"):
        check(replace(made, args=(leaf("Jet.pt"), leaf("Muon.pt"))))


def test_a_leaf_of_a_made_record_is_found():
    record = build.record(("pt",), (leaf("Jet.pt"),))
    with pytest.raises(AssertionError, match="not stored"):
        check(build.field(record, "pt"))


@pytest.mark.parametrize("level", [2, 1 << 40])
def test_a_level_that_is_not_canonical_is_found(level):
    near = near_jets()
    with pytest.raises(AssertionError):
        check(replace(near, level=level))


def test_an_element_outside_its_loop_is_found():
    element = build.bound(leaf("Jet.pt"), 1)
    with pytest.raises(AssertionError, match="outside its loop"):
        check(element)
    check(element, closed=False)


def test_a_task_may_keep_the_types_that_it_had_before_it_was_cut():
    check(task_with_result())


def test_but_not_any_type():
    task = task_with_result()
    with pytest.raises(AssertionError, match="when made anew"):
        check(replace(task, type=Type(Float(64), task.type.axes)))
