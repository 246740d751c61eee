"""Which engine runs a plan, which errors are tried again, and what the parts of a report add up to; nothing of Prefect is here."""

from __future__ import annotations

import os
import stat
import urllib.error

import pytest
from jet_files import fill

from hep_flows import nanoaod_table, run
from hep_flows.errors import OrchestrationError, SourceError, StoreError, TaskError
from hep_flows.execute.report import RunReport, TaskRow
from hep_flows.orchestrate.flow import Outcome
from hep_flows.orchestrate.run import Situation, asked_engine, chosen, configured_at, together
from hep_flows.orchestrate.server import Server, _note
from hep_flows.orchestrate.units import Unit
from hep_flows.retry import is_transient


@pytest.fixture(autouse=True)
def home(tmp_path, environment):
    """Give a home without a Prefect profile."""
    folder = tmp_path / "home"
    folder.mkdir()
    environment(HOME=folder)
    return folder


def situation(tmp_path, **parts):
    usual = {"asked": None, "can_store": True, "is_small": False, "has_runner": False, "folder": str(tmp_path / "prefect")}
    return Situation(**{**usual, **parts})


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({}, "embedded"),
        ({"is_small": True}, "inline"),
        ({"is_small": True, "has_runner": True}, "embedded"),
        ({"is_small": True, "asked": "embedded"}, "embedded"),
        ({"asked": "inline"}, "inline"),
        ({"asked": "configured"}, "configured"),
        ({"can_store": False}, "inline"),
        ({"can_store": False, "asked": "inline"}, "inline"),
    ],
)
def test_the_engine_where_nothing_is_configured(tmp_path, parts, kind):
    assert chosen(situation(tmp_path, **parts)).kind == kind


@pytest.mark.parametrize(
    "parts",
    [
        {"asked": "dask"},
        {"asked": "inline", "has_runner": True},
        {"asked": "embedded", "can_store": False},
        {"asked": "configured", "can_store": False},
        {"has_runner": True, "can_store": False},
    ],
)
def test_an_engine_that_cannot_be_used_is_an_error_that_says_what_to_do(tmp_path, parts):
    with pytest.raises(OrchestrationError) as error:
        chosen(situation(tmp_path, **parts))
    assert error.value.do


@pytest.mark.parametrize(("asked", "kind"), [(None, "configured"), ("embedded", "embedded"), ("inline", "inline")])
def test_the_users_own_prefect_is_used_where_no_engine_was_asked_for(tmp_path, environment, asked, kind):
    environment(PREFECT_API_URL="http://127.0.0.1:4200/api")
    engine = chosen(situation(tmp_path, asked=asked, is_small=True))
    assert engine.kind == kind
    if kind == "configured":
        assert engine.why == "PREFECT_API_URL is set"


def test_a_profile_with_a_server_counts_as_configured(home, tmp_path, environment):
    profiles = home / ".prefect" / "profiles.toml"
    profiles.parent.mkdir()
    text = '[profiles.grid]\nPREFECT_API_URL = "http://grid/api"\n\n[profiles.local]\nPREFECT_LOGGING_LEVEL = "INFO"\n'
    profiles.write_text(f'active = "grid"\n\n{text}')
    assert configured_at() == "the Prefect profile 'grid'"
    assert chosen(situation(tmp_path)).kind == "configured"
    profiles.write_text(f'active = "local"\n\n{text}')
    assert configured_at() == ""
    environment(PREFECT_PROFILE="grid")
    assert configured_at() == "the Prefect profile 'grid'"
    environment(PREFECT_HOME=tmp_path / "elsewhere")
    assert configured_at() == ""
    environment(PREFECT_PROFILES_PATH=profiles)
    assert configured_at() == "the Prefect profile 'grid'"


@pytest.mark.parametrize(
    "text", ["", "active = ", "active = 3", 'active = "x"\nprofiles = 3', 'active = "x"\n[profiles]\nx = 3', "\x00"]
)
def test_a_profile_that_cannot_be_read_counts_for_nothing(home, text):
    profiles = home / ".prefect" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text(text)
    assert configured_at() == ""


def test_a_server_that_runs_for_the_cache_folder_is_used(tmp_path, served, cache_folder):
    folder = str(cache_folder / "prefect")
    for asked in (None, "embedded"):
        engine = chosen(situation(tmp_path, folder=folder, asked=asked, is_small=True))
        assert (engine.kind, engine.url) == ("server", served)
    assert chosen(situation(tmp_path, folder=folder, asked="inline")).kind == "inline"


def test_a_note_of_a_server_that_is_gone_is_harmless(tmp_path):
    folder = tmp_path / "prefect"
    folder.mkdir()
    _note(str(folder), Server(2**22 + 1, 9))
    assert chosen(situation(tmp_path)).kind == "embedded"
    (folder / "server.json").write_text('{"pid": "x"}')
    assert chosen(situation(tmp_path)).kind == "embedded"


def test_a_note_that_names_another_machine_is_not_believed(tmp_path):
    folder = tmp_path / "prefect"
    folder.mkdir()
    (folder / "server.json").write_text('{"pid": 1, "port": "80@example.org"}')
    assert chosen(situation(tmp_path)).kind == "embedded"


def test_only_what_somebody_set_was_asked_for():
    assert asked_engine("embedded", {"engine": "default"}) is None
    assert asked_engine("embedded", {"engine": "argument"}) == "embedded"
    assert asked_engine("inline", {"engine": "environment variable HEP_FLOWS_ENGINE"}) == "inline"


