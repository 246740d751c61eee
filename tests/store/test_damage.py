"""Whatever is missing, cut short or altered counts as not there, with a warning, and is replaced by the next put."""

import json
import os
import sys
import warnings
from dataclasses import replace

import awkward as ak
import hist
import numpy as np
import pytest

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.store.about import Pack, parse
from hep_flows.store.store import DamagedResultWarning, Store

RESULTS = {
    "columns": Columns(ak.Array({"pt": ak.Array([[1.5, 2.5], [], [3.5]])})),
    "scalar": Scalar(17),
    "histogram": HistogramResult(hist.Hist.new.Reg(20, 0, 1, name="x").Weight().fill(np.linspace(0, 1, 50))),
}
KEY = bytes(range(32))


@pytest.fixture(params=sorted(RESULTS))
def kind(request):
    return request.param


@pytest.fixture
def files(store, kind):
    """Give the paths of the object and of the sidecar of a stored result."""
    store.put(KEY, RESULTS[kind])
    return store.folder.object(KEY.hex()), store.folder.sidecar(KEY.hex())


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def assert_missing(store, kind):
    fresh = Store(store.folder.root)
    with pytest.warns(DamagedResultWarning, match=KEY.hex()):
        assert fresh.get(KEY) is None
    fresh.put(KEY, RESULTS[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Store(store.folder.root).get(KEY) is not None


def test_every_flipped_bit_of_the_object_is_found(store, files, kind):
    whole = content(files[0])
    for place in sorted({0, 3, 4, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1}):
        data = bytearray(whole)
        data[place] ^= 4
        write(files[0], data)
        with pytest.warns(DamagedResultWarning, match="checksum"):
            assert Store(store.folder.root).get(KEY) is None
    assert_missing(store, kind)


def test_every_flipped_bit_of_the_sidecar_is_found(store, files, kind):
    whole = content(files[1])
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        data = bytearray(whole)
        data[place] ^= 1
        write(files[1], data)
        with pytest.warns(DamagedResultWarning):
            assert Store(store.folder.root).get(KEY) is None, data
    assert_missing(store, kind)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("length", [0, 1, 0.5, -1])
def test_a_file_that_is_cut_short_is_found(store, files, kind, which, length):
    whole = content(files[which])
    write(files[which], whole[: int(length * len(whole)) if 0 < length < 1 else length])
    assert_missing(store, kind)


def test_a_lost_object_is_found(store, files, kind):
    os.unlink(files[0])
    assert KEY not in store
    assert_missing(store, kind)


def test_without_a_sidecar_nothing_was_committed(store, files):
    os.unlink(files[1])
    assert Store(store.folder.root).get(KEY) is None
    assert store.get(KEY) is None
    assert KEY not in store


def test_a_damaged_object_is_found_in_the_process_that_wrote_it(store, files, kind):
    data = bytearray(content(files[0]))
    data[len(data) // 2] ^= 1
    write(files[0], data)
    os.utime(files[0], (1, 1))
    with pytest.warns(DamagedResultWarning):
        assert store.get(KEY) is None


def test_the_files_of_another_key_are_refused(store, files, kind):
    other = b"\7" * 32
    store.put(other, Scalar(1))
    write(store.folder.object(other.hex()), content(files[0]))
    write(store.folder.sidecar(other.hex()), content(files[1]))
    with pytest.warns(DamagedResultWarning, match="another key"):
        assert Store(store.folder.root).get(other) is None


@pytest.mark.parametrize("kind", ["columns"])
def test_an_object_of_another_key_is_refused_even_with_a_fitting_sidecar(store, files, kind):
    other = b"\7" * 32
    right = parse(content(files[1]))
    forged = Pack.of(other.hex(), right.pieces, [replace(right.result(KEY.hex()), key=other.hex())])
    os.makedirs(store.folder.shelf(other.hex()))
    write(store.folder.object(other.hex()), content(files[0]))
    write(store.folder.sidecar(other.hex()), forged.written())
    with pytest.warns(DamagedResultWarning, match="holds the result of"):
        assert store.get(other) is None


@pytest.mark.parametrize("text", [b"[]", b"{}", b"null", b"1", b"\xff", b'{"format": "hf-store/1"}', b"[" * 100_000])
def test_sidecars_of_anything_else_are_refused(store, files, kind, text):
    write(files[1], text)
    assert KEY not in store
    assert_missing(store, kind)


def test_a_sidecar_with_other_members_is_refused(store, files, kind):
    read = json.loads(content(files[1]))
    write(files[1], json.dumps(read | {"more": 1}).encode())
    assert_missing(store, kind)


def test_a_result_that_is_replaced_while_it_is_read_is_no_damage(store, kind):
    store.put(KEY, RESULTS[kind])
    waiting = [store.folder.object(KEY.hex())]

    def replace_when_opened(event, arguments):
        if event == "open" and waiting and arguments[0] == waiting[0]:
            waiting.clear()
            store.put(KEY, Scalar("new"))

    sys.addaudithook(replace_when_opened)
    assert Store(store.folder.root).get(KEY) == Scalar("new")
    assert not waiting
