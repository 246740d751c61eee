"""What a remote endpoint makes of a server that answers wrongly, late or not at all, that wants tokens, and of a caller who goes away."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import awkward as ak
import pytest

from hep_flows.plugins.servicex.addresses import Address
from hep_flows.plugins.servicex.query import EndpointError, Query, Watch
from hep_flows.plugins.servicex.remote import RemoteServiceX
from plugins.servicex.remote_runs import DATASET, HANGS_S, HURRY, QUERY, TOKEN, collect, object_of
from servicex_sim.faults import ALWAYS, FileFault, HttpFault, RequestFault

SUBMIT = ("POST", "/servicex/transformation")
STATUS = ("GET", "/servicex/transformation/*")
RESULTS = ("GET", "/servicex/transformation/*/results")


def _wait_until(is_so) -> None:
    end = time.monotonic() + HANGS_S
    while not is_so():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def test_a_submission_is_tried_again(sim, ask, names, right):
    bad = [500, 503, 429, 0]
    sim.fail(*[HttpFault(*SUBMIT, status) for status in bad])
    right(ask(sim, names[:2], attempts=5), names[:2])
    assert [s for _, s in sim.calls("POST", "/servicex/transformation")] == [*bad, 200]


def test_a_server_that_never_takes_a_submission_ends_the_query(sim, ask, names):
    sim.fail(HttpFault(*SUBMIT, 503, times=ALWAYS))
    came = ask(sim, names)
    assert came.refused.transient
    assert sim.url in came.refused.text
    assert "503" in came.refused.text
    assert len(sim.calls("POST", "/servicex/transformation")) == 3


@pytest.mark.parametrize(("status", "calls"), [(400, 1), (403, 2)])
def test_a_submission_that_is_refused_is_not_tried_again(sim, ask, names, status, calls):
    sim.fail(HttpFault(*SUBMIT, status, times=ALWAYS))
    came = ask(sim, names[:1])
    assert not came.refused.transient
    assert len(sim.calls("POST", "/servicex/transformation")) == calls  # after 403 the access token is renewed once


def test_a_query_that_the_code_generator_refuses_ends_at_once(sim, ask, names):
    came = ask(sim, names, query=Query("(call Nonsense", "uproot", ("pt",)))
    assert "Failed to generate translation code" in came.refused.text
    assert not came.refused.transient
    assert len(sim.calls("POST", "/servicex/transformation")) == 1


def test_a_server_without_the_code_generator_says_which_it_has(sim, ask, names):
    came = ask(sim, names, query=Query("whatever", "xaod", ("pt",)))
    assert "no code generator for xaod; it has: uproot" in came.refused.text
    assert not sim.submits()


@pytest.mark.parametrize("fault", [HttpFault(*STATUS, 503, times=2, retry_after_s=1), HttpFault(*STATUS, 500)])
def test_statuses_that_fail_are_asked_for_again(sim, ask, names, right, fault):
    sim.fail(fault)
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 1


@pytest.mark.parametrize("fault", [HttpFault(*RESULTS, 503, retry_after_s=1), HttpFault(*RESULTS, 500, times=2)])
def test_results_that_fail_are_asked_for_again(sim, ask, names, right, fault):
    sim.fail(fault)
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 1


def test_an_object_store_that_fails_for_a_moment_is_asked_again(sim, ask, names, right):
    sim.fail(HttpFault("GET", "/*-*-*-*-*/*.parquet", 503))
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 1


def test_an_object_store_that_does_not_answer_does_not_hold_the_query_up(sim, ask, names, right, clock):
    sim.hold("GET", f"*{object_of(names[0])}", times=ALWAYS)
    done = []

    def nothing_more_is_asked():
        before = len(sim.calls())
        time.sleep(1)
        return bool(done) and sim.came.is_set() and len(sim.calls()) == before

    watch = Watch(progress=lambda *counts: done.append(counts), tried=lambda _: sim.go.set())
    with clock.skips(61, when=nothing_more_is_asked):
        right(ask(sim, names[:2], watch=watch, stall_s=60), names[:2])
    assert [json.loads(c.body)["file-list"] for c in sim.submits()] == [names[:2], names[:1]]


def test_an_access_token_that_ends_in_the_middle_is_renewed(sim, endpoint, names, scratch):
    sim.fail(FileFault("held", names[1]))
    came = []
    for item in endpoint(sim).run(QUERY, names[:2], str(scratch), Watch()):
        came.append(item.file)
        sim.tokens.revoke()
        sim.let_go()
    assert came == names[:2]
    assert len(sim.submits()) == 1
    assert len(sim.calls("POST", "/token/refresh")) >= 2


def test_a_submission_with_an_old_access_token_gets_a_new_one(sim, ask, names, right):
    sim.fail(HttpFault(*SUBMIT, 401))
    right(ask(sim, names[:1]), names[:1])
    assert len(sim.calls("POST", "/token/refresh")) == 2


def test_an_expired_token_is_an_error_that_says_what_to_do(sim, ask, names, tmp_path):
    sim.tokens.refreshes = False
    came = ask(sim, names)
    assert not came.refused.transient
    assert f"the token in {tmp_path / 'simulator.yaml'} is not accepted: get a new one from {sim.url}" in came.refused.text
    assert TOKEN not in came.refused.text
    assert not sim.submits()


def test_a_missing_token_is_an_error_that_says_what_to_do(sim, names, scratch):
    came = collect(RemoteServiceX(Address("bare", sim.url, "", "servicex.yaml"), HURRY), names, scratch)
    assert "there is no token in servicex.yaml: get one" in came.refused.text
    assert not came.refused.transient


def test_the_token_file_of_the_environment_is_used(sim, names, scratch, right, tmp_path, environment):
    file = tmp_path / "token"
    file.write_text(sim.tokens.issue(f"Bearer {TOKEN}"))
    environment(BEARER_TOKEN_FILE=file)
    right(collect(RemoteServiceX(Address("bare", sim.url), HURRY), names[:1], scratch), names[:1])


def test_a_token_file_that_holds_no_token_is_not_shown(sim, names, scratch, tmp_path, environment):
    file = tmp_path / "token"
    file.write_text("a-secret-that-is-no-token")
    environment(BEARER_TOKEN_FILE=file)
    came = collect(RemoteServiceX(Address("bare", sim.url), HURRY), names[:1], scratch)
    assert "is no JSON web token" in came.refused.text
    assert "a-secret" not in "".join(traceback.format_exception(came.refused))


def test_a_server_that_is_not_there_ends_the_query(start, endpoint, names, scratch):
    gone = start()
    one = endpoint(gone, attempts=2)
    gone.stop()
    came = collect(one, names, scratch)
    assert came.refused.transient
    assert gone.url in came.refused.text


def test_a_server_that_takes_too_long_is_asked_again(sim, ask, names, right, clock):
    sim.hold("GET", "/servicex")
    with clock.skips(HURRY.answer_s, when=sim.came.is_set):
        right(ask(sim, names[:1]), names[:1])
    assert not sim.go.is_set()


def test_another_server_takes_over_only_when_told(start, endpoint, names, right, scratch):
    gone, other = start(), start()
    first, second = endpoint(gone, attempts=1), endpoint(other, "other")
    gone.stop()
    assert collect(first, names, scratch).refused is not None
    assert not other.calls()
    right(collect(RemoteServiceX(first.address, first.settings, (second.address,)), names, scratch), names)


def test_another_server_gets_what_is_missing_when_the_first_breaks_down(start, endpoint, names, scratch):
    first, other = start(), start()
    first.fail(*[FileFault("held", n) for n in names[2:]])
    one = endpoint(first, attempts=1)
    one = RemoteServiceX(one.address, one.settings, (endpoint(other, "other").address,))
    came = []
    for item in one.run(QUERY, names, str(scratch), Watch()):
        came.append(item.file)
        if len(came) == 2:
            first.stop()
    assert sorted(came) == names
    assert json.loads(other.submits()[0].body)["file-list"] == names[2:]


def test_a_server_that_lets_nobody_in_is_left_for_the_next(start, endpoint, names, right, scratch):
    closed, other = start(), start()
    closed.tokens.refreshes = False
    one = RemoteServiceX(endpoint(closed).address, HURRY, (endpoint(other, "other").address,))
    right(collect(one, names[:2], scratch), names[:2])


def test_a_deadline_ends_everything_and_says_what_is_missing(sim, ask, names, right, clock):
    sim.fail(FileFault("held", names[1]))
    came = ask(sim, names[:2], watch=Watch(progress=lambda *_: clock.skip(600)), deadline_s=600.0)
    right(came, names[:1])
    assert f"no result within 600 s: 1 of 2 missing, the first is {names[1]}" in came.refused.text
    assert came.refused.transient
    assert sim.cancelled() == tuple(sim.statuses())


def test_a_caller_who_cancels_ends_every_request_at_the_server(sim, endpoint, names, scratch):
    sim.fail(RequestFault("hangs", times=ALWAYS))
    items = endpoint(sim, chunk_files=2).run(QUERY, names, str(scratch), Watch(cancelled=lambda: len(sim.submits()) == 3))
    with pytest.raises(EndpointError, match="cancelled"):
        list(items)
    assert len(sim.statuses()) == 3
    # The caller is let go after a while; where the machine is busy, the last request is cancelled a moment later.
    _wait_until(lambda: set(sim.cancelled()) == set(sim.statuses()))


def test_a_caller_who_goes_away_ends_the_request_at_the_server(sim, endpoint, names, scratch):
    sim.fail(FileFault("held", names[1]))
    items = endpoint(sim).run(QUERY, names[:2], str(scratch), Watch())
    assert next(items).file == names[0]
    items.close()
    assert sim.cancelled() == tuple(sim.statuses())


def test_a_submission_that_is_under_way_when_the_caller_cancels_is_cancelled_too(sim, endpoint, names, scratch):
    sim.hold(*SUBMIT)

    def cancelled():
        if sim.came.is_set():
            threading.Timer(0.3, sim.go.set).start()
        return sim.came.is_set()

    items = endpoint(sim).run(QUERY, names, str(scratch), Watch(cancelled=cancelled))
    with pytest.raises(EndpointError, match="cancelled"):
        list(items)
    assert sim.cancelled() == tuple(sim.statuses())
    assert len(sim.statuses()) == 1


def test_no_secret_is_in_anything_that_is_said(start, science, endpoint, names, scratch, caplog, capfd):
    caplog.set_level(logging.DEBUG)

    def talkative(path):
        raise ValueError(f"cannot open {path} with {sim.object_keys} and {TOKEN}")

    sim = start(science={**science, "talkative": lambda _selection: talkative})
    talks = collect(endpoint(sim, attempts=1, code_generators={"uproot": "talkative"}), names[:1], scratch)
    assert "cannot open" in talks.errors[names[0]].text
    sim.fail(HttpFault(*STATUS, 500, times=3, quotes=True))
    quotes = collect(endpoint(sim, attempts=1), names[:1], scratch)
    assert "told to fail for Bearer ***" in quotes.refused.text
    sim.fail(FileFault("fails", names[0], times=ALWAYS), FileFault("missing", names[1], times=ALWAYS), HttpFault(*SUBMIT, 401))
    cases = [
        talks,
        quotes,
        collect(endpoint(sim, attempts=1), names[:3], scratch),
        collect(endpoint(sim, attempts=1), [DATASET, "rucio://no:thing"], scratch),
    ]
    sim.fail(HttpFault(*SUBMIT, 500, times=ALWAYS))
    cases.append(collect(endpoint(sim), names[:1], scratch))
    sim.faults.clear()
    issued = sim.tokens.issued()
    sim.tokens.revoke()
    sim.tokens.refreshes = False
    cases.append(collect(endpoint(sim), names[:1], scratch))
    errors = [e for c in cases for e in (*c.errors.values(), *([c.refused] if c.refused else []))]
    assert len(errors) >= 7
    shown = repr(endpoint(sim)) + "".join([f"{e!r}{''.join(traceback.format_exception(e))}" for e in errors])
    shown += "".join([f"{e.__context__!r}{e.__cause__!r}" for e in errors])
    printed = capfd.readouterr()
    everything = shown + caplog.text + printed.out + printed.err
    key, secret = sim.object_keys
    assert issued
    assert "/servicex/transformation" in caplog.text
    assert [s for s in (TOKEN, secret, *issued) if s in everything] == []
    # The library of the object store shows the key, which is half a secret, where it is told to show everything.
    quiet = [r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG]
    assert key not in shown + printed.out + printed.err + "".join(quiet)


KILLED = """
import shutil, sys
from pathlib import Path
from hep_flows.plugins.servicex.addresses import configured_endpoints
from hep_flows.plugins.servicex.query import Watch
from hep_flows.plugins.servicex.remote import RemoteServiceX
from plugins.servicex.remote_runs import HURRY, QUERY
config, store, scratch, *names = sys.argv[1:]
missing = [n for n in names if not Path(store, n.rpartition("/")[2] + ".parquet").exists()]
for item in RemoteServiceX(configured_endpoints(config)[0], HURRY).run(QUERY, missing, scratch, Watch()):
    shutil.move(item.path, Path(store, item.file.rpartition("/")[2] + ".parquet"))
print("done")
"""


def test_after_a_kill_only_what_had_not_come_is_asked_for_again(sim, endpoint, names, scratch, tmp_path, jets):
    store = tmp_path / "store"
    store.mkdir()
    config = endpoint(sim).address.config_file
    command = [sys.executable, "-c", KILLED, config, str(store), str(scratch), *names]
    tests = os.pathsep.join([str(p) for p in sys.path if p.endswith("tests")] + [os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": tests}
    sim.fail(*[FileFault("held", n) for n in names[3:]])
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: first.poll() is not None or len(list(store.iterdir())) == 3)
    assert first.poll() is None, first.communicate()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    sim.let_go()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=HANGS_S)
    assert second.stdout == "done\n", second.stderr
    assert [json.loads(c.body)["file-list"] for c in sim.submits()] == [names, names[3:]]
    for name in names:
        assert ak.array_equal(ak.from_parquet(store / f"{name.rpartition('/')[2]}.parquet")["pt"], jets[name][1])
