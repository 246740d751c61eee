"""Results that are committed together: in few files, found by their keys, none lost by what becomes of the others."""

import json
import os
import shutil
import threading
import warnings
from pathlib import Path

import awkward as ak
import duckdb
import hist
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.errors import StoreError
from hep_flows.store.about import Provenance, read_pack
from hep_flows.store.index import listed, pin, rebuild
from hep_flows.store.store import DamagedResultWarning, Store
from hep_flows.store.upkeep import collect, verify

NUMBER = 10
TEXT = "a long text that is the same for all of them"


def column(n):
    return Columns(ak.Array([[n + 0.5, -0.0], [], [float("nan")]][: 1 + n % 3]))


def histogram(n):
    return HistogramResult(hist.Hist.new.Reg(5, 0, 1, name="x").Weight().fill([0.1 * n], weight=1 / 3))


def everything():
    """Give results of all sorts by name: columns of one kind, histograms of several storages, numbers, a large histogram."""
    found = {f"c{n}": column(n) for n in range(NUMBER)} | {f"h{n}": histogram(n) for n in range(NUMBER)}
    found |= {f"n{n}": Scalar(n) for n in range(NUMBER)} | {"huge": Scalar(2**70), "text": Scalar("jets"), "none": Scalar(None)}
    found["int"] = HistogramResult(hist.Hist.new.Reg(3, 0, 1, name="x").Int64().fill([0.5]))
    found["pair"] = HistogramResult((np.array([1, 2]), np.array([0.0, 1.0, 2.0], dtype=np.float32)))
    found["large"] = HistogramResult(hist.Hist.new.Reg(200, 0, 1, name="x").Reg(200, 0, 1, name="y").Double().fill([0.5], [0.5]))
    found["other"] = Columns(ak.Array({"x": [1, 2], "y": [True, False]}))
    return found


def about(name):
    return Provenance(name="pt" if name[1:].isdigit() and name[0] == "c" else name, task=f"{name[0]:*<64}", text=TEXT)


@pytest.fixture
def store(tmp_path):
    """A store in which nothing is committed before it is asked to be."""
    return Store(tmp_path / "cache", hold_s=3600)


@pytest.fixture
def packed(store, key):
    for name, result in everything().items():
        store.put_soon(key(name), result, about(name))
    assert store.commit() == {}
    return Store(store.folder.root)


def same(one, other):
    match one, other:
        case Columns(a), Columns(b):
            return (
                str(a.type) == str(b.type) and ak.to_buffers(a)[0] == ak.to_buffers(b)[0] and repr(a.to_list()) == repr(b.to_list())
            )
        case HistogramResult((a, b)), HistogramResult((c, d)):
            return a.dtype == c.dtype and b.dtype == d.dtype and a.tobytes() == c.tobytes() and b.tobytes() == d.tobytes()
        case HistogramResult(a), HistogramResult(b):
            return a == b and a.view(flow=True).tobytes() == b.view(flow=True).tobytes() and type(a) is type(b)
        case _:
            return one == other


def objects(store):
    return sorted(p for p in Path(store.folder.objects).rglob("*.parquet"))


def inodes(folder):
    return len({p.stat().st_ino for p in Path(folder).rglob("*") if p.is_file()})


def test_every_result_comes_back_with_its_bits(packed, key):
    for name, result in everything().items():
        assert same(packed.get(key(name)), result), name
    assert verify(packed, decode=True).is_sound


def test_they_are_in_few_files(packed):
    assert len(objects(packed)) == 4  # the columns of two kinds, all that is small, the large histogram
    assert inodes(packed.folder.objects) == 8


def test_the_bytes_of_the_results_are_those_of_the_files(packed):
    assert sum(r.nbytes for r in listed(packed).values()) == sum(p.stat().st_size for p in objects(packed))


def test_what_waits_is_found_by_its_process_and_by_others_once_it_is_committed(store, key):
    store.put_soon(key("a"), column(1))
    other = Store(store.folder.root)
    assert same(store.get(key("a")), column(1))
    assert key("a") in store
    assert key("a") not in other
    assert other.get(key("a")) is None
    store.commit()
    assert same(other.get(key("a")), column(1))


def test_what_waits_does_not_follow_what_is_done_to_the_original(store, key):
    filled = hist.Hist.new.Reg(5, 0, 1, name="x").Double()
    store.put_soon(key("h"), HistogramResult(filled))
    filled.fill([0.5])
    store.get(key("h")).histogram.fill([0.5])
    store.commit()
    assert store.get(key("h")).histogram.sum() == 0
    assert pq.read_table(store.path(key("h")))["value"].to_pylist() == [0.0] * 7


def test_it_is_committed_by_itself_after_a_while(tmp_path, key):
    store = Store(tmp_path, hold_s=0.01)
    store.put_soon(key("a"), Scalar(1))
    with Store(tmp_path).claim(key("a"), timeout_s=300):
        assert Store(tmp_path).get(key("a")) == Scalar(1)


