"""A full disk: an error that says where and how much, nothing left behind, older results as they were."""

import errno
import os

import awkward as ak
import numpy as np
import pytest

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import StoreError
from hep_flows.store.commit import full_disk, save_text
from hep_flows.store.store import Store


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_full_disk_is_an_error_that_says_where_and_how_much(small_disk, key):
    store = Store(small_disk / "cache")
    store.put(key("small"), Scalar(1))
    before = files(small_disk)
    noise = Columns(ak.Array(np.random.default_rng(1).integers(0, 2**62, 1_000_000)))
    with pytest.raises(StoreError, match="no room") as caught:
        store.put(key("big"), noise)
    assert str(small_disk) in caught.value.what
    assert "8.0 MB" in caught.value.why
    assert files(small_disk) == before
    assert Store(small_disk / "cache").get(key("small")) == Scalar(1)
    assert store.get(key("big")) is None
    store.put(key("next"), Scalar(2))
    assert store.get(key("next")) == Scalar(2)


def test_a_disk_that_fills_up_bit_by_bit_keeps_every_committed_result(small_disk, key):
    store = Store(small_disk / "cache", memory_bytes=0)
    part = np.random.default_rng(1).integers(0, 2**62, 20_000)
    committed = []

    def fill():
        for n in range(30):
            store.put(key(str(n)), Columns(ak.Array(part + n)))
            committed.append(n)

    with pytest.raises(StoreError, match="no room"):
        fill()
    assert len(committed) > 5
    for n in committed:
        assert ak.all(store.get(key(str(n))).array == part + n)
    assert len(files(small_disk)) == 2 * len(committed)


def wrapped(error):
    """Give what Arrow makes of an error in the middle of a file."""
    try:
        try:
            raise error
        except OSError:
            raise RuntimeError("file metadata is only available after writer close")  # noqa: B904  as Arrow does
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_the_cause_is_found_below_other_errors(tmp_path, code):
    found = full_disk(wrapped(OSError(code, "full")), str(tmp_path), 10**7)
    assert isinstance(found, StoreError)
    assert "10.0 MB" in found.why
    assert "MB are free" in found.why


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    assert full_disk(wrapped(OSError(errno.EIO, "broken")), str(tmp_path), 1) is None


@pytest.mark.parametrize("step", ["object written", "sidecar written", "both synced", "object renamed"])
def test_an_error_at_any_step_leaves_no_temporary_and_no_commit(store, key, step):
    def fail(name):
        if name == step:
            raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        store.put(key("a"), Scalar(1), step=fail)
    assert os.listdir(store.folder.temporaries) == []
    assert os.listdir(store.folder.locks) == []
    assert Store(store.folder.root).get(key("a")) is None
    store.put(key("a"), Scalar(2))
    assert store.get(key("a")) == Scalar(2)


@pytest.mark.parametrize("place", ["s3://bucket/plan.json", "root://server//plan.json", "file:///tmp/plan.json"])
def test_an_address_is_refused_and_makes_no_folder(tmp_path, work_in, place):
    work_in(tmp_path)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        save_text(place, "{}", "the plan")  # type: ignore[arg-type]  # as a user gives it
    assert "it is an address" in caught.value.why
    assert list(tmp_path.iterdir()) == []
