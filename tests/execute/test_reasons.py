"""A plan, and the words kept with a result, say why something has to be computed: what changed, a raised version, or nothing there."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from event_files import fill, new_process, write

from hep_flows import nanoaod_table, plan, render, run
from hep_flows.execute.history import computed_because, plan_status, replaced_by
from hep_flows.execute.results import Results
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.show.plan import PlanView
from hep_flows.store.store import Store


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / f"part_{i}.root", i) for i in range(2)]


def why(asked):
    """Give, by plug-in, why a plan would compute it."""
    return misses(plan(asked))


def misses(seen):
    return {t.plugin: s.why for t in seen.tasks if (s := seen.status[t.key]).state == "miss"}


def empty(cache_folder):
    """Remove every result, as a collection does; what is remembered of runs stays."""
    store = Store(cache_folder)
    for path in cache_folder.glob("objects-*/??/*.json"):
        store.remove(path.stem)
    new_process()


def test_what_was_collected_is_told_from_what_was_never_computed(files, cache_folder):
    assert why(fill(nanoaod_table(files))) == {"awkward": "never computed", "hist": "it takes the result of task 1"}
    run(fill(nanoaod_table(files)))
    assert why(fill(nanoaod_table(files))) == {}
    empty(cache_folder)
    said = why(fill(nanoaod_table(files)))
    assert said["awkward"].startswith("it is not in the cache any more, where it was on 20")
    assert said["awkward"].endswith("collected or removed")


@pytest.mark.parametrize(("plugin", "name"), [(AwkwardPlugin, "awkward"), (HistPlugin, "hist")])
def test_a_raised_result_version_is_named(files, cache_folder, plugin, name):
    run(fill(nanoaod_table(files)))
    before = plugin.result_version
    raised = type("Raised", (plugin,), {"result_version": f"{before}.1"})
    plugins = [(raised if plugin is p else p)() for p in (AwkwardPlugin, HistPlugin)]
    made = make_plan(render([fill(nanoaod_table(files))]), plugins)
    seen = PlanView(made, plan_status(made, plugins, Store(cache_folder)), {})
    assert misses(seen)[name] == f"the result version of {name} was raised from {before} to {before}.1"


def test_what_failed_does_not_count_as_computed(files):
    events = nanoaod_table(files)
    asked = fill(events)
    write(files[1], 99)
    assert not run(asked).is_complete
    write(files[1], 1)
    assert set(why(fill(nanoaod_table(files))).values()) <= {"never computed", "it takes the result of task 1"}


def test_a_result_knows_why_it_was_computed_and_in_whose_place_it_is(files, cache_folder):
    def tasks(bins=20, cut=30.0):
        seen = plan(fill(nanoaod_table(files), bins, cut))
        run(fill(nanoaod_table(files), bins, cut))
        return {t.plugin: t.key for t in seen.tasks}, Results(Store(cache_folder))

    first, known = tasks()
    assert {computed_because(k, known).because for k in first.values()} == {"never computed"}
    assert replaced_by(first["hist"], known) is None
    second, known = tasks(cut=35.0)
    changed = "`events.Jet.pt > 30.0` became `events.Jet.pt > 35.0` at event_files.py:"
    for name in ("awkward", "hist"):
        found = computed_because(second[name], known)
        assert found.because.startswith(changed)
        assert found.other == first[name].hex()
        assert replaced_by(first[name], known).other == second[name].hex()
    third, known = tasks(bins=7, cut=35.0)
    assert third["awkward"] == second["awkward"]
    found = computed_because(third["hist"], known)
    assert found.because.startswith("the axes or the storage of the histogram changed at event_files.py:")
    assert found.other == second["hist"].hex()
    write(files[1], 77)
    fourth, known = tasks(bins=7, cut=35.0)
    assert computed_because(fourth["hist"], known).because == "file 2 (part_1.root) was replaced"


def test_a_refresh_changes_nothing_that_is_known(files, cache_folder):
    run(fill(nanoaod_table(files)))
    seen = plan(fill(nanoaod_table(files), cut=35.0))
    run(fill(nanoaod_table(files), cut=35.0))
    run(fill(nanoaod_table(files), cut=35.0), refresh=True)
    known = Results(Store(cache_folder))
    assert "became" in computed_because(seen.tasks[0].key, known).because


def test_several_results_of_one_shape_keep_their_places(files, cache_folder):
    def asked(cuts):
        events = nanoaod_table(files)
        return [(events.MET.pt[events.MET.pt > c]).Sum() for c in cuts]

    before = plan(asked((10.0, 20.0, 30.0))).tasks
    run(asked((10.0, 20.0, 30.0)))
    after = plan(asked((10.0, 20.0, 40.0))).tasks
    run(asked((10.0, 20.0, 40.0)))
    known = Results(Store(cache_folder))
    new = {t.key for t in after} - {t.key for t in before}
    assert len(new) == 1
    assert "became `events.MET.pt > 40.0`" in computed_because(new.pop(), known).because


def test_libraries_that_differ_are_said_and_change_nothing(files, as_if_installed):
    asked = fill(nanoaod_table(files))
    run(asked)
    assert "not part of the key" not in str(plan(asked))
    before = version("awkward")
    as_if_installed("awkward", "99.9")
    seen = plan(asked)
    assert f"awkward {before} then, 99.9 now: not part of the key" in str(seen)
    assert all(s.state == "hit" for s in seen.status.values())


def test_notes_that_are_damaged_count_as_none(files, cache_folder):
    run(fill(nanoaod_table(files)))
    for path in cache_folder.glob("facts/*/*.json"):
        path.write_bytes(path.read_bytes().replace(b"expression", b"expresssion"))
    assert why(fill(nanoaod_table(files), cut=35.0))["awkward"] == "never computed"


def test_notes_of_another_form_count_as_none(files, cache_folder):
    asked = fill(nanoaod_table(files))
    run(asked)
    for path in cache_folder.glob("facts/*/*.json"):
        path.write_text('["an older note"]')
    new_process()
    empty(cache_folder)
    assert why(asked)["awkward"] == "never computed"
