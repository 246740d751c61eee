"""Look-up, layers, the memory tier, ownership, and where things stand."""

import os
import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import awkward as ak
import hist
import numpy as np
import pytest

from calls import n_calls
from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.errors import StoreError
from hep_flows.store.about import Pack, Provenance
from hep_flows.store.index import pin, unpin
from hep_flows.store.store import Store

FOREIGN = [
    "", "..", "../../etc/passwd", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 63 + "\n", "a" * 64 + "\n", "/" + "a" * 63,
    "a" * 32 + "/" + "a" * 31, "\0" * 64, b"", b"short", bytes(31), bytes(33), None, 7, ("a" * 64,), "\uff11" * 64,
]  # fmt: skip


USES = {
    "get": Store.get,
    "sidecar": Store.sidecar,
    "path": Store.path,
    "remove": Store.remove,
    "put": lambda store, key: store.put(key, Scalar(1)),
    "has": lambda store, key: store.has([key]),
    "claim": lambda store, key: store.claim(key).__enter__(),
    "contains": lambda store, key: key in store,
    "pin": pin,
    "unpin": unpin,
}


@pytest.mark.parametrize("wrong", FOREIGN, ids=range(len(FOREIGN)))
@pytest.mark.parametrize("use", USES)
def test_what_is_no_key_never_becomes_a_path(store, wrong, use):
    with pytest.raises(StoreError, match="no key"):
        USES[use](store, wrong)
    assert not os.path.exists(store.folder.root)


def test_digits_and_bytes_are_the_same_key(store, key):
    store.put(key("a"), Scalar(1))
    assert store.get(key("a").hex()) == Scalar(1)
    assert store.has([key("a").hex(), key("b")]) == {key("a").hex()}


def test_a_missing_folder_is_an_empty_store_and_looking_makes_nothing(tmp_path):
    store = Store(tmp_path / "not" / "yet")
    assert store.get(bytes(32)) is None
    assert store.has([bytes(32)]) == set()
    assert not (tmp_path / "not").exists()


def test_files_stand_where_the_format_says(store, key):
    store.put(key("a"), Scalar(1))
    name = key("a").hex()
    assert sorted(p for p in os.listdir(f"{store.folder.root}/objects-3/{name[:2]}")) == [f"{name}.json", f"{name}.parquet"]
    assert store.path(key("a")) == f"{store.folder.root}/objects-3/{name[:2]}/{name}.parquet"


def test_a_second_put_replaces_the_first(store, again, key):
    store.put(key("a"), Scalar(1))
    store.put(key("a"), Columns(ak.Array([1, 2])))
    assert ak.to_list(again(store, key("a")).array) == [1, 2]
    assert store.sidecar(key("a")).rows == 2


def test_a_removed_result_is_missing_at_once(store, key):
    store.put(key("a"), Scalar(1))
    store.remove(key("a"))
    store.remove(key("a"))
    assert store.get(key("a")) is None
    assert key("a") not in store


def test_the_folder_can_be_moved_and_named_relatively(tmp_path, work_in, key):
    work_in(tmp_path)
    Store("cache").put(key("a"), Scalar(1))
    os.rename(tmp_path / "cache", tmp_path / "elsewhere")
    moved = Store("elsewhere")
    work_in("/")
    assert moved.get(key("a")) == Scalar(1)
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "copy")
    assert Store(tmp_path / "copy").get(key("a")) == Scalar(1)


def test_layers_are_read_below_the_own_folder_and_never_written(tmp_path, key):
    team, more = Store(tmp_path / "team"), Store(tmp_path / "more")
    team.put(key("a"), Scalar("team"))
    more.put(key("a"), Scalar("more"))
    more.put(key("b"), Scalar("more"))
    before = {p: p.stat().st_mtime_ns for p in [*(tmp_path / "team").rglob("*"), *(tmp_path / "more").rglob("*")]}
    mine = Store(tmp_path / "mine", [tmp_path / "team", tmp_path / "more"])
    assert mine.get(key("a")) == Scalar("team")
    assert mine.get(key("b")) == Scalar("more")
    assert mine.has([key("a"), key("b"), key("c")]) == {key("a"), key("b")}
    assert mine.path(key("b")).startswith(str(tmp_path / "more"))
    mine.put(key("a"), Scalar("mine"))
    assert mine.get(key("a")) == Scalar("mine")
    mine.remove(key("b"))
    assert mine.get(key("b")) == Scalar("more")
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_damaged_layer_does_not_hide_the_next(tmp_path, key):
    for layer in ("team", "more"):
        Store(tmp_path / layer).put(key("a"), Scalar(layer))
    os.unlink(Store(tmp_path / "team").folder.object(key("a").hex()))
    with pytest.warns(UserWarning, match="counts as missing"):
        assert Store(tmp_path / "mine", [tmp_path / "team", tmp_path / "more"]).get(key("a")) == Scalar("more")


