"""Ctrl-C ends a run, whatever the main thread does when it comes."""

from __future__ import annotations

import signal
import threading

import pytest

from execute.event_files import write
from hep_flows import nanoaod_table, run, user_func

CALLS: list[float] = []


@user_func
def interrupted(x: float) -> float:
    """Take every exception for a no, as some imports do."""
    CALLS.append(0.0)
    try:
        if len(CALLS) == 1:
            signal.raise_signal(signal.SIGINT)
    except BaseException:  # noqa: BLE001 - it stands for code that loses the interrupt
        CALLS.append(1.0)
    return x


@pytest.fixture
def events(tmp_path):
    CALLS.clear()
    return nanoaod_table([write(tmp_path / f"part_{i}.root", i) for i in range(20)])


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_that_gets_lost_ends_the_run_all_the_same(events, workers):
    with pytest.raises(KeyboardInterrupt):
        run(interrupted(events.MET.pt), engine="inline", workers=workers)
    assert len(CALLS) < 20 * 40  # there are more events


def test_the_handler_of_the_user_is_called_and_is_there_afterwards(events):
    told = []
    before = signal.signal(signal.SIGINT, lambda *_: told.append(1))
    try:
        with pytest.raises(KeyboardInterrupt):
            run(interrupted(events.MET.pt), engine="inline", workers=1)
        assert told == [1]
        assert signal.getsignal(signal.SIGINT)(0, None) is None
        assert told == [1, 1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_another_thread_leaves_the_handler_alone(events):
    before, found = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: found.append(run(events.MET.pt.Sum(), engine="inline").values))
    thread.start()
    thread.join()
    assert len(found) == 1
    assert signal.getsignal(signal.SIGINT) is before
