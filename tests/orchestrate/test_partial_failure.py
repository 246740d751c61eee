"""Where one file of a dataset fails, what was read of the others is stored, and is not read again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from jet_files import bits, fill, inline, new_process

from hep_flows import nanoaod_table, run
from hep_flows.execute.report import Missing
from hep_flows.sources.stored import SETTLED_S


def asked(files):
    events = nanoaod_table(files)
    return {"filled": fill(events), "total": events.MET.pt.Sum()}


def names(opened):
    """Give the names of the files of events."""
    return {Path(p).name for p in opened if p.endswith(".root")}


@pytest.mark.parametrize("engine", ["inline", "embedded"])
def test_a_rerun_opens_the_file_that_failed_and_no_other(files, served, engine, opened):
    exprs = asked(files)
    want = bits(inline(exprs))
    content = Path(files[1]).read_bytes()
    Path(files[1]).write_bytes(content[: len(content) // 2])
    first = run(exprs, engine=engine)
    assert all(isinstance(v, Missing) for v in first.values.values()), "there are no partial values"
    assert next(r.state for r in first.report.tasks if r.plugin == "hist") in ("failed", "not run")
    Path(files[1]).write_bytes(content)
    new_process()
    time.sleep(SETTLED_S + 0.1)  # what is in a file that was just written has to be looked at
    exprs = asked(files)
    opened.clear()
    again = run(exprs, engine=engine, on_error="raise")
    assert bits(again.values) == want
    read = [r for r in again.report.tasks if r.plugin == "awkward"]
    assert [(r.batches_computed, r.attempts) for r in read] == [(1, 1)] * len(read)
    assert names(opened) == {"part_1.root"}
    run(exprs, engine=engine, refresh=True)
    assert names(opened) == {"part_0.root", "part_1.root", "part_2.root"}
