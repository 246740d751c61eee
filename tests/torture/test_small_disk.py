"""A disk that is read-only or full costs time, never a result."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

from hep_flows import nanoaod_table, run
from hep_flows.execute import results as open_store
from hep_flows.execute.results import ResultNotStored
from hep_flows.store.store import Store
from hep_flows.store.upkeep import verify


@pytest.fixture
def cache(small_disk, environment):
    folder = small_disk / "cache"
    environment(HEP_FLOWS_CACHE=folder)
    return folder


def asked(files, factor=2.0):
    open_store.store_of.cache_clear()
    events = nanoaod_table(sorted(str(f) for f in files.glob("part_*.root")))
    return {"eta": events.Jet.eta * factor, "sum": (events.Jet.pt * factor).Sum().Sum()}


def _fill(path):
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def told(done):
    return {name: v.to_list() if hasattr(v, "to_list") else v for name, v in done.values.items()}


def test_a_read_only_cache_is_read_and_what_is_new_is_computed(files, cache, small_disk):
    first = told(run(asked(files), on_error="raise"))
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*")}
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    again = run(asked(files), on_error="raise")
    assert told(again) == first
    assert {r.state for r in again.report.tasks} == {"cached"}
    with pytest.warns(ResultNotStored, match="cannot be written"):
        new = run(asked(files, 4.0), on_error="raise")
    assert {r.state for r in new.report.tasks} == {"computed"}
    assert new.values["sum"] == 2 * first["sum"]
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*")} == before


def test_a_full_disk_costs_time_only(files, cache, small_disk):
    first = told(run(asked(files), on_error="raise"))
    _fill(small_disk / "filler")
    with pytest.warns(ResultNotStored):
        full = run(asked(files, 4.0), on_error="raise")
    assert full.values["sum"] == 2 * first["sum"]
    assert not list((cache / "unfinished").glob("*"))
    assert verify(Store(cache), decode=True).is_sound
    assert {r.state for r in run(asked(files), on_error="raise").report.tasks} == {"cached"}
    (small_disk / "filler").unlink()
    assert told(run(asked(files, 4.0), on_error="raise")) == told(full)
    assert {r.state for r in run(asked(files, 4.0), on_error="raise").report.tasks} == {"cached"}
