"""A run that is killed at any moment loses nothing that it had stored, and leaves nothing wrong behind."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from processes import committed, finished, start

from hep_flows.store.store import Store
from hep_flows.store.upkeep import verify

KILLS = int(os.environ.get("HEP_FLOWS_KILLS", "10"))


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_where_it_stopped(number, files, undisturbed, tmp_path):
    want, n_computed, seconds = undisturbed
    cache = tmp_path / "cache"
    process = start(files, cache, hold_s=(0.01, 0.2, 5.0)[number % 3])
    process.stdout.readline()
    time.sleep(random.Random(number).uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    before = committed(cache)
    values, (computed, _) = finished(start(files, cache))
    assert values == want
    after = committed(cache)
    assert {k: after.get(k) for k in before} == before, "a committed result was written again"
    assert computed <= n_computed
    report = verify(Store(cache), decode=True)
    assert report.is_sound
    assert not list((cache / "unfinished").glob("*"))
    _, (again, _) = finished(start(files, cache))
    assert again == 0


@pytest.mark.parametrize("hold_s", [0.01, 5.0])
@pytest.mark.parametrize("number", [2, 4])
def test_processes_at_once_compute_each_result_once(number, hold_s, files, undisturbed, tmp_path):
    want, n_computed, _ = undisturbed
    cache = tmp_path / "cache"
    done = [finished(p) for p in [start(files, cache, hold_s=hold_s) for _ in range(number)]]
    assert {values for values, _ in done} == {want}
    assert sum([computed for _, (computed, _) in done]) == n_computed
    assert not list((cache / "locks").glob("*"))
    assert not list((cache / "unfinished").glob("*"))
