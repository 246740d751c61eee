"""Runs with Prefect, some of which fail: the numbers are right, and no token and no key is printed, logged or written anywhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from grid.servers import TOKEN, analysis, check, run_in_time
from grid.store_files import DATASET
from hep_flows import plan
from servicex_sim.faults import ALWAYS, FileFault, HttpFault


def test_no_token_and_no_key_of_the_object_store_is_told_to_anybody(
    grid, served, private_server, cache_folder, tmp_path, capfd, caplog
):
    caplog.set_level(logging.DEBUG)
    grid.sim.fail(
        FileFault("fails", "*part2*", times=ALWAYS),
        FileFault("missing", "*part3*", times=ALWAYS),
        HttpFault("GET", "/servicex/transformation/*", 401),
        HttpFault("GET", "/servicex/transformation/*", 503, after=1),
    )
    grid.set_up(attempts=2)
    failed = run_in_time(analysis(grid.table()), engine="embedded", report=tmp_path / "failed.json")
    assert {r.state for r in failed.report.tasks} <= {"failed", "not run"}
    assert failed.report.engine != "inline"
    for row in [r for r in failed.report.tasks if r.plugin == "servicex"]:
        assert row.state == "failed"
        assert all([grid.store.names[i] in row.reason for i in (2, 3)])
    before = len(grid.sim.submits())
    grid.sim.faults.clear()
    grid.set_up()
    done = run_in_time(analysis(grid.table()), engine="embedded", report=tmp_path / "done.json")
    check(done.values, grid.store)
    assert grid.files_asked_for(since=before) == grid.store.names[2:4]
    check(run_in_time(analysis(grid.table(DATASET)), engine="embedded").values, grid.store)
    assert grid.asked_for()[-1] == [DATASET]
    shown = f"{failed.report} {done.report} {json.dumps(failed.report.as_json())} {plan(analysis(grid.table()))}"
    spoken = "".join(capfd.readouterr()) + caplog.text + shown
    secrets = [TOKEN, *grid.sim.tokens.issued(), *grid.sim.object_keys]
    assert len(secrets) > 3
    assert not [s for s in secrets if s in spoken]
    folders = (cache_folder, Path(private_server.folder), tmp_path)
    files = [f for folder in folders for f in folder.rglob("*") if f.is_file() and f.name != "servicex.yaml"]
    assert any(f.suffix == ".db" for f in files), files
    assert len(files) > 30
    for file in files:
        content = file.read_bytes()
        assert not [s for s in secrets if s.encode() in content], file


def test_an_error_of_a_token_that_is_not_accepted_names_the_file_and_not_the_token(grid):
    wrong = "token-that-is-wrong"
    file = grid.folder / "servicex.yaml"
    file.write_text(file.read_text().replace(TOKEN, wrong))
    done = run_in_time(analysis(grid.table()))
    for row in done.report.tasks:
        assert row.state == "failed"
        assert "is not accepted: get a new one" in row.reason
        assert str(file) in row.reason
        assert wrong not in row.reason
    assert not grid.sim.submits()


def test_a_missing_token_is_an_error_that_names_the_file(grid):
    file = grid.folder / "servicex.yaml"
    file.write_text(file.read_text().replace(TOKEN, "''"))
    done = run_in_time(analysis(grid.table(DATASET)))
    assert f"there is no token in {file}" in done.report.tasks[0].reason


def test_access_tokens_that_end_in_the_middle_of_a_run_are_renewed(grid):
    grid.sim.tokens.lifetime_s = 0.5
    grid.sim.fail(FileFault("slow", "*part4*", seconds=1.5))
    check(run_in_time(analysis(grid.table())).values, grid.store)
    assert len(grid.sim.calls("POST", "/token/refresh")) > 1
    assert len(grid.sim.submits()) == 1
