"""Records whose schema is not closed."""

from __future__ import annotations

import pytest

from hep_flows.expr import build
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.types import Float, Int, Member, OpenMembers, Record


@pytest.fixture
def members():
    return OpenMembers({"pt": Member(Float(32))}, lambda name: Member(Float(64)) if name.startswith("x") else None)


def test_known_members_are_listed_and_others_are_not(members):
    assert list(members) == ["pt"]
    assert "xyz" in members
    assert dict(members.items()) == {"pt": Member(Float(32))}
    assert len(members) == 1


def test_the_rule_says_what_any_other_name_is(members):
    assert members["x1"].item == Float(64)
    assert members.get("y") is None
    assert "y" not in members
    assert 3 not in members
    with pytest.raises(KeyError, match="y"):
        members["y"]


def test_a_known_name_is_not_asked_for():
    assert OpenMembers({"x": Member(Int(8))}, lambda name: Member(Float(64)))["x"].item == Int(8)


def test_a_name_is_one_thing():
    made = OpenMembers({}, lambda name: Member(Record(name, {}, "xaod")))
    assert made["jets"].item is made["jets"].item


def test_what_an_expression_uses_of_it_travels(members):
    jet = Record("Jet", members, "xaod")
    table = build.dataset("xaod", ("1:a",), "", Record("event", OpenMembers({}, lambda n: Member(jet, (n,))), "xaod"))
    jets = build.field(table, "Jets")
    expr = build.filtered(build.field(jets, "pt"), build.call("greater", [build.field(jets, "x7"), build.literal(1.0)]), 1)
    again = decode(encode(expr))
    assert again == expr
    assert str(again.type) == str(expr.type)
