"""Maps against nested Python loops: captured values, a collection with itself, views that depend on the outer element."""

from __future__ import annotations

import numpy as np
import pytest

from hep_flows.errors import AxisError, TaskError
from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level
from hep_flows.expr.nodes import Map
from plugins.awkward.memory_events import Events, call, leaf, literal

SAMPLES = {
    "mixed": Events(25, mean=2.0, seed=5),
    "crowded": Events(3, mean=6.0, seed=6),
    "all empty": Events(4, mean=0.0, seed=7),
    "no events": Events(0, seed=8),
}
JET, MUON = leaf("Jet"), leaf("Muon")
N, SMALL, HITS = leaf("Jet", "n"), leaf("Jet", "small"), leaf("Jet", "hits")
ANY = leaf("Muon", "any")


@pytest.fixture(params=SAMPLES)
def events(request):
    return SAMPLES[request.param]


def map_(over, function, depth=0):
    """Record a map: the function gets what turns a leaf of the collection into that of the current element."""
    level = provisional_level(depth)
    return close(over, function(lambda x: build.bound(x, level)), level)


def rows(events, *paths):
    return list(zip(*[events[p] for p in paths], strict=True))


def test_map_along_the_element_is_the_array_expression(events):
    expr = map_(JET, lambda j: call("multiply", j(N), 2))
    assert not isinstance(expr, Map)
    assert events.list(expr) == [[2 * n for n in e] for e in events["Jet", "n"]]


def test_captured_collection_is_whole(events):
    expr = map_(JET, lambda j: call("add", j(N), ANY))
    want = [[[n + a for a in m] for n in e] for e, m in rows(events, ("Jet", "n"), ("Muon", "any"))]
    assert events.list(expr) == want
    assert events.list(call("sum", expr)) == [[sum(x) for x in e] for e in want]


def test_captured_event_values_and_constants(events):
    counts = map_(JET, lambda j: call("count", MUON))
    assert events.list(counts) == [[len(m)] * len(e) for e, m in rows(events, ("Jet", "n"), ("Muon", "any"))]
    ones = events.value(map_(JET, lambda j: literal(1.5)))
    assert ones.to_list() == [[1.5] * len(e) for e in events["Jet", "n"]]
    texts = events.list(map_(JET, lambda j: literal("x")))
    assert texts == [["x"] * len(e) for e in events["Jet", "n"]]
    total = call("add", call("multiply", literal(1, "int64"), leaf("run")), map_(JET, lambda j: leaf("run")))
    assert events.list(total) == [[2 * r] * len(e) for e, r in rows(events, ("Jet", "n"), "run")]


def test_map_gives_a_whole_collection_for_each_element(events):
    expr = map_(MUON, lambda m: HITS)
    want = [[h] * len(m) for m, h in rows(events, ("Muon", "any"), ("Jet", "hits"))]
    assert events.list(expr) == want
    got = events.value(map_(MUON, lambda m: JET))
    assert got.hits.to_list() == want
    assert got.label.to_list() == [[x] * len(m) for m, x in rows(events, ("Muon", "any"), ("Jet", "label"))]


def test_collection_pairs_with_itself(events):
    expr = map_(JET, lambda a: map_(JET, lambda b: call("subtract", a(N), b(N)), 1))
    assert events.list(expr) == [[[x - y for y in e] for x in e] for e in events["Jet", "n"]]
    others = call("sum", build.filtered(expr, call("not_equal", expr, 0), 2))
    assert events.list(others) == [[sum(x - y for y in e) for x in e] for e in events["Jet", "n"]]


def test_three_loops_with_captures_at_every_level(events):
    expr = map_(
        JET,
        lambda j: map_(
            MUON,
            lambda m: map_(
                JET,
                lambda k: call("add", call("subtract", j(N), m(ANY)), call("multiply", k(N), call("add", leaf("run"), j(SMALL)))),
                2,
            ),
            1,
        ),
    )
    paths = [("Jet", "n"), ("Jet", "small"), ("Muon", "any"), "run"]
    want = [
        [[[a - m + np.int32(k) * np.int32(r + s) for k in n] for m in any_] for a, s in zip(n, small, strict=True)]
        for n, small, any_, r in rows(events, *paths)
    ]
    assert events.list(expr) == want
    inner_first = call("max", call("max", expr))
    assert events.list(inner_first) == [[max([max(y) for y in x if y], default=None) for x in e] for e in want]


def test_inner_loop_over_a_view_that_depends_on_the_outer_element(events):
    def lower(j):
        return lambda x: build.filtered(x, call("less", N, j(N)), 1)

    expr = map_(
        JET,
        lambda j: map_(lower(j)(JET), lambda k: call("subtract", j(SMALL), k(lower(j)(SMALL))), 1),
    )
    want = [
        [[a - b for b, y in zip(small, n, strict=True) if y < x] for a, x in zip(small, n, strict=True)]
        for n, small in rows(events, ("Jet", "n"), ("Jet", "small"))
    ]
    assert events.list(expr) == want
    counts = map_(JET, lambda j: call("count", lower(j)(JET)))
    assert events.list(counts) == [[len(x) for x in e] for e in want]


def test_loop_in_a_view_in_a_loop(events):
    def near(m):
        return build.filtered(N, call("greater_equal", N, m(ANY)), 1)

    expr = map_(
        MUON,
        lambda m: map_(
            near(m),
            lambda j: map_(MUON, lambda o: call("add", call("multiply", j(near(m)), 10), call("add", o(ANY), m(ANY))), 2),
            1,
        ),
    )
    want = [
        [[[10 * n + o + m for o in muons] for n in jets if n >= m] for m in muons]
        for jets, muons in rows(events, ("Jet", "n"), ("Muon", "any"))
    ]
    assert events.list(expr) == want


