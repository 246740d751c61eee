"""A writer that is killed at any moment leaves the key as it was, or missing, and nothing that stays."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hep_flows.contract import Scalar
from hep_flows.store.store import Store
from hep_flows.store.upkeep import verify

KEY = bytes(range(32))
GROUP = [bytes([n]) * 32 for n in range(4)]
WRITER = Path(__file__).with_name("crash_writer.py")
COMMIT = "sidecar renamed"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """Give the folder of the crashed stores, the steps after which their writers were killed, and those of a group."""
    root = tmp_path_factory.mktemp("crashed")
    done = subprocess.run([sys.executable, WRITER, root], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root, *json.loads(done.stdout)


def test_a_put_has_these_steps(crashed):
    assert crashed[1] == [
        "object written", "sidecar written", "both synced", "old sidecar removed", "object renamed", "sidecar renamed", "folder synced",
    ]  # fmt: skip


def test_the_key_is_there_after_the_commit_and_not_before(crashed):
    root, steps, _ = crashed
    for i, step in enumerate(steps):
        if step == "old sidecar removed":
            continue
        expected = Scalar(2) if i >= steps.index(COMMIT) else None
        assert Store(root / f"empty {i}").get(KEY) == expected, step


def test_the_old_result_stays_or_the_key_is_missing_and_never_in_between(crashed):
    root, steps, _ = crashed
    for i, step in enumerate(steps):
        old = Scalar(1) if i < steps.index("old sidecar removed") else None
        expected = Scalar(2) if i >= steps.index(COMMIT) else old
        assert Store(root / f"filled {i}").get(KEY) == expected, step


def test_nothing_is_left_after_verify_and_the_key_can_be_put(crashed, tmp_path):
    root = shutil.copytree(crashed[0], tmp_path / "copy")
    steps = crashed[1]
    for i, step in enumerate(steps):
        for start in ("empty", "filled"):
            folder = root / f"{start} {i}"
            if not folder.is_dir():
                continue
            store = Store(folder)
            committed = store.get(KEY)
            report = verify(store, decode=True)
            assert report.is_sound, step
            assert store.get(KEY) == committed
            files = sorted(p.suffix for p in folder.rglob("*") if p.is_file())
            assert files == ([".json", ".parquet"] if committed else []), step
            store.put(KEY, Scalar(3))
            assert Store(folder).get(KEY) == Scalar(3)


def test_of_a_group_each_key_is_as_it_was_or_missing_or_new(crashed, tmp_path):
    root = shutil.copytree(crashed[0], tmp_path / "copy")
    told, steps = crashed[2], list(dict.fromkeys(crashed[2]))
    assert [s for s in told if "synced" in s] == ["both synced", "folder synced"]
    for i, step in enumerate(steps):
        store, new = Store(root / f"group {i}"), 0
        for number, key in enumerate(GROUP):
            old, found = Scalar(1) if number in (1, 2) else None, store.get(key)
            is_new = found is not None and found != Scalar(1)
            assert is_new or found == old, step
            new += is_new
        assert new == {"keys linked": 2, "folder synced": 4}.get(step, 0), step
        assert verify(store, decode=True).is_sound, step
        assert not list((root / f"group {i}" / "unfinished").glob("*"))
        assert len(list((root / f"group {i}").rglob("*.parquet"))) == 2, step
