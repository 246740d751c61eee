"""A clock that goes back, or is wrong: nothing stale, nothing needless, and a collection takes nothing that is in use."""

from __future__ import annotations

import os
import shutil

import pytest
from bench import write_file
from processes import command, committed, finished, start

HOUR = 3600.0
CLOCKS = [-20 * HOUR, -5.0, 40 * 24 * HOUR] if os.environ.get("HEP_FLOWS_KILLS") else [-20 * HOUR]


@pytest.mark.parametrize("clock_s", CLOCKS)
def test_a_wrong_clock_makes_nothing_stale_and_nothing_needless(clock_s, files, undisturbed, tmp_path):
    want, _, _ = undisturbed
    here, cache = tmp_path / "files", tmp_path / "cache"
    shutil.copytree(files, here)
    finished(start(here, cache))
    values, (computed, _) = finished(start(here, cache, clock_s=clock_s))
    assert (values, computed) == (want, 0)
    write_file(here / "part_3.root", 77)
    changed, (computed, _) = finished(start(here, cache, clock_s=clock_s))
    fresh, _ = finished(start(here, tmp_path / "fresh"))
    assert computed > 0
    assert changed == fresh != want
    _, (computed, _) = finished(start(here, cache))
    assert computed == 0


def test_a_collection_with_a_clock_that_went_back_takes_nothing_that_is_in_use(files, undisturbed, tmp_path):
    want, _, _ = undisturbed
    cache = tmp_path / "cache"
    finished(start(files, cache))
    before = committed(cache)
    said = command(cache, "cache", "gc", "--limit", "1kB", clock_s=-20 * HOUR)
    assert "removed 0 results" in said
    assert committed(cache) == before
    values, (computed, _) = finished(start(files, cache))
    assert (values, computed) == (want, 0)


def test_a_collection_in_the_middle_of_a_run_takes_nothing_that_it_needs(files, undisturbed, tmp_path):
    want, n_computed, _ = undisturbed
    cache = tmp_path / "cache"
    process = start(files, cache, clock_s=-2 * HOUR)
    process.stdout.readline()
    for clock_s in (0.0, -20 * HOUR):
        command(cache, "cache", "gc", "--limit", "1kB", clock_s=clock_s)
    values, (computed, _) = finished(process)
    assert (values, computed) == (want, n_computed)
