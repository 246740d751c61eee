"""Keys: equal if, and only if, the expressions are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from oracle.canonical import canonical
from oracle.expressions import expressions, grown, leaves
from oracle.respell import respelled
from oracle.tables import tables

from hep_flows.expr.check import check
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.walk import postorder


@given(st.data())
def test_keys_are_equal_exactly_when_expressions_are(data):
    table = data.draw(tables(max_events=0))
    pool = grown(data.draw, leaves(table), data.draw(st.integers(2, 12)))
    forms = {}
    for node in postorder(*[m.expr for m in pool]):
        if not node.type.loops:
            form = canonical(node)
            assert forms.setdefault(node.key, form) == form, "one key for two expressions"
    assert len(set(forms.values())) == len(forms), "two keys for one expression"


@given(st.data())
def test_spelling_does_not_change_the_key(data):
    expr = data.draw(expressions(data.draw(tables(max_events=0))))
    other = respelled(data.draw, expr)
    assert canonical(other) == canonical(expr)
    assert other == expr


@given(st.data())
def test_every_expression_is_well_formed(data):
    expr = data.draw(expressions(data.draw(tables(max_events=0))))
    check(expr)


@given(st.data())
def test_bytes_keep_the_expression(data):
    expr = data.draw(expressions(data.draw(tables(max_events=0))))
    again = decode(encode(expr))
    assert again == expr
    assert str(again.type) == str(expr.type)
    assert encode(again) == encode(expr)
