"""Closing loops: what only works along an element is no loop, and all others have one canonical form."""

from __future__ import annotations

import pytest

from expr.python_view import check
from expr.sample import call, leaf, lit, mapped, near_jets, pairs_of_jets, triples_of_jets
from hep_flows.expr import build
from hep_flows.expr.loops import PROVISIONAL, close, provisional_level
from hep_flows.expr.nodes import Bound, Map
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder

JETS, PT, ETA = leaf("Jet"), leaf("Jet.pt"), leaf("Jet.eta")
MUONS, MUON_PT = leaf("Muon"), leaf("Muon.pt")


def levels(root):
    return {n.level for n in postorder(root) if isinstance(n, Bound | Map)}


def loops(root):
    return [n for n in postorder(root) if isinstance(n, Map)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda j: call("true_divide", j(PT), 1000), call("true_divide", PT, 1000)),
        (lambda j: j(PT), PT),
        (lambda j: j(JETS), JETS),
        (lambda j: call("where", call("greater", j(PT), 30), j(PT), 0.0), call("where", call("greater", PT, 30), PT, 0.0)),
        (lambda j: call("multiply", j(PT), leaf("MET.pt")), call("multiply", PT, leaf("MET.pt"))),
        (lambda j: call("multiply", j(PT), call("count", MUONS)), call("multiply", PT, call("count", MUONS))),
        (lambda j: call("count", j(leaf("Jet.tracks"))), call("count", leaf("Jet.tracks"))),
        (lambda j: build.pick(j(leaf("Jet.tracks")), 0, 1), build.pick(leaf("Jet.tracks"), 0, 2)),
        (lambda j: build.sliced(j(leaf("Jet.tracks")), (None, 2, None), 1), build.sliced(leaf("Jet.tracks"), (None, 2, None), 2)),
        (
            lambda j: build.filtered(j(leaf("Jet.tracks")), call("greater", j(leaf("Jet.tracks")), j(PT)), 1),
            build.filtered(leaf("Jet.tracks"), call("greater", leaf("Jet.tracks"), PT), 2),
        ),
        (lambda j: build.record(("0", "1"), (j(PT), j(ETA))), build.record(("0", "1"), (PT, ETA))),
    ],
)
def test_what_works_along_the_element_is_no_loop(body, expected):
    made = mapped(JETS, body)
    check(made)
    assert made == expected
    assert not loops(made)


def test_a_loop_whose_body_does_not_use_the_element_repeats_it():
    made = mapped(JETS, lambda j: call("count", MUON_PT))
    check(made)
    assert made.level == 0
    assert str(made.type) == "int64, events x Jet"


def test_a_constant_is_repeated_too():
    made = mapped(JETS, lambda j: lit(1.0))
    check(made)
    assert str(made.type) == "float64, events x Jet"


def test_a_whole_collection_makes_a_loop():
    made = near_jets()
    check(made)
    assert isinstance(made, Map)
    assert made.level == 1
    assert levels(made) == {1}
    assert made.type.loops == ()
    assert str(made.type) == "int64, events x Jet"


def test_levels_count_from_the_inside():
    made = triples_of_jets()
    check(made)
    assert sorted(n.level for n in loops(made)) == [1, 2]
    assert made.level == 2


def test_three_loops_over_one_collection():
    def body(a, b, c):
        return call("sum", call("multiply", call("add", call("multiply", a(PT), b(ETA)), c(PT)), leaf("Jet.phi")))

    made = mapped(
        JETS, lambda a: mapped(JETS, lambda b: mapped(JETS, lambda c: call("add", body(a, b, c), call("count", MUON_PT)), 2), 1), 0
    )
    check(made)
    assert [n.level for n in loops(made)] == [1, 2, 3]
    assert str(made.type) == "float64, events x Jet x Jet x Jet"
    assert one_line(made) == (
        "events.Jet.map(lambda x3: events.Jet.map(lambda x2: events.Jet.map(lambda x1: "
        "((x3.pt * x2.eta + x1.pt) * events.Jet.phi).Sum() + events.Muon.pt.Count())))"
    )


def test_pairs_of_a_collection_with_itself_keep_which_is_which():
    one = mapped(JETS, lambda a: mapped(JETS, lambda b: call("subtract", a(PT), b(PT)), 1), 0)
    other = mapped(JETS, lambda a: mapped(JETS, lambda b: call("subtract", b(PT), a(PT)), 1), 0)
    check(one, other)
    assert one == pairs_of_jets()
    assert one != other
    assert str(one.type) == "float32, events x Jet x Jet"


def test_the_outer_element_may_be_used_in_the_inner_collection():
    def near(j):
        return build.filtered(MUON_PT, call("greater", MUON_PT, j(PT)), 1)

    made = mapped(JETS, lambda j: mapped(near(j), lambda m: call("subtract", m(near(j)), j(PT)), 1), 0)
    check(made)
    assert str(made.type) == "float32, events x Jet x Muon[...]"


def test_a_closed_loop_is_the_same_inside_another():
    def body(m):
        return call("sum", call("multiply", near_jets(), m(MUON_PT)))

    made = mapped(MUONS, body)
    check(made)
    assert near_jets() in list(postorder(made))
    assert made.level == 2


def test_deep_nesting_is_canonical():
    def nest(depth, outer):
        if depth == 12:
            return call("sum", call("multiply", outer, ETA))
        return mapped(JETS, lambda j: nest(depth + 1, call("add", outer, j(PT))), depth)

    made = nest(0, leaf("MET.pt"))
    check(made)
    assert sorted(n.level for n in loops(made)) == list(range(1, 13))
    assert made == nest(0, leaf("MET.pt"))


def test_an_element_that_escapes_is_recognised():
    escaped = []
    level = provisional_level(0)
    element = build.bound(PT, level)
    escaped.append(element)
    close(JETS, element, level)
    assert escaped[0].level >= PROVISIONAL
    with pytest.raises(AssertionError, match="the level"):
        check(escaped[0])


def test_provisional_levels_never_repeat_and_outer_ones_are_higher():
    drawn = [provisional_level(d) for d in (0, 0, 1, 1, 2)]
    assert len(set(drawn)) == 5
    assert min(drawn[:2]) > max(drawn[2:4]) > drawn[4] > PROVISIONAL


def test_a_mask_of_an_element_cannot_drop_events():
    level = provisional_level(0)
    mask = call("greater", build.bound(PT, level), 30)
    with pytest.raises(build.AxisError, match="cannot drop events"):
        build.filtered(leaf("MET.pt"), mask, 0)


def test_an_aggregate_of_one_element_is_an_error():
    level = provisional_level(0)
    with pytest.raises(build.AxisError, match="Count requires a sequence, and this is one element"):
        call("count", build.bound(PT, level))


def test_long_bodies_are_closed_without_recursion():
    def body(j):
        x = call("count", build.filtered(MUON_PT, call("greater", MUON_PT, j(PT)), 1))
        for _ in range(5000):
            x = call("add", x, j(leaf("Jet.id")))
        return x

    made = mapped(JETS, body)
    assert made.level == 1
    assert levels(made) == {1}
