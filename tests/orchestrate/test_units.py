"""How a plan is divided into units, what they are called, and how what became of them makes one report; nothing of Prefect is here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jet_files import bits, everything, fill, inline, write

from hep_flows import Histogram, nanoaod_table, run, user_func
from hep_flows import plan as planned
from hep_flows.execute.batches import BATCH_EVENTS, Batches, Keys
from hep_flows.execute.machine import Limits
from hep_flows.execute.need import needs
from hep_flows.execute.results import Results, open_store
from hep_flows.expr.text import one_line
from hep_flows.orchestrate.flow import name_of
from hep_flows.orchestrate.units import MOST_UNITS, Session, Wanted, closure, run_unit, units_of
from hep_flows.plugins import installed
from hep_flows.settings import read_settings
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store


def divided(asked, **options):
    """Give the units of what is asked for, and the plan."""
    plugins = installed(())
    plan = planned(asked).raw
    by_name = {p.name: p for p in plugins}
    results = Results(open_store(read_settings()))
    keys = Keys(plan)
    batches = Batches(plan, by_name, results)
    return units_of(Wanted(plan, keys, needs(plan, keys, batches, results), batches, **options)), plan


def kinds(units):
    return [u.kind for u in units]


def is_in_order(units):
    return all(n < u.number for u in units for n in (*u.after, *u.follows)) and [u.number for u in units] == list(range(len(units)))


def test_one_subtree_is_one_unit(files):
    units, plan = divided(nanoaod_table(files).MET.pt / 2)
    assert kinds(units) == ["task"]
    assert units[0].key == plan.tasks[0].key, "Prefect's cache key is the content key of the subtree"


def test_a_pass_stands_where_several_subtrees_read_one_table(files):
    events = nanoaod_table(files)
    units, plan = divided([events.MET.pt / 2, events.Jet.pt.Sum().Sum()])
    assert kinds(units) == ["pass", "task", "task"]
    assert set(units[0].tasks) == {t.key for t in plan.tasks}
    assert [u.follows for u in units] == [(), (0,), (0,)]


def test_no_pass_stands_where_one_subtree_takes_the_other(files):
    units, _ = divided(fill(nanoaod_table(files)))
    assert kinds(units) == ["task", "task"]
    assert units[1].after == (0,)


def test_two_tables_have_a_pass_each(files, tmp_path):
    one, two = nanoaod_table(files), nanoaod_table(write(tmp_path / "other.root", 9))
    units, _ = divided([one.MET.pt / 2, one.MET.pt / 3, two.MET.pt / 2, two.MET.pt / 3])
    assert sorted(kinds(units)) == ["pass", "pass", "task", "task", "task", "task"]
    assert is_in_order(units)


def test_a_number_that_enters_other_results_comes_before_them(files):
    units, plan = divided(everything(nanoaod_table(files)))
    assert is_in_order(units)
    where = {u.tasks[0]: u.number for u in units if u.kind == "task"}
    for task in plan.tasks:
        for key in task.inputs:
            if key in where and task.key in where:
                assert where[key] < where[task.key]


def test_a_table_of_many_batches_gets_several_passes(tmp_path):
    files = [write(tmp_path / f"small_{i}.root", i, n=5) for i in range(7)]
    units, _ = divided(nanoaod_table(files).MET.pt / 2, shard_batches=3)
    assert kinds(units) == ["pass", "pass", "pass", "task"]
    assert [u.batches for u in units] == [(0, 1, 2), (3, 4, 5), (6,), None]
    assert len({u.key for u in units}) == 4
    assert units[3].follows == (0, 1, 2)


def test_a_big_file_is_several_batches(tmp_path):
    import uproot

    with uproot.recreate(tmp_path / "big.root") as file:
        file.mktree("Events", {"MET_pt": "uint8"})
        for _ in range(6):
            file["Events"].extend({"MET_pt": np.zeros(BATCH_EVENTS // 2, np.uint8)})
    units, _ = divided(nanoaod_table(str(tmp_path / "big.root")).MET.pt / 2, shard_batches=2)
    assert [u.batches for u in units] == [(0, 1), (2,), None]


def test_what_is_stored_is_no_unit(files):
    events = nanoaod_table(files)
    run(fill(events))
    units, plan = divided([fill(events), fill(events, bins=3)])
    histograms = {t.key for t in plan.tasks if t.plugin == "hist"}
    assert [u.tasks[0] in histograms for u in units if u.kind == "task"].count(True) == 2, "found ones are shown as cached"
    assert "pass" not in kinds(units), "no file is read"
    assert divided(events.Jet.pt[events.Jet.pt > 30].Sum().Sum())[0] != ()


def test_only_batches_that_something_needs_are_read(files, tmp_path, cache_folder):
    run(fill(nanoaod_table(files)))
    files.append(write(tmp_path / "part_3.root", 3))
    units, plan = divided(fill(nanoaod_table(files)))
    assert [(u.kind, u.batches) for u in units] == [("task", (3,)), ("task", None)]
    assert [name_of(u, plan).split(" · ")[0] for u in units] == [
        "transform part_0.root and 3 more, batch 4",
        "fill part_0.root and 3 more",
    ]
    assert units[0].key != plan.tasks[0].key, "a record of a part must not stand for the whole"


def test_what_is_evicted_and_not_needed_is_not_computed_again(files, tmp_path, served, cache_folder):
    first = run([fill(nanoaod_table(files)), nanoaod_table(files).MET.pt.Sum()], engine="embedded", on_error="raise")
    columns = next(r for r in first.report.tasks if r.plugin == "awkward" and "Jet" in r.label)
    store = Store(cache_folder)
    for name in json.loads(json.loads((cache_folder / "prefect" / "records" / f"hf-{columns.key}").read_text())["result"])[
        "objects"
    ]:
        store.remove(name)
    files.append(write(tmp_path / "part_3.root", 3))
    asked = [fill(nanoaod_table(files)), nanoaod_table(files).MET.pt.Sum(), nanoaod_table(files).Jet.pt * 2]
    done = run(asked, engine="embedded", on_error="raise")
    assert bits(done.values) == bits(inline(asked))
    assert [r.batches_computed for r in done.report.tasks if r.label == columns.label] == [1]


def test_a_pass_over_some_batches_never_makes_a_number_of_all(files, cache_folder):
    events = nanoaod_table(files)
    asked = [events.MET.pt / events.MET.pt.Max(), events.Jet.pt / events.MET.pt.Max()]
    units, plan = divided(asked, shard_batches=1)
    store, plugins = open_store(read_settings()), installed(())
    session = Session(plan, plugins, store, Limits(1, lambda: False))
    part = next(u for u in units if u.kind == "pass" and u.batches == (0,) and len(u.tasks) == 2)
    reference = run_unit(session, part, [])  # the largest number has not been made
    assert not reference["complete"]
    assert reference["objects"] == []
    assert list(sidecars(store.folder)) == []


def test_more_units_than_a_server_bears_are_put_together(tmp_path):
    files = [write(tmp_path / f"small_{i}.root", i, n=3) for i in range(3)]
    tables = [nanoaod_table(f) for f in files]
    n = MOST_UNITS // 3 + 1
    units, plan = divided([t.MET.pt / (2 + i) for i in range(n) for t in tables])
    assert len(plan.tasks) > MOST_UNITS
    assert kinds(units) == ["datasets"] * 3
    assert sorted([k for u in units for k in u.tasks]) == sorted([t.key for t in plan.tasks])
    assert [name_of(u, plan) for u in units] == [f"small_{i}.root · {n} tasks" for i in range(3)]


def test_more_datasets_than_units_share_them(tmp_path):
    tables = [nanoaod_table(write(tmp_path / f"small_{i}.root", i, n=3)) for i in range(5)]
    units, plan = divided([t.MET.pt / 2 for t in tables], most_units=2)
    assert kinds(units) == ["datasets", "datasets"]
    assert sorted([k for u in units for k in u.tasks]) == sorted([t.key for t in plan.tasks])
    assert name_of(units[0], plan) == "small_0.root, small_1.root, small_2.root · 3 tasks"


def test_a_function_that_no_key_can_stand_for_is_left_to_the_run_that_delivers(files):
    with Path(files[0]).open("rb") as handle:

        @user_func
        def odd(x: float) -> float:
            return x if handle.closed else x + 1

        events = nanoaod_table(files)
        units, plan = divided([odd(events.MET.pt), events.MET.pt / 2])
    (plain,) = [t.key for t in plan.tasks if "odd" not in one_line(t.expr)]
    assert [k for u in units for k in u.tasks] == [plain]


def test_the_first_events_are_one_unit_and_what_they_are_taken_from_is_none(files):
    units, plan = divided(nanoaod_table(files).MET.pt[:7])
    assert len(plan.tasks) == 2
    assert [u.tasks for u in units] == [(plan.targets[0],)]


@pytest.mark.parametrize("engine", ["inline", "embedded"])
def test_the_first_events_read_no_more_files_than_needed(files, engine, monkeypatch, request):
    if engine == "embedded":
        request.getfixturevalue("served")
    from hep_flows.plugins.awkward.plugin import AwkwardPlugin

    read = []
    original = AwkwardPlugin.run

    def spying(self, programs, inputs, context, *more):
        read.append(context.partition.file if context.partition else None)
        return original(self, programs, inputs, context, *more)

    monkeypatch.setattr(AwkwardPlugin, "run", spying)
    done = run(nanoaod_table(files).MET.pt[:7], engine=engine, on_error="raise")
    assert len(done.values) == 7
    assert {f for f in read if f} == {files[0]}


def test_names_are_words_of_physics(files):
    events = nanoaod_table(files[0])
    jets = events.Jet[events.Jet.pt > 30]
    h = Histogram.new.Reg(5, 0, 1, name="pt").Reg(5, 0, 1, name="met").Double().fill(pt=events.MET.pt, met=events.MET.pt)
    units, plan = divided([h, jets.pt.Sum().Sum(), events.MET.pt / 2])
    names = [name_of(u, plan) for u in units]
    assert "fill part_0.root · pt, met" in names
    assert "sum up part_0.root · events.Jet.pt[events.Jet.pt > 30].Sum().Sum()" in names
    assert "transform part_0.root · events.MET.pt / 2" in names
    assert any(n.startswith("read part_0.root · ") and "Jet_pt" in n and "MET_pt" in n for n in names)


def test_long_names_are_cut(files):
    events = nanoaod_table(files[0])
    x = events.MET.pt
    for i in range(60):
        x = x + i
    units, plan = divided(x)
    assert len(name_of(units[0], plan)) <= 180


def test_a_unit_crosses_a_process_as_json(files):
    from hep_flows.orchestrate.units import _as_json, _unit

    units, _ = divided(everything(nanoaod_table(files)), shard_batches=2)
    for unit in units:
        back = _unit(json.loads(json.dumps(_as_json(unit))))
        assert (back.number, back.kind, back.tasks, back.batches, back.key) == (
            unit.number,
            unit.kind,
            unit.tasks,
            unit.batches,
            unit.key,
        )


def test_the_closure_has_all_that_a_task_takes_producers_first(files):
    _, plan = divided(everything(nanoaod_table(files)))
    last = next(t for t in plan.tasks if t.plugin == "hist")
    tasks = closure(plan, [last.key])
    seen = set()
    for task in tasks:
        assert set(task.inputs) <= seen
        seen.add(task.key)
    assert last.key in seen
