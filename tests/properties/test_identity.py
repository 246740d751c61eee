"""Keys: equal if, and only if, the expressions are."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from expr.python_view import check, from_python, to_python
from hep_flows.expr.text import one_line
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.walk import postorder
from oracle.canonical import canonical
from oracle.expressions import cases, grown, leaves
from oracle.respell import respelled
from oracle.tables import tables


@given(st.data())
def test_keys_are_equal_exactly_when_expressions_are(data):
    table = data.draw(tables(max_events=0))
    pool = grown(data.draw, leaves(table), data.draw(st.integers(2, 12)))
    known, keys = {}, {}
    for node in postorder(*[m.expr for m in pool]):
        if node.type.loops:
            continue
        form = canonical(node)
        first = known.setdefault(node.key, node)
        assert canonical(first) == form, f"one key for {one_line(first)} and {one_line(node)}"
        other = keys.setdefault(form, node)
        assert other == node, f"two keys for {one_line(other)} and {one_line(node)}"


@given(cases(max_events=0), st.data())
def test_spelling_does_not_change_the_key(case, data):
    other = respelled(data.draw, case.expr)
    assert canonical(other) == canonical(case.expr)
    assert other == case.expr


@given(cases(max_events=0))
def test_every_expression_is_well_formed(case):
    check(case.expr)


@given(cases(max_events=0))
def test_bytes_keep_the_expression(case):
    again = decode(encode(case.expr))
    assert again == case.expr
    assert str(again.type) == str(case.expr.type)
    assert encode(again) == encode(case.expr)


@given(cases(max_events=0))
def test_python_keeps_the_expression(case):
    form = to_python(case.expr)
    text = ast.unparse(form.module)
    again = from_python(ast.parse(text), form.names)
    assert again == case.expr, text
    assert from_python(form.module, form.names) == case.expr
    assert ast.unparse(to_python(again).module) == text