def test_element_with_a_list_of_its_own(events):
    counts = map_(JET, lambda j: call("count", j(HITS)))
    assert events.list(counts) == [[len(h) for h in e] for e in events["Jet", "hits"]]
    against = map_(JET, lambda j: call("sum", build.filtered(j(HITS), call("greater", j(HITS), call("max", N)), 1)))
    want = [[sum(h for h in hs if n and h > max(n)) for hs in e] for e, n in rows(events, ("Jet", "hits"), ("Jet", "n"))]
    assert events.list(against) == want
    pairs = map_(JET, lambda j: map_(j(HITS), lambda h: call("subtract", h(j(HITS)), ANY), 1))
    want = [[[[h - a for a in m] for h in hs] for hs in e] for e, m in rows(events, ("Jet", "hits"), ("Muon", "any"))]
    assert events.list(pairs) == want


def test_picks_slices_and_indices_inside_a_loop(events):
    def above(j):
        return build.filtered(ANY, call("greater", ANY, j(N)), 1)

    first = map_(JET, lambda j: build.pick(above(j), 0, 1))
    want = [[[m for m in muons if m > n] for n in e] for e, muons in rows(events, ("Jet", "n"), ("Muon", "any"))]
    assert events.list(first) == [[x[0] if x else None for x in e] for e in want]
    assert events.list(map_(JET, lambda j: build.sliced(above(j), (None, None, -1), 1))) == [[x[::-1] for x in e] for e in want]
    index = map_(JET, lambda j: build.gathered(ANY, j(N), 1))
    assert events.list(index) == [
        [m[n] if 0 <= n < len(m) else None for n in e] for e, m in rows(events, ("Jet", "n"), ("Muon", "any"))
    ]
    deep = map_(JET, lambda j: build.gathered(above(j), call("remainder", j(HITS), 2), 1))
    assert events.list(deep) == [
        [[x[h % 2] if h % 2 < len(x) else None for h in hs] for x, hs in zip(e, hits, strict=True)]
        for e, hits in zip(want, events["Jet", "hits"], strict=True)
    ]


def test_aggregate_in_a_loop_used_as_a_mask(events):
    lonely = map_(JET, lambda j: call("invert", call("any", call("equal", ANY, j(N)))))
    got = events.list(build.filtered(leaf("Jet", "label"), lonely, 1))
    assert got == [
        [t for t, n in zip(labels, e, strict=True) if n not in m]
        for labels, e, m in rows(events, ("Jet", "label"), ("Jet", "n"), ("Muon", "any"))
    ]


def test_records_of_pairs(events):
    expr = map_(JET, lambda j: map_(MUON, lambda m: build.record(("j", "m"), (j(N), m(ANY))), 1))
    assert events.list(expr) == [[[{"j": n, "m": a} for a in m] for n in e] for e, m in rows(events, ("Jet", "n"), ("Muon", "any"))]


def test_loops_inside_filtered_events(events):
    mask = call("greater", leaf("run"), 4)
    n, any_, jet = (build.filtered(x, mask, 0) for x in (N, ANY, JET))
    expr = map_(jet, lambda j: call("add", j(n), any_))
    want = [[[x + a for a in m] for x in e] for e, m, r in rows(events, ("Jet", "n"), ("Muon", "any"), "run") if r > 4]
    assert events.list(expr) == want
    both = events.value(expr, map_(JET, lambda j: call("add", j(N), ANY)))
    assert both[0].to_list() == want
    assert len(both[1]) == events.n_events


def test_two_elements_never_share_their_lists_by_position():
    sample = SAMPLES["crowded"]
    with pytest.raises((TaskError, AxisError), match=r"different lengths|does not align"):
        sample.value(map_(JET, lambda a: map_(JET, lambda b: call("add", a(HITS), b(HITS)), 1)))


def sums_over(element, other):
    """Give, for the hits of one element: the sum over all muons of a product that also needs the other element."""
    hits = element(HITS)
    return lambda: map_(hits, lambda h: call("sum", call("multiply", ANY, call("add", h(hits), other(N)))), 2)


def test_loops_over_lists_of_two_elements_never_mix():
    sample = SAMPLES["crowded"]
    one = map_(JET, lambda a: map_(JET, lambda b: call("sum", sums_over(a, b)()), 1))
    want = [
        [[sum(m * (h + y) for h in hs for m in muons) for y in n] for hs in hits]
        for n, hits, muons in rows(sample, ("Jet", "n"), ("Jet", "hits"), ("Muon", "any"))
    ]
    assert sample.list(one) == want
    both = map_(
        JET, lambda a: map_(JET, lambda b: call("subtract", call("sum", sums_over(a, b)()), call("sum", sums_over(b, a)())), 1)
    )
    try:
        got = sample.list(both)
    except TaskError as error:
        assert "different lengths" in error.what  # noqa: PT017  an error is allowed, a wrong number is not
    else:
        assert got == [[[w[i][j] - w[j][i] for j in range(len(w))] for i in range(len(w))] for w in want]


@pytest.mark.parametrize("cuts", [(1,), (2, 2)])
def test_loops_do_not_depend_on_partitions(cuts):
    sample = SAMPLES["crowded"]
    expr = map_(JET, lambda a: map_(JET, lambda b: call("subtract", a(N), b(N)), 1))
    assert sample.list(expr, cuts=cuts) == sample.list(expr)
