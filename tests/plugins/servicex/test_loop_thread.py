"""The loop that everything runs on: work on it can be ended at any moment, and is never lost."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys

import pytest

from hep_flows.plugins.servicex.client import loop_thread


@pytest.mark.parametrize("begun", [True, False], ids=["under way", "not begun"])
def test_work_that_is_ended_cleans_up_and_says_so(begun):
    said: queue.SimpleQueue = queue.SimpleQueue()

    async def work():
        said.put("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            said.put("clean")

    running = loop_thread().start(work(), said.put)
    if begun:
        assert said.get(timeout=60) == "begun"
    assert running.stop(60)
    left = [said.get(timeout=60)]
    while not isinstance(left[-1], asyncio.CancelledError):
        left.append(said.get(timeout=60))
    assert ("begun" in left) <= ("clean" in left)
    assert running.stop(0)


def test_an_error_of_the_work_is_handed_on():
    said: queue.SimpleQueue = queue.SimpleQueue()

    async def work():
        raise ZeroDivisionError

    loop_thread().start(work(), said.put)
    assert isinstance(said.get(timeout=60), ZeroDivisionError)


def test_a_fork_gets_a_loop_of_its_own():
    code = """
import os, queue, sys
from hep_flows.plugins.servicex.client import loop_thread
async def work(): pass
def ends():
    inbox = queue.SimpleQueue()
    loop_thread().start(work(), inbox.put)
    return inbox.get(timeout=60) is None
assert ends()
child = os.fork()
if child == 0:
    os._exit(0 if ends() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300)
