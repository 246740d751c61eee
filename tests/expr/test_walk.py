"""Traversals: every node once, inputs first, without recursion, in linear time."""

from __future__ import annotations

import pytest

from expr.sample import call, expressions, leaf
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Filter
from hep_flows.expr.walk import postorder, rewrite, uses

LONG = 100_000


@pytest.fixture(scope="module")
def long_chain():
    x = leaf("Jet.pt")
    for _ in range(LONG):
        x = call("sqrt", x)
    return x


@pytest.mark.parametrize("name", expressions())
def test_postorder_gives_each_node_once_and_inputs_first(name):
    seen = set()
    for node in postorder(expressions()[name]):
        assert node.key not in seen
        assert all(i.key in seen for i in node.inputs())
        seen.add(node.key)


def test_postorder_is_left_to_right():
    titles = [n.name if hasattr(n, "name") else n.tag for n in postorder(expressions()["filter both"])]
    assert titles == ["events", "Jet", "pt", "literal", "call", "eta", "call", "literal", "call", "call", "filter"]


def test_several_roots_share_their_parts():
    a, b = expressions()["filter"], expressions()["filter both"]
    together = list(postorder(a, b, a))
    assert len(together) == len({n.key for n in [*postorder(a), *postorder(b)]})


def test_parts_can_be_left_out():
    root = expressions()["filter both"]
    kept = list(postorder(root, into=lambda n: isinstance(n, Filter | Call)))
    assert {type(n) for n in kept} == {Filter, Call}
    assert list(postorder(root, into=lambda n: n is not root)) == []


def test_uses_counts_places_not_paths():
    pt = leaf("Jet.pt")
    double = call("add", pt, pt)
    count = uses(call("add", double, double))
    assert count[pt.key] == 2
    assert count[double.key] == 2
    assert count[call("add", double, double).key] == 1


def test_rewrite_rebuilds_only_what_changes():
    (root,) = rewrite([expressions()["filter both"]], rebuilt)
    (same,) = rewrite([root], rebuilt)
    assert same is root


def test_rewrite_makes_equal_parts_one_object():
    (root,) = rewrite([call("add", call("sqrt", leaf("Jet.pt")), call("sqrt", leaf("Jet.pt")))], rebuilt)
    assert root.args[0] is root.args[1]


def test_rewrite_replaces_a_leaf_everywhere():
    pt, eta = leaf("Jet.pt"), leaf("Jet.eta")
    root = call("add", call("sqrt", pt), pt)
    (new,) = rewrite([root], lambda node, inputs: eta if node == pt else rebuilt(node, inputs))
    assert new == call("add", call("sqrt", eta), eta)


def test_depth_is_limited_by_memory_alone(long_chain):
    assert sum(1 for _ in postorder(long_chain)) == LONG + 3
    (same,) = rewrite([long_chain], rebuilt)
    assert same is long_chain


def test_sharing_costs_nothing():
    x = leaf("Jet.pt")
    for _ in range(1000):  # as a tree it would have 2**1000 nodes
        x = call("add", x, x)
    assert sum(1 for _ in postorder(x)) == 1003
    assert uses(x)[leaf("Jet.pt").key] == 2
