"""Helper modules of this folder are imported by name; a table of the mutations is printed when it is asked for."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import write_file
from processes import finished, start


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with eight files."""
    folder = tmp_path_factory.mktemp("files")
    for i in range(8):
        write_file(folder / f"part_{i}.root", i)
    return folder


@pytest.fixture(scope="session")
def undisturbed(files, tmp_path_factory):
    """The values of a run that nobody disturbed, how many results it computed, and how long it took after its start."""
    process = start(files, tmp_path_factory.mktemp("undisturbed") / "cache")
    process.stdout.readline()
    begin = time.monotonic()
    values, (computed, _) = finished(process)
    return values, computed, time.monotonic() - begin


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, and how to make it read-only."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def pytest_terminal_summary(terminalreporter):
    """Print what every mutation made necessary."""
    if not os.environ.get("HEP_FLOWS_TORTURE_TABLE"):
        return
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    rows = [dict(r.user_properties) for r in reports if r.when == "call" and r.user_properties]
    if not rows:
        return
    terminalreporter.write_line("")
    terminalreporter.write_line(f"{'change':46s} {'stale':>5s} {'needless':>8s}  computed again")
    for row in rows:
        terminalreporter.write_line(f"{row['change']:46s} {row['stale']:5d} {row['needless']:8d}  {row['computed'] or '-'}")
    stale, needless = sum(r["stale"] for r in rows), sum(r["needless"] for r in rows)
    terminalreporter.write_line(f"{len(rows)} changes: {stale} stale, {needless} needless")
