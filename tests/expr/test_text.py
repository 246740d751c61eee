"""Expressions as a physicist reads them."""

from __future__ import annotations

import ast
import json

import pytest

from calls import in_proportion
from expr.sample import call, expressions, leaf, lit, table
from golden_files import assert_golden
from hep_flows.expr import build
from hep_flows.expr.text import WIDTH, one_line, tree_text

PT, ETA = leaf("Jet.pt"), leaf("Jet.eta")


def test_lines_are_those_that_were_looked_at():
    lines = [f"{name:26}{one_line(e)}" for name, e in expressions().items()]
    assert_golden("one_line.txt", "\n".join(lines) + "\n")


def test_steps_are_those_that_were_looked_at():
    texts = [f"[{name}]\n{tree_text(e)}\n" for name, e in expressions().items()]
    assert_golden("tree_text.txt", "\n".join(texts))


BINARY = "add subtract multiply true_divide floor_divide remainder power".split()
SYMBOLS = dict(zip(BINARY, "+ - * / // % **".split(), strict=True))


@pytest.mark.parametrize("inner", BINARY)
@pytest.mark.parametrize("outer", BINARY)
def test_parentheses_stand_where_python_needs_them_and_nowhere_else(outer, inner):
    a, b, c = 3.0, 2.0, 5.0
    symbol_in, symbol_out = SYMBOLS[inner], SYMBOLS[outer]
    left = one_line(call(outer, call(inner, lit(a), lit(b)), lit(c)))
    right = one_line(call(outer, lit(a), call(inner, lit(b), lit(c))))
    for text, full, bare in (
        (left, f"({a} {symbol_in} {b}) {symbol_out} {c}", f"{a} {symbol_in} {b} {symbol_out} {c}"),
        (right, f"{a} {symbol_out} ({b} {symbol_in} {c})", f"{a} {symbol_out} {b} {symbol_in} {c}"),
    ):
        assert text in {full, bare}
        assert structure(text) == structure(full)
        assert (text == bare) == (structure(bare) == structure(full))


def structure(text):
    """Python's own minimal form: equal for texts that mean the same."""
    return ast.unparse(ast.parse(text))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (call("greater", lit(30), PT), "30 > events.Jet.pt"),
        (call("add", lit(1), PT), "1 + events.Jet.pt"),
        (call("subtract", PT, lit(-1)), "events.Jet.pt - -1"),
        (call("power", lit(-2), PT), "(-2) ** events.Jet.pt"),
        (call("power", PT, lit(-2)), "events.Jet.pt ** -2"),
        (call("negative", call("add", PT, ETA)), "-(events.Jet.pt + events.Jet.eta)"),
        (call("negative", call("negative", PT)), "--events.Jet.pt"),
        (call("invert", leaf("Jet.tight")), "~events.Jet.tight"),
        (call("count", call("add", PT, ETA)), "(events.Jet.pt + events.Jet.eta).Count()"),
        (
            call("bitwise_or", call("bitwise_and", leaf("Jet.tight"), leaf("trigger")), call("equal", leaf("run"), 3)),
            "events.Jet.tight & events.trigger | (events.run == 3)",
        ),
        (call("equal", call("greater", PT, 1), call("greater", ETA, 1)), "(events.Jet.pt > 1) == (events.Jet.eta > 1)"),
        (lit(0.1, "float32"), "np.float32(0.1)"),
        (lit(1e300), "1e+300"),
        (lit(float("-inf")), "-inf"),
        (lit("it's"), '"it\'s"'),
    ],
)
def test_spelling(expr, text):
    assert one_line(expr) == text


def test_the_order_of_arguments_is_the_users():
    assert one_line(call("add", PT, ETA)) == "events.Jet.pt + events.Jet.eta"
    assert one_line(call("add", ETA, PT)) == "events.Jet.eta + events.Jet.pt"


def test_long_lines_are_cut_at_the_limit():
    x = PT
    for i in range(100):
        x = call("add", x, i)
    assert len(one_line(x)) in {159, 160}
    assert one_line(x).endswith(" ...")
    assert one_line(x, 40) == "events.Jet.pt + 0 + 1 + 2 + 3 + 4 + ..."
    assert len(one_line(x, 10**6)) > 500


def test_a_name_may_be_given_to_tables_and_results():
    assert one_line(PT, names={table().key: "ttbar"}) == "ttbar.Jet.pt"


def test_representation_is_the_line():
    assert repr(PT) == f"<Field {PT.key.hex()[:8]}: {PT.type}>"


def test_a_repeated_part_is_written_once():
    x = call("multiply", PT, 12.5)
    text = tree_text(call("add", x, call("sqrt", x)))
    assert text.count("12.5") == 1
    assert "v1 = events.Jet.pt * 12.5" in text


def test_a_repeated_leaf_is_written_where_it_is_used():
    text = tree_text(call("add", PT, call("sqrt", PT)))
    assert "result = events.Jet.pt + np.sqrt(events.Jet.pt)" in text
    assert "v1" not in text


def test_tables_come_first():
    assert tree_text(build.field(table(name="ttbar"), "run")).splitlines()[0] == "events: ttbar, nanoaod, 1 file, tree Events"
    two = build.dataset("parquet", ("a", "b"), "", table().type.item, name="ttbar")
    assert tree_text(two).splitlines()[0] == "events: ttbar, parquet, 2 files"


def test_two_tables_are_told_apart():
    counts = [call("count", table((c,))) for c in "ab"]
    assert "result = events.Count() - events_2.Count()" in tree_text(call("subtract", *counts))


def test_no_line_is_much_too_long():
    x = PT
    for i in range(300):
        x = call("where", call("greater", x, i), call("sqrt", x), call("add", call("maximum", ETA, x), float(i)))
    assert max(len(line) for line in tree_text(x).splitlines()) < WIDTH + 40


@pytest.mark.parametrize(
    "step", [lambda x: call("add", x, x), lambda x: call("sqrt", x), lambda x: build.filtered(x, call("greater", x, 1), 1)]
)
def test_deep_and_shared_expressions_cost_time_in_proportion(step):
    def chain(n):
        x = PT
        for _ in range(n):
            x = step(x)
        return x

    assert in_proportion(lambda x: (tree_text(x), one_line(x)), chain, 400)
    x = chain(10_000)
    one_line(x)
    assert len(tree_text(x)) < 3_000_000


def test_many_event_filters_cost_time_in_proportion():
    def filtered(n):
        met = leaf("MET.pt")
        for i in range(n):
            met = build.filtered(met, call("greater", met, float(i)), 0)
        return met

    assert in_proportion(tree_text, filtered, 400)


def test_text_does_not_depend_on_the_session():
    assert json.dumps([tree_text(e) for e in expressions().values()]) == json.dumps([tree_text(e) for e in expressions().values()])
