"""Garbage collection and verification: what goes, what stays, and in which order."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from calls import in_proportion
from hep_flows.contract import Scalar
from hep_flows.errors import StoreError
from hep_flows.store.about import Pack, Provenance
from hep_flows.store.commit import claimed
from hep_flows.store.index import listed, pin
from hep_flows.store.store import Store
from hep_flows.store.upkeep import collect, verify

WORDS = "abcde"


@pytest.fixture
def filled(store, key):
    """Five results, of which ``a`` was not used for the longest time; each was made from the one before."""
    for n, word in enumerate(WORDS):
        inputs = (key(WORDS[n - 1]).hex(),) if n else ()
        store.put(key(word), Scalar(n), Provenance(name=word, inputs=inputs))
        os.utime(store.folder.sidecar(key(word).hex()), (1, 1000 + n))
    return store


def words(rows):
    return "".join(r.about["name"] for r in rows)


def here(store, key):
    return "".join(w for w in WORDS if key(w) in store)


def sizes(store, key, these):
    return sum(listed(store)[key(w).hex()].nbytes for w in these)


def test_the_least_recently_used_go_until_the_rest_fits(filled, key):
    limit = sizes(filled, key, "cde")
    report = collect(filled, limit_bytes=limit)
    assert words(report.removed) == "ab"
    assert here(filled, key) == "cde"
    assert report.is_within_limit
    assert report.kept_bytes == sizes(filled, key, "cde") == limit
    assert sorted(words(report.kept)) == list("cde")


def test_a_use_protects_a_result(filled, key):
    Store(filled.folder.root).get(key("a"))
    assert words(collect(filled, limit_bytes=0).removed) == "bcde"
    assert words(collect(filled, limit_bytes=0, recent_s=0).removed) == "a"


@pytest.mark.parametrize(("ahead_s", "stays"), [(3600.0, "a"), (6 * 24 * 3600.0, "a"), (400 * 24 * 3600.0, "")])
def test_a_use_by_a_clock_that_was_ahead_protects_and_nonsense_does_not(filled, key, ahead_s, stays):
    os.utime(filled.folder.sidecar(key("a").hex()), (1, time.time() + ahead_s))
    collect(filled, limit_bytes=0)
    assert here(filled, key) == stays


def test_pinned_results_stay_whatever_the_limit(filled, key):
    pin(filled, key("a"))
    report = collect(filled, limit_bytes=0)
    assert here(filled, key) == "a"
    assert not report.is_within_limit


def test_what_the_roots_were_not_made_from_goes(filled, key):
    report = collect(filled, roots=[key("c")])
    assert words(report.removed) == "de"
    assert here(filled, key) == "abc"


def test_unwanted_results_go_before_wanted_ones(filled, key):
    assert words(collect(filled, roots=[key("c")], limit_bytes=sizes(filled, key, "bc")).removed) == "dea"


def test_nothing_goes_without_a_limit_or_roots(filled, key):
    assert collect(filled).removed == ()
    assert here(filled, key) == WORDS


def test_a_dry_run_removes_nothing_and_says_the_same(filled, key):
    dry = collect(filled, limit_bytes=0, dry_run=True)
    assert here(filled, key) == WORDS
    wet = collect(filled, limit_bytes=0)
    assert words(dry.removed) == words(wet.removed) == WORDS
    assert dry.dry_run


def test_a_result_that_is_worked_on_is_left(filled, key):
    with claimed(filled.folder.lock(key("a").hex())):
        report = collect(filled, limit_bytes=0)
    assert report.in_use == (key("a").hex(),)
    assert here(filled, key) == "a"


def test_the_sidecar_goes_first_then_the_object(filled, monkeypatch):
    gone = []
    real = os.unlink

    def unlink(path, *more):
        if "objects" in str(path):
            gone.append(str(path).rsplit(".", 1)[-1])
        real(path, *more)

    monkeypatch.setattr(os, "unlink", unlink)
    collect(filled, limit_bytes=0)
    assert gone == ["json", "parquet"] * 5


def test_temporaries_of_the_dead_go_and_those_of_the_living_stay(filled, key):
    dead, alive = [f"{filled.folder.temporaries}/{key(w).hex()}.host.1.x.parquet" for w in ("dead", "alive")]
    strange, old = [f"{filled.folder.temporaries}/{w}" for w in ("strange", "old")]
    for path in (dead, alive, strange, old):
        with open(path, "w") as file:
            file.write("12345")
    os.utime(old, (1, 1))
    with claimed(filled.folder.lock(key("alive").hex())):
        report = collect(filled)
    assert (report.leftovers.files, report.leftovers.nbytes) == (2, 10)
    assert [os.path.exists(p) for p in (dead, alive, strange, old)] == [False, True, True, False]


def test_objects_that_were_never_committed_go(filled, key):
    os.unlink(filled.folder.sidecar(key("a").hex()))
    assert verify(filled).leftovers.files == 1
    assert not os.path.exists(filled.folder.object(key("a").hex()))
    assert here(filled, key) == "bcde"


def test_locks_that_nobody_holds_go(filled, key):
    with open(filled.folder.lock(key("x").hex()), "w"):
        pass
    collect(filled)
    assert os.listdir(filled.folder.locks) == []


def test_a_folder_that_is_read_only_is_not_collected(filled, without_permission):
    without_permission()
    with pytest.raises(StoreError, match="cannot be written"):
        collect(Store(filled.folder.root), limit_bytes=0)


def test_verify_finds_what_is_damaged(filled, key):
    with open(filled.folder.object(key("a").hex()), "r+b") as file:
        file.seek(9)
        file.write(b"\0\1\2")
    os.truncate(filled.folder.object(key("b").hex()), 10)
    os.unlink(filled.folder.object(key("c").hex()))
    os.truncate(filled.folder.sidecar(key("d").hex()), 10)
    seen = []
    report = verify(filled, progress=seen.append)
    assert not report.is_sound
    assert report.sound == 1
    assert {d.key for d in report.damaged} == {key(w).hex() for w in "abcd"}
    assert any("checksum" in d.reason for d in report.damaged)
    assert seen == [1, 2, 3, 4, 5]
    assert verify(filled, decode=True, remove_damaged=True).damaged == report.damaged
    assert verify(filled, decode=True).is_sound
    assert here(filled, key) == "e"


def test_thousands_of_results_are_sorted_out_in_proportion(tmp_path, key):
    def many(number):
        store = Store(tmp_path / str(number))
        store.put(key("a"), Scalar(1))
        one = store.sidecar(key("a"))
        for n in range(number):
            name = key(str(n)).hex()
            path = Path(store.folder.sidecar(name))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(Pack.of(name, [(one.nbytes, "")], [replace(one, key=name)]).written())
            os.utime(path, (n, n))
        store.remove(key("a"))
        return store, sum(r.nbytes for r in listed(store).values()) // 2, number // 2

    def half_of_it(made):
        store, limit, half = made
        assert len(collect(store, limit_bytes=limit, dry_run=True).removed) == half

    assert in_proportion(half_of_it, many, 2000)
