"""Selections against Python lists: masks, picks, slices, indices, joined axes; with empty lists, no lists and no events."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hep_flows.errors import TaskError
from hep_flows.expr import build
from plugins.awkward.memory_events import DS, Events, call, leaf, literal

SAMPLES = {
    "mixed": Events(40, seed=5),
    "crowded": Events(6, mean=9.0, seed=6),
    "all empty": Events(7, mean=0.0, seed=7),
    "no events": Events(0, seed=8),
}
PT, N, HITS, LABEL, MAYBE = (leaf("Jet", n) for n in ("pt", "n", "hits", "label", "maybe"))
LEAVES = {"pt": PT, "hits": HITS, "label": LABEL, "maybe": MAYBE}
SLICES = [
    *[(None, None, None), (None, 2, None), (1, None, None), (1, 3, None), (-2, None, None), (None, -1, None), (-3, -1, None)],
    *[(None, None, 2), (1, None, 3), (None, None, -1), (None, None, -2), (3, None, -1), (-1, 0, -1), (None, 1, -1), (0, -9, -1)],
    *[(5, 2, None), (9, None, None), (-99, 99, None), (99, -99, -3), (10**30, None, -1), (-(10**30), 10**30, 10)],
]


@pytest.fixture(params=SAMPLES)
def events(request):
    return SAMPLES[request.param]


@pytest.fixture(params=LEAVES)
def name(request):
    return request.param


def jets(events, *names):
    return list(zip(*[events["Jet", n] for n in names], strict=True))


def hard(of=PT):
    return call("greater", of, 20)


def test_mask_keeps_objects_and_all_events(events, name):
    want = [[x for x, p in zip(*e, strict=True) if p > 20] for e in jets(events, name, "pt")]
    assert events.list(build.filtered(LEAVES[name], hard(), 1)) == want


def test_mask_of_list_items_keeps_objects(events):
    mask = call("greater", HITS, 50)
    want = [[[h for h in hs if h > 50] for hs in e] for e in events["Jet", "hits"]]
    assert events.list(build.filtered(HITS, mask, 2)) == want


def test_object_mask_on_list_items_repeats(events):
    want = [[[h for h in hs if p > 20] for hs, p in zip(*e, strict=True)] for e in jets(events, "hits", "pt")]
    assert events.list(build.filtered(HITS, hard(), 2)) == want


def test_event_mask_on_objects_empties_events(events, name):
    want = [e if m > 20 else [] for e, m in zip(events["Jet", name], events["MET", "pt"], strict=True)]
    assert events.list(build.filtered(LEAVES[name], hard(leaf("MET", "pt")), 1)) == want


def test_event_filter_drops_events(events, name):
    mask = call("greater_equal", call("sum", hard()), 1)
    want = [x for x, p in zip(events["Jet", name], events["Jet", "pt"], strict=True) if any(q > 20 for q in p)]
    assert events.list(build.filtered(LEAVES[name], mask, 0)) == want


def test_filters_follow_each_other(events):
    in_event = hard(leaf("MET", "pt"))
    view, n = (build.filtered(x, in_event, 0) for x in (PT, N))
    chosen = build.filtered(n, hard(view), 1)
    last = build.filtered(chosen, call("greater", chosen, 0), 1)
    want = [
        [y for x, y in zip(p, k, strict=True) if x > 20 and y > 0]
        for p, k, m in zip(events["Jet", "pt"], events["Jet", "n"], events["MET", "pt"], strict=True)
        if m > 20
    ]
    assert events.list(last) == want
    assert events.list(call("sum", last)) == [sum(w) for w in want]


def test_missing_mask_entry_is_false(events, name):
    mask = call("greater", MAYBE, 0)
    want = [[x for x, m in zip(*e, strict=True) if m is not None and m > 0] for e in jets(events, name, "maybe")]
    assert events.list(build.filtered(LEAVES[name], mask, 1)) == want
    by_event = call("greater", build.pick(PT, 0, 1), 20)
    want = [x for x, p in zip(events["Jet", name], events["Jet", "pt"], strict=True) if p and p[0] > 20]
    assert events.list(build.filtered(LEAVES[name], by_event, 0)) == want


@pytest.mark.parametrize("value", [True, False])
def test_constant_mask(events, value):
    assert events.list(build.filtered(PT, literal(value), 1)) == [e if value else [] for e in events["Jet", "pt"]]
    assert events.list(build.filtered(PT, literal(value), 0)) == (events["Jet", "pt"] if value else [])


@pytest.mark.parametrize("index", [0, 1, 3, -1, -2, 99, -99])
def test_pick_is_missing_where_there_is_none(events, index):
    for name in ("pt", "label", "maybe"):
        want = [e[index] if -len(e) <= index < len(e) else None for e in events["Jet", name]]
        assert events.list(build.pick(LEAVES[name], index, 1)) == want


def test_pick_of_lists_gives_an_empty_list_where_there_is_none(events):
    assert events.list(build.pick(HITS, 0, 1)) == [e[0] if e else [] for e in events["Jet", "hits"]]
    assert events.list(build.pick(HITS, -1, 2)) == [[h[-1] if h else None for h in e] for e in events["Jet", "hits"]]


@pytest.mark.parametrize("bounds", SLICES)
def test_slice_is_pythons(events, bounds):
    for name in ("pt", "hits", "label"):
        assert events.list(build.sliced(LEAVES[name], bounds, 1)) == [e[slice(*bounds)] for e in events["Jet", name]]
    assert events.list(build.sliced(HITS, bounds, 2)) == [[h[slice(*bounds)] for h in e] for e in events["Jet", "hits"]]


def at(items, index):
    return items[index] if index is not None and 0 <= index < len(items) else None


def test_index_takes_objects_of_the_same_event(events):
    index = leaf("Muon", "any")
    for name in ("pt", "label", "maybe"):
        want = [[at(e, i) for i in js] for e, js in zip(events["Jet", name], events["Muon", "any"], strict=True)]
        assert events.list(build.gathered(LEAVES[name], index, 1)) == want


def test_stored_reference_is_missing_where_negative_and_in_arithmetic_too(events):
    index = leaf("Muon", "jetIdx")
    want = [[at(e, i) for i in js] for e, js in zip(events["Jet", "pt"], events["Muon", "jetIdx"], strict=True)]
    assert events.list(build.gathered(PT, index, 1)) == want
    assert events.list(build.gathered(PT, call("add", index, 0), 1)) == want


def test_index_of_events_picks_one_object_each(events):
    index = call("subtract", leaf("run"), 4)
    want = [at(e, r - 4) for e, r in zip(events["Jet", "pt"], events["run"], strict=True)]
    assert events.list(build.gathered(PT, index, 1)) == want
    missing = leaf("perhaps")
    want = [at(e, r) for e, r in zip(events["Jet", "pt"], events["perhaps"], strict=True)]
    assert events.list(build.gathered(PT, missing, 1)) == want


def test_index_takes_whole_lists(events):
    index = leaf("Muon", "any")
    want = [[at(e, i) or [] for i in js] for e, js in zip(events["Jet", "hits"], events["Muon", "any"], strict=True)]
    assert events.list(build.gathered(HITS, index, 1)) == want


def test_index_with_axes_of_its_own_inside_lists(events):
    index = call("remainder", HITS, 3)
    within = build.gathered(HITS, index, 2)
    assert events.list(within) == [[[at(h, i % 3) for i in h] for h in e] for e in events["Jet", "hits"]]
    deep = build.gathered(PT, index, 1)
    want = [[[at(p, i % 3) for i in h] for h in hs] for p, hs in jets(events, "pt", "hits")]
    assert events.list(deep) == want


def test_flatten_joins_the_inner_axes(events):
    flat = build.flattened(HITS)
    assert events.list(flat) == [[h for hs in e for h in hs] for e in events["Jet", "hits"]]
    twice = call("add", flat, build.flattened(call("multiply", HITS, 2)))
    assert events.list(call("sum", twice)) == [3 * sum(h for hs in e for h in hs) for e in events["Jet", "hits"]]


def test_record_repeats_its_shorter_parts(events):
    expr = build.record(("a", "b", "c"), (leaf("MET", "pt"), N, literal(1.5)))
    want = [[{"a": m, "b": n, "c": 1.5} for n in e] for m, e in zip(events["MET", "pt"], events["Jet", "n"], strict=True)]
    assert events.list(expr) == want
    some = build.filtered(expr, hard(), 1)
    assert events.list(some) == [
        [w for w, p in zip(*e, strict=True) if p > 20] for e in zip(want, events["Jet", "pt"], strict=True)
    ]


def test_table_and_objects_come_with_every_member(events):
    got = events.value(DS)
    assert got.fields == list(DS.type.item.members)
    assert got.Jet.fields == [n for n in DS.type.item.members["Jet"].item.members if n != "broken"]
    for path in (p for p in events.arrays if len(p) == 2):
        assert got[path].to_list() == events[path]
        assert str(got[path].type) == str(events.arrays[path].type)
    assert got.run.to_list() == events["run"]


def test_selected_objects_come_with_every_member(events):
    few = events.value(build.filtered(build.filtered(leaf("Jet"), hard(), 1), call("greater", leaf("run"), 4), 0))
    want = [
        [h for h, p in zip(hs, ps, strict=True) if p > 20]
        for hs, ps, r in zip(events["Jet", "hits"], events["Jet", "pt"], events["run"], strict=True)
        if r > 4
    ]
    assert few.hits.to_list() == want


def test_picked_object_is_missing_as_a_whole(events):
    got = events.value(build.pick(leaf("Jet"), 0, 1))
    assert ak.is_none(got).to_list() == [not e for e in events["Jet", "pt"]]
    assert str(got.type.content).startswith("?{pt: float32")
    assert [None if x is None else x["hits"] for x in got.to_list()] == [e[0] if e else None for e in events["Jet", "hits"]]
    assert [None if x is None else x["maybe"] for x in got.to_list()] == [e[0] if e else None for e in events["Jet", "maybe"]]


def test_option_type_depends_on_the_expression_alone():
    for sample in SAMPLES.values():
        got = sample.value(build.pick(PT, 0, 1))
        assert str(got.type.content) == "?float32"
        assert str(sample.value(call("max", PT)).type.content) == "?float32"
        assert str(sample.value(call("fill_none", build.pick(PT, 0, 1), 0)).type.content) == "float32"


@pytest.mark.parametrize("cuts", [(1,), (0, 0, 3), (2, 5, 5)])
def test_any_division_into_partitions_gives_the_same(cuts):
    sample = SAMPLES["crowded"]
    for expr in (
        build.filtered(HITS, hard(), 1),
        build.filtered(LABEL, hard(leaf("MET", "pt")), 0),
        build.pick(MAYBE, 1, 1),
        call("sum", call("sum", N)),
        call("mean", call("max", PT)),
        DS,
    ):
        assert sample.list(expr, cuts=cuts) == sample.list(expr)


def test_objects_of_different_number_never_pair_by_position():
    sample = SAMPLES["crowded"]
    first, second = build.pick(HITS, 0, 1), build.pick(HITS, 1, 1)
    if first.type.axes == second.type.axes:
        with pytest.raises(TaskError, match="different lengths"):
            sample.value(call("add", first, second))


def test_damaged_collection_is_an_error():
    sample = Events(5, seed=9)
    sample.arrays["Jet", "eta"] = sample.arrays["Muon", "eta"]
    with pytest.raises(TaskError, match="different lengths"):
        sample.value(call("add", PT, leaf("Jet", "eta")))


def test_other_forms_of_the_same_array_are_read_alike():
    sample = Events(12, mean=3.0, seed=11)
    plain = sample.list(call("add", PT, MAYBE))
    layout = sample.arrays["Jet", "pt"].layout
    starts, stops = layout.starts.data[::-1].copy(), layout.stops.data[::-1].copy()
    turned = ak.contents.ListArray(ak.index.Index64(starts), ak.index.Index64(stops), layout.content)
    sample.arrays["Jet", "pt"] = ak.Array(ak.contents.IndexedArray(ak.index.Index64(np.arange(12)[::-1].copy()), turned))
    maybe = sample.arrays["Jet", "maybe"].layout.to_ListOffsetArray64(True)
    sample.arrays["Jet", "maybe"] = ak.Array(
        ak.contents.ListOffsetArray(maybe.offsets, maybe.content.to_ByteMaskedArray(valid_when=True))
    )
    assert sample.list(call("add", PT, MAYBE)) == plain