def test_without_a_cache_work_is_done_inline(files, environment):
    environment(HEP_FLOWS_CACHE="off", HEP_FLOWS_DIRECT_BELOW="0")
    done = run(fill(nanoaod_table(files)), on_error="raise")
    assert (done.report.engine, done.report.engine_why) == ("inline", "there is no cache to hand results on through")
    with pytest.raises(OrchestrationError, match="through the cache"):
        run(fill(nanoaod_table(files)), engine="embedded")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_with_a_cache_that_is_read_only_work_is_done_inline(files, cache_folder, environment):
    environment(HEP_FLOWS_DIRECT_BELOW="0")
    cache_folder.mkdir(parents=True)
    cache_folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert run(fill(nanoaod_table(files))).report.engine == "inline"


def chained(error, cause):
    error.__cause__ = cause
    return error


class ClientResponseError(Exception):
    """As aiohttp has it."""

    def __init__(self, status):
        super().__init__(f"{status}")
        self.status = status


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError("late"), True),
        (OSError(5, "input/output error"), True),
        (FileNotFoundError("gone"), False),
        (PermissionError("not yours"), False),
        (OSError(28, "no space left"), False),
        (ValueError("a user's mistake"), False),
        (chained(SourceError("s"), ConnectionRefusedError("refused")), True),
        (chained(SourceError("s"), FileNotFoundError("gone")), False),
        (chained(SourceError("s"), ClientResponseError(503)), True),
        (chained(SourceError("s"), ClientResponseError(404)), False),
        (chained(SourceError("s"), chained(FileNotFoundError("gone"), ClientResponseError(503))), True),
        (chained(TaskError("a user's function failed"), TimeoutError("late")), False),
        (chained(TaskError("a user's function failed"), ConnectionError("lost")), False),
        (chained(StoreError("disk full"), OSError(5, "input/output error")), False),
        (urllib.error.HTTPError("http://x", 503, "busy", None, None), True),
        (urllib.error.HTTPError("http://x", 404, "gone", None, None), False),
        (urllib.error.HTTPError("http://x", 429, "slow down", None, None), True),
        (type("Endpoint", (TaskError,), {"transient": True})("the back end was busy"), True),
    ],
    ids=lambda e: repr(e) if isinstance(e, BaseException) else "",
)
def test_only_what_may_pass_is_tried_again(error, may_pass):
    assert is_transient(error) is may_pass


def test_errors_that_hold_each_other_are_looked_at_once():
    one, two = ConnectionAbortedError(), SourceError("s")
    one.__context__, two.__cause__ = two, one
    assert is_transient(two)
    circle = SourceError("s")
    circle.__context__ = circle
    assert not is_transient(circle)


def row(key, state, **parts):
    return TaskRow(key, "awkward", "x", "d", state, **parts)


def report(*rows):
    return RunReport(1.0, 10, 1, 1, (), {}, rows)


def outcome(*rows, state="Completed", events=0):
    reference = {"rows": [r.as_json() for r in rows], "objects": [], "events": events, "partitions": 1, "stages": [], "merging": {}}
    return Outcome(Unit(0, "task", tuple([bytes.fromhex(r.key) for r in rows])), state, reference)


A = "aa" * 32


@pytest.mark.parametrize(
    ("delivered", "made", "state", "counts"),
    [
        (
            row(A, "cached", batches=3, batches_cached=3),
            [row(A, "computed", batches=3, batches_computed=3, attempts=1)],
            "computed",
            (3, 0),
        ),
        (
            row(A, "cached", batches=3, batches_cached=3),
            [row(A, "computed", batches=3, batches_computed=1, batches_cached=2)],
            "computed",
            (1, 2),
        ),
        (
            row(A, "not run", reason="what is made from it is stored"),
            [row(A, "computed", batches=2, batches_computed=2)],
            "computed",
            (2, 0),
        ),
        (
            row(A, "not run", reason="what is made from it is stored"),
            [row(A, "cached", batches=2, batches_cached=2)],
            "cached",
            (0, 2),
        ),
        (row(A, "failed", reason="it broke"), [row(A, "failed", reason="it broke", attempts=4)], "failed", (0, 0)),
        (row(A, "not run", reason="it takes a result that is missing"), [], "not run", (0, 0)),
        (
            row(A, "cached", batches_cached=1),
            [row(A, "computed", batches=2, batches_computed=2), row(A, "cached", batches=2, batches_cached=2)],
            "computed",
            (2, 0),
        ),
    ],
)
def test_rows_of_units_and_of_the_run_that_delivers_are_one_row(delivered, made, state, counts):
    (whole,) = together(report(delivered), [outcome(m) for m in made]).tasks
    assert whole.state == state
    assert (whole.batches_computed, whole.batches_cached) == counts
    assert whole.attempts == max([m.attempts for m in made], default=0)
    assert whole.reason.count("it broke") == (state == "failed")


def test_what_a_cached_unit_did_once_is_not_counted_again():
    old = row(A, "computed", batches=2, batches_computed=2, seconds=9.0, attempts=3, rows=7)
    whole = together(report(row(A, "not run", reason="what is made from it is stored")), [outcome(old, state="Cached", events=500)])
    assert whole.events == 10
    (one,) = whole.tasks
    assert (one.state, one.batches_computed, one.batches_cached, one.seconds, one.attempts, one.rows) == ("cached", 0, 2, 0.0, 0, 7)
