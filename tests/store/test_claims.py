"""One writer per key: processes and threads wait for each other, and a dead one holds nobody up."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hep_flows.contract import Scalar
from hep_flows.errors import StoreError
from hep_flows.store.commit import claimed, claimed_if_free
from hep_flows.store.store import Store

COMPUTE = """
import sys, time
from pathlib import Path
from hep_flows.contract import Scalar
from hep_flows.store.store import Store
root, me = sys.argv[1:]
store = Store(root)
Path(root, f"ready{me}").touch()
while not Path(root, "go").exists():
    time.sleep(0.001)
for n in range(10):
    key = n.to_bytes(32, "big")
    if store.get(key) is None:
        with store.claim(key):
            if store.get(key) is None:
                with open(Path(root, "computed"), "a") as log:
                    log.write(f"{n}\\n")
                time.sleep(0.01)
                store.put(key, Scalar(n))
    assert store.get(key) == Scalar(n)
"""
HOLD = """
import sys, time
from hep_flows.store.store import Store
with Store(sys.argv[1]).claim(bytes(32)):
    print("held", flush=True)
    time.sleep(3600)
"""


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_compute_each_key_once(tmp_path, processes):
    started = [subprocess.Popen([sys.executable, "-c", COMPUTE, tmp_path, str(i)]) for i in range(processes)]
    while not all((tmp_path / f"ready{i}").exists() for i in range(processes)):
        assert all(p.poll() is None for p in started)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [p.wait(300) for p in started] == [0] * processes
    assert sorted(map(int, (tmp_path / "computed").read_text().split())) == list(range(10))
    assert os.listdir(tmp_path / "locks") == []
    assert os.listdir(tmp_path / "unfinished") == []


def test_threads_compute_each_key_once(store):
    computed = []

    def work():
        for n in range(20):
            key = n.to_bytes(32, "big")
            with store.claim(key):
                if store.get(key) is None:
                    computed.append(n)
                    store.put(key, Scalar(n))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(computed) == list(range(20))


def test_the_lock_of_a_killed_process_is_free(store, tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, store.folder.root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=r"within 0\.05 s"), store.claim(bytes(32), timeout_s=0.05):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with store.claim(bytes(32), timeout_s=300):
        store.put(bytes(32), Scalar(1))
    assert os.listdir(store.folder.locks) == []


def test_waiting_can_be_cancelled(tmp_path):
    path = str(tmp_path / "a")
    with claimed(path), pytest.raises(StoreError, match="cancelled"), claimed(path, cancelled=lambda: True):
        pass


def test_who_waited_is_told_so(store):
    told = []
    inside, waiting = threading.Event(), threading.Event()

    def second():
        inside.wait()
        with store.claim(bytes(32), cancelled=waiting.set) as waited:  # asked while it waits
            told.append(waited)

    thread = threading.Thread(target=second)
    thread.start()
    with store.claim(bytes(32)) as waited:
        told.append(waited)
        inside.set()
        assert waiting.wait(60)
    thread.join()
    assert told == [False, True]


def test_the_holder_can_claim_and_put_again(store):
    with store.claim(bytes(32)), store.claim(bytes(32)):
        store.put(bytes(32), Scalar(1))
        with claimed_if_free(store.folder.lock(bytes(32).hex())) as is_free:
            assert not is_free
    assert os.listdir(store.folder.locks) == []


def test_other_keys_do_not_wait(store):
    with store.claim(bytes(32)), store.claim(b"\1" * 32, timeout_s=0):
        pass


def test_a_claim_ends_with_an_error_too(store):
    with pytest.raises(ZeroDivisionError), store.claim(bytes(32)):
        _ = 1 / 0
    with store.claim(bytes(32), timeout_s=0):
        pass


def test_a_folder_that_is_read_only_needs_no_claim(tmp_path, of_somebody_else):
    (tmp_path / "team").mkdir()
    of_somebody_else()
    with Store(tmp_path / "team").claim(bytes(32)):
        pass
    assert list((tmp_path / "team").iterdir()) == []


def test_a_file_system_without_locks_is_an_error_with_advice(store, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="has no locks") as caught:
        store.put(bytes(32), Scalar(1))
    assert "another file system" in caught.value.do


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Store(tmp_path / "file" / "cache").put(bytes(32), Scalar(1))