def test_a_folder_of_somebody_else_is_read_only_unless_allowed(store, key, of_somebody_else):
    store.put(key("a"), Scalar(1))
    of_somebody_else()
    foreign = Store(store.folder.root)
    assert not foreign.writable
    assert foreign.get(key("a")) == Scalar(1)
    for change in (lambda: foreign.put(key("b"), Scalar(1)), lambda: foreign.remove(key("a"))):
        with pytest.raises(StoreError, match="cannot be written") as caught:
            change()
        assert "another user" in caught.value.why
    assert key("b") not in foreign
    allowed = Store(store.folder.root, allow_foreign=True)
    allowed.put(key("b"), Scalar(2))
    assert allowed.get(key("b")) == Scalar(2)


def test_a_folder_without_permission_is_read_only(store, key, without_permission):
    store.put(key("a"), Scalar(1))
    without_permission()
    locked = Store(store.folder.root)
    assert locked.get(key("a")) == Scalar(1)
    with pytest.raises(StoreError, match="cannot be written"):
        locked.put(key("b"), Scalar(1))


def test_memory_gives_results_without_reading_them_again(store, key):
    store.put(key("a"), Columns(array := ak.Array([[1, 2], []])))
    back = store.get(key("a")).array
    assert back.layout is array.layout


def test_memory_is_bounded_and_drops_the_oldest(tmp_path, key):
    store = Store(tmp_path, memory_bytes=300_000)
    arrays = {word: ak.Array(np.zeros(50_000 if word == "too big" else 15_000)) for word in ("a", "b", "c", "too big")}
    for word, array in arrays.items():
        store.put(key(word), Columns(array))
    in_memory = [w for w in ("b", "c", "too big", "a") if store.get(key(w)).array.layout is arrays[w].layout]
    assert in_memory == ["b", "c"]


def test_memory_follows_what_another_process_does(store, key):
    store.put(key("a"), Scalar(1))
    Store(store.folder.root).put(key("a"), Scalar(2))
    assert store.get(key("a")) == Scalar(2)
    Store(store.folder.root).remove(key("a"))
    assert store.get(key("a")) is None


def test_changing_a_result_changes_nothing_that_is_kept(store, key):
    histogram = hist.Hist.new.Reg(3, 0, 1, name="x").Double()
    store.put(key("h"), HistogramResult(histogram))
    histogram.fill([0.5])
    store.get(key("h")).histogram.fill([0.5])
    assert store.get(key("h")).histogram.sum() == 0
    store.put(key("p"), HistogramResult((np.array([1, 2]), np.array([0, 1, 2]))))
    store.get(key("p")).histogram[0][0] = 9
    assert store.get(key("p")).histogram[0][0] == 1
    store.put(key("a"), Columns(array := ak.Array([{"x": 1}])))
    array["y"] = 2
    store.get(key("a")).array["z"] = 3
    assert store.get(key("a")).array.fields == ["x"]


def test_use_is_noted_once_a_minute(store, again, key):
    store.put(key("a"), Scalar(1))
    sidecar = store.folder.sidecar(key("a").hex())
    os.utime(sidecar, (1, 1))
    begun = time.time()
    again(store, key("a"))
    noted = os.stat(sidecar).st_mtime
    assert begun - 1 <= noted <= time.time() + 1  # the clock of the file system is coarse
    again(store, key("a"))
    assert os.stat(sidecar).st_mtime == noted


def test_a_clock_that_went_back_hurts_nothing(store, again, key):
    store.put(key("a"), Scalar(1))
    os.utime(store.folder.sidecar(key("a").hex()), (2**33, 2**33))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert again(store, key("a")) == Scalar(1)
    assert os.stat(store.folder.sidecar(key("a").hex())).st_mtime < 2**32


def test_the_sidecar_says_what_the_result_is(store, key):
    about = Provenance(
        name="pt", plugin="awkward", result_version="1", expression="encoded", text="Jet.pt", dataset={"name": "ttbar", "files": ["a"]},
        inputs=(key("i").hex(),), events_processed=3, events_expected=4, sumw=float("nan"), tags=("skim",), seconds=1.5,
    )  # fmt: skip
    written = store.put(key("a"), Columns(ak.Array([[1.0], [], [2.0]])), about)
    assert written == Store(store.folder.root).sidecar(key("a"))
    assert (written.kind, written.type, written.rows) == ("columns", "3 * var * float64", 3)
    assert written.nbytes == os.path.getsize(store.path(key("a")))
    assert written.about == {
        "name": "pt", "plugin": "awkward", "result_version": "1", "text": "Jet.pt", "inputs": [key("i").hex()], "dataset": "ttbar",
        "events_processed": 3, "events_expected": 4, "sumw": {"$float": "7ff8000000000000"}, "tags": ["skim"], "seconds": 1.5,
    }  # fmt: skip


def test_looking_up_many_keys_is_fast(store, key):
    store.put(key("0"), HistogramResult(hist.Hist.new.Reg(50, 0, 1, name="x").Weight()))
    name, one = key("0").hex(), store.sidecar(key("0"))
    for n in range(1, 2000):
        other = key(str(n)).hex()
        os.makedirs(store.folder.shelf(other), exist_ok=True)
        os.link(store.folder.object(name), store.folder.object(other))
        pack = Pack.of(other, [(one.nbytes, "")], [replace(one, key=other)])
        Path(store.folder.sidecar(other)).write_bytes(pack.written())
    keys = [key(str(n)) for n in range(2100)]
    assert len(store.has(keys)) == 2000
    assert n_calls(lambda: store.has(keys)) < 60 * len(keys)
