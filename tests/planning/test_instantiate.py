"""One recorded expression over many tables."""

import pytest

from hep_flows import render
from hep_flows.errors import FieldError
from hep_flows.execute.history import changes, shape
from hep_flows.expr import build
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Float, Member, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.keys import batch_key
from hep_flows.planning.plan import instantiate, make_plan
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
    forms = [[p.forms[t.key] for t in p.tasks] for p in plans]
    takes_merged = [bool(t.inputs) for t in plans[0].tasks]
    assert sorted(set(takes_merged)) == [False, True]
    # A merged result is one over all of the data, so what takes it knows the data too.
    assert [a != b for a, b in zip(*forms, strict=True)] == takes_merged
    assert len(set(forms[0])) == len(plans[0].tasks)
    assert not set(forms[0]) & set(make_plan(asked(tiny_table("a")), [TinyPlugin({}, result_version="2")]).forms.values())
    other = make_plan(asked(tiny_table("a"), cut=25), [TinyPlugin({})])
    assert [other.forms[t.key] for t in other.tasks] != forms[0]
    form = forms[0][0]
    keys = {batch_key(form, *rest) for rest in [(("a",), 0, 5), (("a",), 0, 6), (("b",), 0, 5)]}
    assert len(keys) == 3


def test_the_order_of_exact_operands_does_not_change_a_form():
    df = tiny_table()
    one, other = [make_plan([render(df[m].x)], [TinyPlugin({})]) for m in ((df.good & (df.k > 1)), ((df.k > 1) & df.good))]
    assert list(one.forms.values()) == list(other.forms.values())


def test_what_a_loop_goes_over_does_not_change_a_form_where_its_body_says_it():
    jets = tiny_table().Jet
    by_object = render(jets.map(lambda j: j.pt * jets.eta.Max()))
    by_leaf = render(jets.pt.map(lambda pt: pt * jets.eta.Max()))
    assert by_object == by_leaf
    one, other = make_plan([by_object], [TinyPlugin({})]), make_plan([by_leaf], [TinyPlugin({})])
    assert dict(one.forms) == dict(other.forms)


def test_changes_are_told_in_words():
    df = tiny_table()
    old, new = asked(df)[0], asked(df, cut=25)[0]
    assert shape(old) == shape(new)
    (change,) = changes(old, new)
    assert change.text.startswith("`events.Jet.pt > 20` became `events.Jet.pt > 25` at test_instantiate.py:")
    assert changes(old, old) == ()
    (change,) = changes(render(df.x.Sum()), render(df.x.Max()))
    assert "`events.x.Sum()` became `events.x.Max()`" in change.text
