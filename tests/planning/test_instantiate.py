"""One recorded expression over many tables."""

import pytest

from hep_flows import render
from hep_flows.errors import FieldError
from hep_flows.expr import build
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Float, Member, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.batch_key import batch_key, form_key
from hep_flows.planning.changes import changes, shape
from hep_flows.planning.instantiate import instantiate
from hep_flows.planning.make_plan import make_plan
from tiny_plugin import TinyPlugin, tiny_table


def asked(df, cut=20):
    hard = df.Jet[df.Jet.pt > cut]
    return [
        render(hard.pt.Sum() / df.x.Max()),
        render(df.Jet.map(lambda j: j.pt * df.Jet.pt.Max())),
        render(df[df.good].Jet.eta),
    ]


def table(df):
    return next(n for n in postorder(render(df.x)) if isinstance(n, Dataset))


def test_it_is_what_would_have_been_recorded_over_the_other_table():
    a, b = tiny_table("a"), tiny_table("b")
    got = instantiate(asked(a), {table(a).key: table(b)})
    assert [e.key for e in got] == [e.key for e in asked(b)]
    assert [e.type for e in got] == [e.type for e in asked(b)]
    assert [e.where for e in got] == [e.where for e in asked(a)] or all(e.where is not None for e in got)


def test_other_tables_stay():
    a = tiny_table("a")
    exprs = asked(a)
    assert all(x is y for x, y in zip(instantiate(exprs, {}), exprs, strict=True))


def test_a_table_without_the_leaf_is_an_error():
    a = tiny_table("a")
    poor = build.dataset("nanoaod", ("poor",), "Events", Record("event", {"x": Member(Float(64))}, "nanoaod"))
    with pytest.raises(FieldError, match="Jet"):
        instantiate(asked(a), {table(a).key: poor})


def test_forms_do_not_know_the_data_and_batches_know_only_theirs():
    plans = [make_plan(asked(tiny_table(name)), [TinyPlugin({})]) for name in ("a", "b")]
    forms = [[form_key(t, "1") for t in p.tasks] for p in plans]
    assert forms[0] == forms[1]
    assert len(set(forms[0])) == len(plans[0].tasks)
    assert forms[0][0] != form_key(plans[0].tasks[0], "2")
    other = make_plan(asked(tiny_table("a"), cut=25), [TinyPlugin({})])
    assert [form_key(t, "1") for t in other.tasks] != forms[0]
    keys = {
        batch_key(forms[0][0], *rest)
        for rest in [(("a",), 0, 5, ()), (("a",), 0, 6, ()), (("b",), 0, 5, ()), (("a",), 0, 5, (b"k",))]
    }
    assert len(keys) == 4


def test_the_order_of_exact_operands_does_not_change_a_form():
    df = tiny_table()
    one, other = [make_plan([render(df[m].x)], [TinyPlugin({})]).tasks[0] for m in ((df.good & (df.k > 1)), ((df.k > 1) & df.good))]
    assert form_key(one, "1") == form_key(other, "1")


def test_changes_are_told_in_words():
    df = tiny_table()
    old, new = asked(df)[0], asked(df, cut=25)[0]
    assert shape(old) == shape(new)
    (change,) = changes(old, new)
    assert change.text.startswith("`events.Jet.pt > 20` became `events.Jet.pt > 25` at test_instantiate.py:")
    assert changes(old, old) == ()
    (change,) = changes(render(df.x.Sum()), render(df.x.Max()))
    assert "`events.x.Sum()` became `events.x.Max()`" in change.text
