"""Any expression comes back from bytes and from Python as it was, and so does any task that it is cut into."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from expr.python_view import check, from_python, to_python
from expr.test_key_format import axes, key
from hep_flows.contract import Numerics, Plan
from hep_flows.expr.nodes import Bound, Map
from hep_flows.expr.text import one_line, tree_text
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.walk import postorder
from hep_flows.planning.cut import Borders, cut
from hep_flows.planning.spread import spread
from hep_flows.show.plan import plan_svg, plan_text
from oracle.expressions import cases


def comes_back(expr):
    check(expr)
    data = encode(expr)
    again = decode(data)
    check(again)
    assert again == expr
    assert again.type.axes == expr.type.axes
    assert encode(again) == data
    assert tree_text(again) == tree_text(expr)
    form = to_python(expr)
    assert from_python(form.module, form.names) == expr
    assert from_python(ast.parse(ast.unparse(form.module)), form.names) == expr


@given(case=cases(max_events=1))
def test_expressions_come_back(case):
    comes_back(case.expr)


@given(case=cases(max_events=1))
def test_keys_and_axes_follow_the_written_format(case):
    assert key(case.expr) == case.expr.key
    assert [a[:2] for a in axes(case.expr)] == [(a.key, a.root) for a in case.expr.type.axes]


@given(case=cases(max_events=1))
def test_texts_stand_for_one_expression(case):
    """What is not a loop is written in Python that the reader of Python takes for the same steps."""
    assert one_line(case.expr, 10**6).count("(") == one_line(case.expr, 10**6).count(")")
    assert tree_text(case.expr).splitlines()[-1].endswith(f"# {case.expr.type}")
    if not any(isinstance(n, Bound | Map) for n in postorder(case.expr)):
        ast.parse(re.sub(r"(events|axis \d+): ", "", one_line(case.expr, 10**6)))


@given(case=cases(max_events=1), data=st.data())
def test_tasks_come_back_and_plans_can_be_shown(case, data):
    nodes = list(postorder(case.expr))
    labels = {n.key: data.draw(st.sampled_from("ab")) for n in nodes}
    tasks, targets, forms = cut([case.expr], Borders(labels, spread([case.expr])), lambda name, _: Numerics(name, "1"))
    for task in tasks:
        check(task.expr, closed=False)
        again = decode(encode(task.expr))
        assert again == task.expr
        assert [n.type.axes for n in postorder(again)] == [n.type.axes for n in postorder(task.expr)]
        form = to_python(task.expr)
        assert from_python(ast.parse(ast.unparse(form.module)), form.names) == task.expr
    plan = Plan(tuple([replace(t, columns=("c",)) for t in tasks]), targets, (case.expr,), labels, forms=forms)
    assert all(t.key.hex()[:8] in plan_text(plan) for t in tasks)
    plan_svg(plan)
