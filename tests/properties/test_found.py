"""Counterexamples that the properties once found, in the words of a user."""

from __future__ import annotations

import pytest

from hep_flows.errors import AxisError
from hep_flows.expr import build
from oracle.compare import differences
from oracle.example import EVENTS, SCHEMA
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.prelude import record, recorded
from oracle.tables import Table

TABLE = Table(SCHEMA, tuple(EVENTS))


def expression_of(program, table=TABLE):
    return recorded(record(f"result = {program}", table)["result"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("df.Jet[0].hits", "df.Jet[1].hits"),
        ("df.Jet[0].hits", "df.Jet[1].hits.map(lambda h: 1)"),
        ("df.Jet[df.run].hits", "df.Jet[df.run - 1].hits"),
        ("df.Jet[df.Jet.pt > 30][0].hits", "df.Jet[df.Jet.eta > 0][0].hits"),
        ("df.Jet[1:][0].hits", "df.Jet[0].hits"),
        ("df.Jet[1:][df.run].hits", "df.Jet[df.run].hits"),
        ("df.Jet[df.Jet.tight].First().hits", "df.Jet.First().hits"),
    ],
)
def test_lists_of_different_objects_do_not_align(one, other):
    with pytest.raises(AxisError):
        expression_of(f"{one} + {other}")


def test_lists_of_two_elements_do_not_align():
    with pytest.raises(AxisError):
        expression_of("df.Jet.map(lambda a: df.Jet.map(lambda b: a.hits + b.hits))")


def test_lists_of_one_object_align():
    assert interpret(expression_of("df.Jet[0].hits + df.Jet[0].hits"), EVENTS) == [[2, 4], [], [8, 8, 8]]
    assert interpret(expression_of("df.Jet.map(lambda a: (a.hits + a.hits) * df.Jet.pt.Count())"), EVENTS)[2] == [[8, 8, 8]]


def test_constant_for_each_item_of_the_first_of_two_selections_has_different_keys():
    first, second = [expression_of(f"df.Jet[{cut}][0].hits.map(lambda h: df.run)") for cut in ("df.Jet.pt < 50", "df.Jet.pt > 40")]
    assert interpret(first, EVENTS) == [[], [], []]
    assert interpret(second, EVENTS) == [[1, 1], [], [3, 3, 3]]
    assert first != second


def test_constant_for_each_item_of_different_objects_has_different_keys():
    first, second = expression_of("df.Jet[0].hits.map(lambda h: df.run)"), expression_of("df.Jet[1].hits.map(lambda h: df.run)")
    assert interpret(first, EVENTS) == [[1, 1], [], [3, 3, 3]]
    assert interpret(second, EVENTS) == [[], [], []]
    assert first != second


@pytest.mark.parametrize(
    "program",
    [
        "df.Jet.map(lambda j: j.hits[df.run])",
        "df.Jet.map(lambda j: j.hits[df.codes])",
        "df.Jet.hits[df.run]",
        "df.Jet.pt[df.Count() - 2]",
        "df.Jet.hits[df.Jet.n % 3]",
        "df.Jet.hits.map(lambda h: h[df.Muon.Count()])",
        "df.Jet.map(lambda j: j.hits[j.hits.Count() - 1])",
    ],
)
def test_index_from_outside_of_a_lambda_picks_from_each_element(program):
    expr = expression_of(program)
    got, _ = evaluated(expr, TABLE)
    assert differences(got, interpret(expr, EVENTS), exact=True) == []


def test_no_events_and_constants_have_no_distance():
    angle = build.literal(0.0)
    expr = build.call("count", [build.call("delta_r", [expression_of("df.weight"), angle, angle, angle])])
    assert evaluated(expr, Table(SCHEMA, ()))[0] == 0


@pytest.mark.parametrize("one", ["df.Jet.n & df.big", "df.big | df.run", "df.run << df.big"])
def test_signed_and_unsigned_64_bits_have_no_common_integer(one):
    from hep_flows.errors import LiteralError
    from hep_flows.expr.types import Int, Member, Record

    schema = Record("event", {**SCHEMA.members, "big": Member(Int(64, signed=False))})
    with pytest.raises(LiteralError):
        expression_of(one, Table(schema, ()))
