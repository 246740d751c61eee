"""The member of an expression is the stored leaf below all selections, selected in the same way."""

from __future__ import annotations

import pytest

from expr.python_view import check
from expr.sample import call, leaf, mapped, table
from hep_flows.expr import build
from hep_flows.expr.loops import select
from hep_flows.expr.nodes import Dataset, Field

JETS, PT = leaf("Jet"), leaf("Jet.pt")
HARD = call("greater", PT, 30.5)
TWO = call("greater", call("count", JETS), 2)


def stored(name):
    """Say what a stored leaf is at a node that defines it."""

    def found(node):
        if isinstance(node, Dataset | Field) and name in node.type.item.members:
            return build.field(node, name)
        return None

    return found


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (JETS, PT),
        (build.filtered(JETS, HARD, 1), build.filtered(PT, HARD, 1)),
        (build.filtered(JETS, TWO, 0), build.filtered(PT, TWO, 0)),
        (build.filtered(build.filtered(JETS, HARD, 1), TWO, 0), build.filtered(build.filtered(PT, HARD, 1), TWO, 0)),
        (build.pick(JETS, 0, 1), build.pick(PT, 0, 1)),
        (build.sliced(JETS, (None, 2, None), 1), build.sliced(PT, (None, 2, None), 1)),
        (build.pick(build.filtered(JETS, HARD, 1), 0, 1), build.pick(build.filtered(PT, HARD, 1), 0, 1)),
    ],
)
def test_selections_are_carried_to_the_leaf(of, expected):
    made = select(of, stored("pt"))
    check(made)
    assert made == expected


def test_a_list_valued_leaf_keeps_the_axis_that_was_selected():
    tracks = leaf("Jet.tracks")
    assert select(build.filtered(JETS, HARD, 1), stored("tracks")) == build.filtered(tracks, HARD, 1)
    assert select(build.pick(JETS, 0, 1), stored("tracks")) == build.pick(tracks, 0, 1)
    assert select(build.sliced(JETS, (1, None, None), 1), stored("tracks")) == build.sliced(tracks, (1, None, None), 1)


def test_a_reference_carries_on_to_the_leaf():
    muon = build.gathered(leaf("Muon"), leaf("Jet.muonIdx"), 1)
    assert select(muon, stored("pt")) == build.gathered(leaf("Muon.pt"), leaf("Jet.muonIdx"), 1)


def test_a_leaf_of_events_that_were_filtered():
    events = build.filtered(table(), TWO, 0)
    assert select(events, stored("run")) == build.filtered(leaf("run"), TWO, 0)


def test_the_member_of_a_loop_is_the_loop_of_the_member():
    near = mapped(JETS, lambda j: build.filtered(leaf("Muon"), call("greater", leaf("Muon.pt"), j(PT)), 1))
    direct = mapped(JETS, lambda j: build.filtered(leaf("Muon.pt"), call("greater", leaf("Muon.pt"), j(PT)), 1))
    made = select(near, stored("pt"))
    check(made)
    assert made == direct


def test_nobody_defines_it():
    assert select(build.filtered(JETS, HARD, 1), stored("charge")) is None
    assert select(call("count", JETS), stored("pt")) is None


def test_long_chains_of_filters_are_crossed_without_recursion():
    of, expected = JETS, PT
    for i in range(3000):
        mask = call("greater", expected, float(i))
        of, expected = build.filtered(of, mask, 1), build.filtered(expected, mask, 1)
    assert select(of, stored("pt")) == expected
