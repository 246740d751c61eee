"""Tasks on merged results, and numbers of other tasks inside partitioned ones."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import PluginError, TaskError
from hep_flows.expr import build
from hep_flows.expr.types import Float, Int, String, Type
from plugins.awkward.memory_events import DS, EVENT, JET, Events, call, leaf, literal, whole

EVENTS = Events(12, mean=2.0, seed=2)
PT, HITS, RUN = leaf("Jet", "pt"), leaf("Jet", "hits"), leaf("run")


def given(expr, name="a"):
    return build.task_input(name.encode(), expr.type)


def columns(*path):
    return Columns(EVENTS.arrays[path])


@pytest.mark.parametrize("bounds", [(None, 3, None), (-2, None, None), (None, None, -1), (1, 99, 3), (9, 2, None)])
def test_slice_of_events(bounds):
    for path in (("Jet", "pt"), ("Jet", "hits"), ("Jet", "maybe"), ("kind",)):
        got = whole(build.sliced(given(leaf(*path)), bounds, 0), a=columns(*path))
        assert got.array.to_list() == EVENTS[path][slice(*bounds)]


def test_sliced_events_compute_together():
    pt, run = given(PT), given(RUN, "b")
    few_pt, few_run = (build.sliced(x, (None, 5, None), 0) for x in (pt, run))
    got = whole(call("multiply", few_pt, few_run), a=columns("Jet", "pt"), b=columns("run"))
    assert got.array.to_list() == [[p * r for p in e] for e, r in zip(EVENTS["Jet", "pt"][:5], EVENTS["run"], strict=False)]
    assert whole(call("sum", few_run), b=columns("run")).value == sum(EVENTS["run"][:5])


@pytest.mark.parametrize("index", [0, -1, 5, 99, -99])
def test_pick_of_one_event(index):
    runs = EVENTS["run"]
    got = whole(build.pick(given(RUN), index, 0), a=columns("run"))
    assert got == Scalar(runs[index] if -len(runs) <= index < len(runs) else None)
    perhaps = EVENTS["perhaps"]
    got = whole(build.pick(given(leaf("perhaps")), index, 0), a=columns("perhaps"))
    assert got == Scalar(perhaps[index] if -len(runs) <= index < len(runs) else None)


def test_index_over_events():
    index = given(RUN, "b")
    runs = EVENTS["run"]
    got = whole(build.gathered(given(leaf("weight")), index, 0), a=columns("weight"), b=columns("run"))
    assert got.array.to_list() == [EVENTS["weight"][r] if r < len(runs) else None for r in runs]
    got = whole(build.gathered(given(leaf("weight")), literal(2), 0), a=columns("weight"))
    assert got.value == EVENTS["weight"][2]
    hits = given(leaf("Jet", "n"), "b")
    got = whole(build.gathered(given(leaf("weight")), hits, 0), a=columns("weight"), b=columns("Jet", "n"))
    weights = dict(enumerate(EVENTS["weight"]))  # nothing below 0: only a constant counts from the end
    assert got.array.to_list() == [[weights.get(n) for n in e] for e in EVENTS["Jet", "n"]]


def test_table_from_another_task_is_sliced_with_all_its_members():
    table = build.task_input(b"a", DS.type)
    everything = EVENTS.value(DS)
    got = whole(build.sliced(table, (None, 3, None), 0), a=Columns(everything))
    assert got.array.to_list() == everything[:3].to_list()
    assert str(got.array.type.content) == str(everything.type.content)
    assert whole(call("count", build.sliced(table, (None, 3, None), 0)), a=Columns(everything)).value == 3


def test_numbers_of_other_tasks_take_part_with_their_own_type():
    most = build.task_input(b"a", Type(Float(32)))
    got = EVENTS.value(call("true_divide", PT, most), inputs={b"a": Scalar(2.5)})
    assert got.to_list() == [[float(np.float32(p) / np.float32(2.5)) for p in e] for e in EVENTS["Jet", "pt"]]
    assert str(got.type.content.content) == "float32"
    whole_number = build.task_input(b"a", Type(Int(64)))
    got = EVENTS.value(call("add", leaf("Jet", "small"), whole_number), inputs={b"a": Scalar(1)})
    assert str(got.type.content.content) == "int64"
    assert whole(call("true_divide", whole_number, literal(2)), a=Scalar(3)) == Scalar(1.5)
    assert whole(call("add", most, whole_number), a=Scalar(3)) == Scalar(6.0)
    text = build.task_input(b"a", Type(String()))
    assert EVENTS.list(call("equal", leaf("kind"), text), inputs={b"a": Scalar("GT")}) == [k == "GT" for k in EVENTS["kind"]]


def test_missing_number_of_another_task_makes_everything_missing():
    most = build.task_input(b"a", Type(Float(32), optional=True))
    got = EVENTS.value(call("true_divide", PT, most), inputs={b"a": Scalar(None)})
    assert got.to_list() == [[None] * len(e) for e in EVENTS["Jet", "pt"]]
    assert whole(call("add", most, literal(1)), a=Scalar(None)) == Scalar(None)
    assert whole(call("is_none", most), a=Scalar(None)) == Scalar(True)
    assert whole(call("fill_none", most, literal(4)), a=Scalar(None)) == Scalar(4.0)
    assert EVENTS.list(build.filtered(RUN, call("greater", RUN, most), 0), inputs={b"a": Scalar(None)}) == []


def test_record_of_numbers_is_a_dict():
    expr = build.record(("x", "y"), (build.task_input(b"a", Type(Int(64))), literal("t")))
    assert whole(expr, a=Scalar(3)) == Scalar({"x": 3, "y": "t"})


def test_results_of_other_lengths_do_not_meet():
    with pytest.raises(TaskError, match="do not belong together"):
        whole(call("add", given(RUN), given(leaf("weight"), "b")), a=columns("run"), b=Columns(EVENTS.arrays["weight",][:3]))


def test_result_of_another_kind_is_refused():
    with pytest.raises(TaskError, match="float32"):
        whole(call("add", given(RUN), 1), a=Columns(EVENTS.arrays["Jet", "pt"]))
    with pytest.raises(TaskError, match="list axes"):
        whole(call("add", given(PT), 1), a=Columns(EVENTS.arrays["run",]))
    with pytest.raises(TaskError, match="whole list is missing"):
        whole(call("add", given(PT), 1), a=Columns(ak.Array([[1.0], None])))


def test_whole_task_reads_no_table():
    with pytest.raises(PluginError, match="reads a table"):
        whole(call("add", RUN, 1))


def test_part_of_a_loop_is_no_task():
    with pytest.raises(PluginError, match="cut out of a loop"):
        EVENTS.value(build.bound(PT, 1))


def test_schema_names_of_the_sample_are_those_of_its_records():
    assert EVENT.members["Jet"].item is JET
    assert HITS.type.axes[1] == PT.type.axes[1]