def test_it_is_committed_by_itself_when_there_is_enough(store, key):
    for n in range(64):
        store.put_soon(key(f"c{n}"), column(n), Provenance(task="ab" * 32))
    with Store(store.folder.root).claim(key("c0"), timeout_s=300):
        assert same(Store(store.folder.root).get(key("c0")), column(0))


def test_who_needs_what_waits_in_another_process_waits_for_it(store, key):
    store.put_soon(key("a"), Scalar(1))
    with pytest.raises(StoreError, match="did not finish"), Store(store.folder.root).claim(key("a"), timeout_s=0.01):
        pass
    store.commit()
    with Store(store.folder.root).claim(key("a"), timeout_s=300):
        pass


def test_two_that_need_what_waits_for_the_other_do_not_wait_for_ever(tmp_path, key):
    stores = [Store(tmp_path, hold_s=3600) for _ in range(2)]
    stores[0].put_soon(key("a"), Scalar(1))
    stores[1].put_soon(key("b"), Scalar(2))
    found = {}

    def need(number, word):
        with stores[number].claim(key(word), timeout_s=300):
            found[word] = stores[number].get(key(word))

    threads = [threading.Thread(target=need, args=pair) for pair in ((0, "b"), (1, "a"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    assert found == {"a": Scalar(1), "b": Scalar(2)}


def test_a_claim_that_is_held_over_several_results_ends_with_their_commit(store, key):
    with store.claim(key("a")), store.claim(key("b")):
        store.put_soon(key("a"), Scalar(1))
        store.put_soon(key("b"), Scalar(2))
        store.commit()
        assert key("a") not in Store(store.folder.root)
    store.commit()
    assert Store(store.folder.root).has([key("a"), key("b")]) == {key("a"), key("b")}
    assert os.listdir(store.folder.locks) == []


@pytest.mark.parametrize("how", ["alone", "together"])
def test_a_later_put_replaces_what_was_there(packed, key, how):
    for n in range(NUMBER):
        (packed.put if how == "alone" else packed.put_soon)(key(f"c{n}"), Scalar(-n))
    packed.commit()
    fresh = Store(packed.folder.root)
    assert [fresh.get(key(f"c{n}")) for n in range(NUMBER)] == [Scalar(-n) for n in range(NUMBER)]
    assert same(fresh.get(key("h3")), histogram(3))
    assert verify(fresh, decode=True).is_sound
    assert len(objects(fresh)) == (3 + NUMBER if how == "alone" else 4)
    for n in range(NUMBER):
        packed.put_soon(key(f"c{n}"), column(n))
    packed.commit()
    assert all(same(Store(packed.folder.root).get(key(f"c{n}")), column(n)) for n in range(NUMBER))
    assert verify(packed, decode=True).leftovers.files == 0


def test_the_file_goes_with_the_last_of_its_results(packed, key):
    path = packed.path(key("c0"))
    for n in range(NUMBER):
        assert os.path.exists(path)
        packed.remove(key(f"c{n}"))
        assert key(f"c{n}") not in packed
    assert not os.path.exists(path)
    assert same(packed.get(key("other")), everything()["other"])


def test_a_damaged_part_hides_no_other(packed, key):
    path, footer = packed.path(key("c3")), pq.read_metadata(packed.path(key("c3")))
    place = footer.row_group(3).column(0)
    data = bytearray(Path(path).read_bytes())
    data[place.data_page_offset + place.total_compressed_size - 1] ^= 1
    Path(path).write_bytes(data)
    fresh = Store(packed.folder.root)
    with pytest.warns(DamagedResultWarning, match="checksum"):
        assert fresh.get(key("c3")) is None
    assert all(same(fresh.get(key(f"c{n}")), column(n)) for n in range(NUMBER) if n != 3)
    assert [d.key for d in verify(fresh, decode=True, remove_damaged=True).damaged] == [key("c3").hex()]
    fresh.put(key("c3"), column(3))
    assert verify(fresh, decode=True).is_sound


def test_every_byte_of_an_object_is_in_a_piece_with_a_checksum(packed, key):
    for name in ("c0", "h0", "large"):
        data, pack = Path(packed.path(key(name))).read_bytes(), read_pack(packed.folder.sidecar(key(name).hex()))
        assert sum(n for n, _ in pack.pieces) == len(data)
    footer, start = pq.read_metadata(packed.path(key("c0"))), 0
    pieces = read_pack(packed.folder.sidecar(key("c0").hex())).pieces
    for group, (n, _) in enumerate(pieces[:-1]):
        place = footer.row_group(group).column(0)
        assert start <= place.data_page_offset
        assert place.data_page_offset + place.total_compressed_size == start + n
        start += n


@pytest.mark.parametrize("damage", ["short", "lost", "empty", "a folder", "a pipe"])
def test_an_object_that_is_not_whole_counts_as_missing_and_is_replaced(packed, key, damage):
    path = Path(packed.path(key("c0")))
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "short":
            path.write_bytes(data[:-20])
        case "empty":
            path.write_bytes(b"")
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedResultWarning)
        fresh = Store(packed.folder.root)
        assert [fresh.get(key(f"c{n}")) for n in range(NUMBER)] == [None] * NUMBER
    assert same(fresh.get(key("n1")), Scalar(1))
    for n in range(NUMBER):
        fresh.put_soon(key(f"c{n}"), column(n))
    fresh.commit()
    assert all(same(Store(packed.folder.root).get(key(f"c{n}")), column(n)) for n in range(NUMBER))
    assert verify(fresh, decode=True).is_sound


def test_a_collection_takes_whole_files_and_leaves_the_rest_whole(packed, key):
    for p in Path(packed.folder.objects).rglob("*.json"):
        os.utime(p, (1, 1000))
    os.utime(packed.folder.sidecar(key("c0").hex()), (1, 999))  # one file, under all its keys
    limit = sum(r.nbytes for k, r in listed(packed).items() if r.object != read_pack(packed.folder.sidecar(key("c0").hex())).name)
    report = collect(packed, limit_bytes=limit)
    assert {r.about["name"] for r in report.removed} == {"pt"}
    assert len(report.removed) == NUMBER
    assert sum(p.stat().st_size for p in objects(packed)) == report.kept_bytes == limit


def test_what_is_pinned_stays_in_its_file(packed, key):
    for p in Path(packed.folder.objects).rglob("*.json"):
        os.utime(p, (1, 1000))
    pin(packed, key("h4"))
    collect(packed, limit_bytes=0)
    fresh = Store(packed.folder.root)
    assert same(fresh.get(key("h4")), histogram(4))
    assert list(listed(fresh)) == [key("h4").hex()]
    assert verify(fresh, decode=True).is_sound


@pytest.mark.parametrize("how", ["copied", "a link where it was"])
def test_a_cache_that_was_copied_is_as_good(packed, key, tmp_path, how):
    copy = tmp_path / "copy"
    shutil.copytree(packed.folder.root, copy)  # without the links: each key has a sidecar of its own
    if how != "copied":
        shutil.rmtree(packed.folder.root)
        shutil.copytree(copy, packed.folder.root)
    other = Store(copy)
    for name, result in everything().items():
        assert same(other.get(key(name)), result), name
    assert rebuild(other).keys() == rebuild(packed).keys()
    for n in range(NUMBER):
        other.remove(key(f"c{n}"))
    assert len(objects(other)) == 3
    assert verify(other, decode=True).is_sound


def test_a_file_system_without_links_gets_copies(store, key, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for name, result in everything().items():
        store.put_soon(key(name), result)
    assert store.commit() == {}
    monkeypatch.undo()
    assert all(same(Store(store.folder.root).get(key(name)), result) for name, result in everything().items())
    assert len(objects(store)) == 4


def test_other_readers_take_them_as_ordinary_tables(packed, key):
    columns, small = packed.path(key("c0")), packed.path(key("h0"))
    expected = [row for n in range(NUMBER) for row in column(n).array.to_list()]
    assert repr(pq.read_table(columns)["pt"].to_pylist()) == repr(ak.from_parquet(columns)["pt"].to_list())
    assert repr(ak.from_parquet(columns)["pt"].to_list()) != "[]"
    frame = pd.read_parquet(small).set_index("name")
    assert frame.loc["n7", "number"] == 7
    assert frame.loc["huge", "text"] == hex(2**70)
    assert list(frame.loc["h2", "value"]) == list(histogram(2).histogram.view(flow=True)["value"])
    with duckdb.connect() as db:
        rows = db.execute("select count(*), sum(len(pt)) from read_parquet(?)", [columns]).fetchone()
        assert rows == (len(expected), sum(map(len, expected)))
        found = db.execute("select value_int64 from read_parquet(?) where name = 'int'", [small]).fetchone()
    assert found == (everything()["int"].histogram.view(flow=True).tolist(),)


def test_what_is_the_same_for_all_is_said_once(packed, key):
    path = packed.folder.sidecar(key("h0").hex())
    assert Path(path).read_text().count(TEXT) == 1
    footer = pq.read_metadata(packed.path(key("h0"))).metadata[b"hep_flows"]
    assert footer.count(TEXT.encode()) == 1
    assert json.loads(footer)["rows"]


def test_a_full_disk_is_told_of_by_key_and_leaves_nothing(store, key, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    store.put_soon(key("a"), Scalar(1))
    store.put_soon(key("b"), column(1))
    monkeypatch.setattr(os, "fsync", full)
    errors = store.commit()
    monkeypatch.undo()
    assert errors.keys() == {key("a").hex(), key("b").hex()}
    assert all("no room" in e.what for e in errors.values())
    assert store.get(key("a")) is None
    assert os.listdir(store.folder.temporaries) == []
    assert os.listdir(store.folder.locks) == []
    assert store.commit() == {}


def test_many_are_committed_with_few_syncs(store, key, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (synced.append(d), real(d)))
    for n in range(20):
        store.put_soon(key(f"h{n}"), histogram(n))
        store.put_soon(key(f"n{n}"), Scalar(n))
        store.put_soon(key(f"c{n}"), column(n), about(f"c{n}"))
    store.commit()
    assert len(synced) == 6  # two objects, their sidecars, and two folders that are new
