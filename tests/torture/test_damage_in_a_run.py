"""Results that are lost or altered while runs go on: the values stay right, and exactly what is lost is computed again."""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path

import pytest
from processes import command, committed, finished, start

from hep_flows import nanoaod_table, run
from hep_flows.execute import results as open_store
from hep_flows.store.about import read_pack
from hep_flows.store.store import DamagedResultWarning, Store
from hep_flows.store.upkeep import verify


def _object(store, name):
    return Path(store.path(name) or store.folder.root + "/lost")


def _flip_part(store, name):
    """Alter the part of an object that a result is in."""
    pack, path = read_pack(store.folder.sidecar(name)), _object(store, name)
    piece = pack.result(name).piece
    data = bytearray(path.read_bytes())
    data[sum(n for n, _ in pack.pieces[: piece + 1]) - 3] ^= 0x10
    path.write_bytes(data)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def _sidecar(store, name):
    return Path(store.folder.sidecar(name))


# How, and whether what else is in the same file suffers too.
DAMAGES = {
    "objects deleted": (lambda s, n: _object(s, n).unlink(missing_ok=True), True),
    "objects cut short": (lambda s, n: _object(s, n).is_file() and _cut(_object(s, n)), True),
    "bits of objects flipped": (_flip_part, False),
    "sidecars deleted": (lambda s, n: _sidecar(s, n).unlink(), False),
    "sidecars cut short": (lambda s, n: _cut(_sidecar(s, n)), True),
    "bits of sidecars flipped": (lambda s, n: _flip(_sidecar(s, n)), True),
}

# ``make torture`` tries every damage in a run.
IN_A_RUN = list(DAMAGES) if os.environ.get("HEP_FLOWS_KILLS") else ["objects deleted", "bits of objects flipped"]


def _once_stored(cache, number):
    """Wait until a run has stored so many results; gives their keys."""
    end = time.monotonic() + 300
    while len(names := sorted(committed(cache))) < number:
        assert time.monotonic() < end
        time.sleep(0.002)
    return names


def _damaged(cache, names, damage):
    change, _ = DAMAGES[damage]
    places = {(_object(Store(cache), n) if "objects" in damage else _sidecar(Store(cache), n)): n for n in names}
    files = {p.stat().st_ino: n for p, n in places.items()} if "deleted" not in damage else places
    for name in names if change is _flip_part or damage == "sidecars deleted" else files.values():
        with contextlib.suppress(FileNotFoundError, ValueError):  # it was replaced meanwhile
            change(Store(cache), name)


@pytest.mark.parametrize("damage", IN_A_RUN)
def test_damage_while_a_run_goes_on(damage, files, undisturbed, tmp_path):
    want, n_computed, _ = undisturbed
    cache = tmp_path / "cache"
    process = start(files, cache)
    process.stdout.readline()
    names = _once_stored(cache, 12)
    _damaged(cache, random.Random(1).sample(names, 8), damage)
    values, _ = finished(process)
    assert values == want
    values, (computed, _) = finished(start(files, cache))
    assert values == want
    assert computed <= (n_computed if DAMAGES[damage][1] else 8) < n_computed + 1
    _, (again, _) = finished(start(files, cache))
    assert again == 0
    verify(Store(cache), decode=True, remove_damaged=True)
    values, _ = finished(start(files, cache))
    assert values == want
    assert verify(Store(cache), decode=True).is_sound


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.filterwarnings("ignore::hep_flows.store.store.DamagedResultWarning")
def test_exactly_what_is_damaged_is_computed_again(damage, files, cache_folder):
    def asked():
        open_store.store_of.cache_clear()
        return run(nanoaod_table(sorted(str(f) for f in files.glob("part_*.root"))).Jet.eta * 2.0, on_error="raise")

    first = asked()
    names = sorted(committed(cache_folder))
    assert len(names) == 8
    _damaged(cache_folder, random.Random(2).sample(names, 3), damage)
    second = asked()
    assert [(r.batches_computed, r.batches_cached) for r in second.report.tasks] == [(8, 0) if DAMAGES[damage][1] else (3, 5)]
    assert second.values.to_list() == first.values.to_list()
    assert [r.batches_computed for r in asked().report.tasks] == [0]


def test_damage_is_said_and_not_silent(files, cache_folder):
    events = nanoaod_table(str(files / "part_0.root"))
    run(events.Jet.eta)
    open_store.store_of.cache_clear()
    _damaged(cache_folder, committed(cache_folder), "bits of objects flipped")
    with pytest.warns(DamagedResultWarning):
        run(events.Jet.eta)


@pytest.mark.parametrize("damage", ["deleted", "altered"])
def test_runs_do_not_need_the_index(damage, files, undisturbed, tmp_path):
    want, _, _ = undisturbed
    cache = tmp_path / "cache"
    process = start(files, cache)
    process.stdout.readline()
    _once_stored(cache, 4)
    command(cache, "cache", "ls")
    index = [p for p in (cache / "index").rglob("*") if p.is_file()]
    assert index
    for path in index:
        if damage == "deleted":
            path.unlink()
        else:
            path.write_bytes(b"\x00nonsense" * 300)
    values, _ = finished(process)
    assert values == want
    listed = command(cache, "cache", "ls", "--most", "1000")
    assert len(listed.splitlines()) == len(committed(cache))
    values, (computed, _) = finished(start(files, cache))
    assert (values, computed) == (want, 0)
