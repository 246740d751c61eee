"""Run the analysis of these tests in a process of its own, which can be interrupted and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TESTS = str(Path(__file__).parents[1])
_CODE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from grid.servers import analysis
from hep_flows import run, servicex_table
names, like, engine, tell = json.loads(sys.argv[2])
result = run(analysis(servicex_table(names, kind="nanoaod", like=like)), engine=engine, workers=1)
values = result.checked()
print("DONE", json.dumps([values["n"], len(values["met"])]), flush=True)
"""


def start_child(names: Any, like: str, engine: str = "inline", **options: Any) -> subprocess.Popen[str]:
    """Start the analysis; it inherits the cache folder and the current folder, where ``servicex.yaml`` is."""
    told = json.dumps([names, like, engine, ""])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(_TESTS).parent), _TESTS])}
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, _TESTS, told],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def answer(child: subprocess.Popen[str], seconds: float = 300) -> list[Any]:
    """Wait for the end, and give what it printed: the number of good jets, and of events."""
    text, _ = child.communicate(timeout=seconds)
    assert child.returncode == 0, text
    (line,) = [t for t in text.splitlines() if t.startswith("DONE ")]
    return json.loads(line.removeprefix("DONE "))


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
