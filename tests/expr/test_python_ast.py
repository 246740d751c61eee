"""Expressions as Python and back: an inverse pair."""

from __future__ import annotations

import ast

import pytest

from calls import in_proportion
from expr.python_view import from_python, to_python
from expr.sample import call, delta, expressions, leaf, lit, table
from hep_flows.errors import RecordError
from hep_flows.expr import build

EVENTS = {"events": table()}


def read(text, **names):
    return from_python(ast.parse(text), {**EVENTS, **names})


@pytest.mark.parametrize("name", expressions())
def test_python_and_back_is_the_same_expression(name):
    expr = expressions()[name]
    form = to_python(expr)
    again = from_python(form.module, form.names)
    assert again == expr
    assert again.type.axes == expr.type.axes
    assert str(again.type) == str(expr.type)


@pytest.mark.parametrize("name", expressions())
def test_the_text_is_python_and_means_the_same(name):
    expr = expressions()[name]
    form = to_python(expr)
    text = ast.unparse(form.module)
    compile(text, "expression", "exec")
    assert from_python(ast.parse(text), form.names) == expr
    assert ast.unparse(ast.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("result = events.Jet.pt", leaf("Jet.pt")),
        ("result = events.Jet['pt']", leaf("Jet.pt")),
        ("p = events.Jet.pt\nresult = p[p > 30.5]", expressions()["filter"]),
        ("result = sqrt(events.Jet.pt / 1000.0)", expressions()["sqrt"]),
        ("result = where(events.Jet.pt > 30.5, events.Jet.pt, -events.Jet.pt)", expressions()["where"]),
        ("result = pick(events.Jet.pt, index=-1, at=1)", expressions()["last"]),
        ("result = -1", lit(-1)),
        ("result = negative(1)", call("negative", lit(1))),
        ("result = float('nan')", lit(float("nan"))),
        ("result = float32(0.5)", lit(0.5, "float32")),
        ("result = 1 < events.run", call("less", lit(1), leaf("run"))),
    ],
)
def test_python_written_by_hand(text, expr):
    assert read(text) == expr


def test_steps_are_short_and_shared_parts_are_written_once():
    text = ast.unparse(to_python(expressions()["shared"]).module)
    assert text.splitlines()[0] == "v1 = events.Jet.pt[events.Jet.pt > 30.5]"
    assert text.splitlines()[-1] == "result = v8 + v8"
    assert text.count("30.5") == 1


def test_names_are_free_and_stand_for_one_thing():
    both = call("add", call("count", table(("a",))), call("count", table(("b",))))
    expr = lit(1)
    for name in ("class", "add", "v1", "events", "my function-2", "float32"):
        expr = call(delta(name=name), both, expr)
    form = to_python(expr)
    assert from_python(form.module, form.names) == expr
    assert sorted(form.names) == ["_class", "_v1", "add_2", "events", "events_2", "events_3", "float32_2", "my_function_2"]


def test_names_of_leaves_that_python_does_not_allow():
    record = table().type.item
    odd = build.dataset("tree", ("a",), "t", type(record)("event", {"class": record.members["run"], "a b": record.members["run"]}))
    for name in ("class", "a b"):
        form = to_python(build.field(odd, name))
        assert f"[{name!r}]" in ast.unparse(form.module)
        assert from_python(form.module, form.names) == build.field(odd, name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os\nresult = events.run", "a step is an assignment"),
        ("result = other.run", "nothing is called other"),
        ("result = unknown(events.run)", "there is no function unknown"),
        ("result = sqrt(events.run, 2)", "sqrt takes 1 arguments"),
        ("result = pick(events.Jet.pt)", "pick does not take these arguments"),
        ("result = pick(events.Jet.pt, index='a', at=1)", "pick does not take these arguments"),
        ("result = events.run if True else 1", "the language has no such syntax"),
        ("result = [1 for x in events]", "the language has no such syntax"),
        ("result = (lambda: 1)()", "the language has no such syntax"),
        ("result = 1 < events.run < 3", "the language has no such syntax"),
        ("result = events.Jet.pt[1:2]", "the language has no such syntax"),
        ("result = round(events.run, decimals=events.run)", "an option is a constant"),
        ("result = events.Jet.pz", "no leaf 'pz'"),
        ("result = events.Jet.pt + events.Muon.pt", "does not align"),
        ("x = events.run", "has no result"),
        ("result = element(events.run, level=1)", "a loop needs a collection"),
        ("result = loop(events.Jet, 1)", "loop does not take these arguments"),
        ("result = keep(events.Jet, events.trigger, at=7)", "a filter needs a collection"),
        ("a, b = 1, 2", "a step is an assignment"),
    ],
)
def test_other_python_is_refused(text, why):
    with pytest.raises(RecordError) as caught:
        read(text)
    assert why in str(caught.value)


def test_python_that_is_nested_too_deep_is_refused():
    tree = ast.parse("result = events.run")
    value = tree.body[0].value
    for _ in range(5000):
        value = ast.UnaryOp(ast.USub(), value)
    tree.body[0].value = value
    with pytest.raises(RecordError, match="UnaryOp") as caught:
        from_python(tree, EVENTS)
    assert "nested more than" in caught.value.why


@pytest.mark.parametrize("step", [lambda x: call("add", x, x), lambda x: call("sqrt", x)])
def test_deep_and_shared_expressions(step):
    def chain(n):
        x = leaf("Jet.pt")
        for _ in range(n):
            x = step(x)
        return x

    def there_and_back(x):
        form = to_python(x)
        assert from_python(form.module, form.names) == x
        return form

    assert in_proportion(there_and_back, chain, 400)
    form = there_and_back(chain(10_000))
    compile(form.module, "expression", "exec")
