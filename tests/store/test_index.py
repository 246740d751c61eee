"""The index can be deleted or damaged at any time, and runs no code."""

import os
import shutil
import sqlite3
import warnings
from contextlib import suppress
from hashlib import sha256

import diskcache
import pytest

from hep_flows.contract import Scalar
from hep_flows.store.about import Provenance
from hep_flows.store.index import listed, pin, pins, rebuild, unpin
from hep_flows.store.store import Store


@pytest.fixture
def filled(store, key):
    for n in range(5):
        store.put(key(str(n)), Scalar(n), Provenance(name=f"n{n}", tags=("test",), inputs=(key("in").hex(),)))
    return store


def change(store, sql, *arguments):
    database = sqlite3.connect(f"{store.folder.index}/cache.db")
    database.execute(sql, arguments)
    database.commit()
    database.close()


def test_rows_say_what_is_there(filled, key):
    rows = listed(filled)
    assert sorted(rows) == sorted(key(str(n)).hex() for n in range(5))
    row = rows[key("3").hex()]
    assert (row.kind, row.type, row.rows) == ("scalar", "int", 1)
    assert row.nbytes == os.path.getsize(filled.path(key("3")))
    assert row.about["name"] == "n3"
    assert row.about["tags"] == ["test"]
    assert not row.pinned


def test_rows_follow_what_is_put_removed_used_and_pinned(filled, key):
    listed(filled)
    filled.put(key("new"), Scalar(1))
    filled.put(key("0"), Scalar([1, 2]))
    filled.remove(key("1"))
    os.utime(filled.folder.sidecar(key("2").hex()), (1, 1000))
    pin(filled, key("3"), "the thesis")
    rows = listed(Store(filled.folder.root))
    assert sorted(rows) == sorted(key(w).hex() for w in ("0", "2", "3", "4", "new"))
    assert rows[key("0").hex()].type == "list"
    assert rows[key("2").hex()].used == 1000
    assert [r.key for r in rows.values() if r.pinned] == [key("3").hex()]
    assert rows == rebuild(filled)


def test_known_sidecars_are_not_opened_again(filled, opened):
    rows = listed(filled)
    assert any(p.endswith(".json") for p in opened)
    opened.clear()
    assert listed(filled) == rows
    assert not any(p.endswith(".json") for p in opened)


def test_a_deleted_index_is_made_again(filled):
    rows = listed(filled)
    os.unlink(f"{filled.folder.index}/cache.db")
    assert listed(filled) == rows
    assert rebuild(filled) == rows


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_index_is_made_again(filled, damage):
    rows = listed(filled)
    for name in os.listdir(filled.folder.index):
        with open(f"{filled.folder.index}/{name}", "wb") as file:
            file.write(damage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert listed(filled) == rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert listed(filled) == rows


def payload(marker):
    """Give bytes that create a file when they are unpickled."""
    return f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()


@pytest.mark.parametrize("column", ["value", "key"])
def test_a_row_that_is_a_pickle_runs_nothing(filled, tmp_path, column):
    rows = listed(filled)
    marker = tmp_path / "executed"
    if column == "value":
        change(filled, "update Cache set mode = 4, value = ?", sqlite3.Binary(payload(marker)))
    else:
        change(filled, "update Cache set raw = 0, key = ? where rowid = 1", sqlite3.Binary(payload(marker)))
    shutil.copytree(filled.folder.index, tmp_path / "copy")
    with pytest.warns(UserWarning, match="is made again"):
        assert listed(filled) == rows
    assert not marker.exists()
    assert listed(filled) == rows
    with diskcache.Cache(tmp_path / "copy") as unguarded, suppress(Exception):
        for name in unguarded:
            assert unguarded[name]
    assert marker.exists(), "without the guard the payload runs"


@pytest.mark.parametrize("setting", ["disk_pickle_protocol", "eviction_policy", "disk_what", "size_limit"])
def test_altered_settings_of_the_database_hurt_nothing(filled, setting):
    rows = listed(filled)
    change(filled, "insert or replace into Settings values (?, ?)", setting, "least-recently-used")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert listed(filled) == rows
        assert listed(filled) == rows


def test_a_row_that_names_a_file_removes_and_reads_nothing(filled, tmp_path, key):
    rows = listed(filled)
    (tmp_path / "precious").write_text("{}")
    change(filled, "update Cache set filename = ?, mode = 3", "../../precious")
    with pytest.warns(UserWarning, match="is made again"):
        assert listed(filled) == rows
    change(filled, "update Cache set filename = ?", "../../precious")
    filled.remove(key("0"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        listed(filled)
    assert (tmp_path / "precious").read_text() == "{}"


def test_rows_of_another_shape_are_refused(filled):
    rows = listed(filled)
    change(filled, "update Cache set value = ? where rowid = 1", '{"key": "../x"}')
    with pytest.warns(UserWarning, match="is made again"):
        assert listed(filled) == rows


def test_a_read_only_folder_is_listed_without_an_index(filled, without_permission):
    rows = rebuild(filled)
    without_permission()
    before = sorted(os.listdir(filled.folder.root))
    assert listed(Store(filled.folder.root)) == rows
    assert sorted(os.listdir(filled.folder.root)) == before


def test_the_index_can_stand_on_another_disk(filled, tmp_path):
    rows = listed(filled, str(tmp_path / "local"))
    assert (tmp_path / "local" / "cache.db").exists()
    assert not os.path.exists(filled.folder.index)
    assert listed(filled, str(tmp_path / "local")) == rows


def test_pins_do_not_depend_on_the_index(filled, key):
    pin(filled, key("1"), "why")
    rebuild(filled)
    assert pins(filled) == {key("1").hex(): "why"}
    unpin(filled, key("1"))
    unpin(filled, key("1"))
    assert pins(filled) == {}


def test_an_empty_store_has_an_empty_index(store):
    assert listed(store) == {}
    assert not os.path.exists(store.folder.root)


def test_keys_in_the_index_are_only_what_they_look_like(filled, key):
    assert sha256(b"3").digest() == key("3")
    listed(filled)
    database = sqlite3.connect(f"{filled.folder.index}/cache.db")
    kinds = database.execute("select distinct mode, raw, filename is null, typeof(key), typeof(value) from Cache").fetchall()
    database.close()
    assert kinds == [(3, 1, 1, "text", "text")]


def test_an_index_that_cannot_be_written_costs_a_warning_only(filled, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be written"):
        rows = listed(filled, str(tmp_path / "file" / "index"))
    assert rows == listed(filled)
