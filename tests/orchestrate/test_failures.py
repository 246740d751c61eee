"""What fails is said, what does not is stored, and a later run does the rest."""

from __future__ import annotations

import http.server
import json
import re
import threading
from pathlib import Path

import pytest
from jet_files import bits, fill, inline, n_computed, new_process, write
from prefect_view import latest

from hep_flows import nanoaod_table, run, user_func
from hep_flows.errors import HepFlowsError, SourceError, TaskError
from hep_flows.execute.report import Missing


def broken(path, how):
    """Damage a file; gives its content as it was."""
    content = Path(path).read_bytes()
    if how == "missing":
        Path(path).unlink()
    else:
        Path(path).write_bytes(content[: len(content) // 2])
    return content


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_one_broken_dataset_leaves_the_others_alone(tmp_path, served, how):
    paths = [write(tmp_path / f"set_{i}.root", i) for i in range(3)]
    tables = [nanoaod_table(p) for p in paths]
    asked = {f"set_{i}": [fill(t), t.MET.pt.Sum()] for i, t in enumerate(tables)}
    want = inline(asked)
    content = broken(paths[1], how)
    done = run(asked, engine="embedded")
    assert not done.is_complete
    assert bits([done.values["set_0"], done.values["set_2"]]) == bits([want["set_0"], want["set_2"]])
    assert all(isinstance(v, Missing) for v in done.values["set_1"])
    rows = {(r.dataset or "-", r.plugin, r.state): r for r in done.report.tasks}
    assert {r.state for r in done.report.tasks if r.dataset == "set_0.root"} == {"computed"}
    failed = [r for r in done.report.tasks if r.state == "failed"]
    assert {r.dataset for r in failed} == {"set_1.root"}
    assert all("set_1.root" in r.reason and r.attempts == 1 for r in failed), rows
    assert {r.state for r in done.report.tasks if r.dataset == "set_1.root"} <= {"failed", "not run"}
    with pytest.raises(TaskError, match=r"set_1\.root"):
        done.checked()
    flow = latest(served)
    assert flow.state == "Failed"
    assert re.search(r"of \d+ tasks are missing; run it again, and only these are computed", flow.message)
    assert {s for n, s in flow.tasks.items() if "set_0" in n or "set_2" in n} == {"Completed"}
    assert {s for n, s in flow.tasks.items() if "set_1" in n} <= {"Failed", "NotReady"}
    Path(paths[1]).write_bytes(content)
    new_process()
    again = run(
        {k: [fill(nanoaod_table(p)), nanoaod_table(p).MET.pt.Sum()] for k, p in zip(asked, paths, strict=True)}, engine="embedded"
    )
    assert bits(again.values) == bits(want)
    assert n_computed(again) == 3, "the columns, the histogram and the sum of the one dataset"


def test_one_broken_file_of_a_dataset_costs_that_file_only(files, served):
    content = broken(files[1], "truncated")
    Path(files[1]).write_bytes(content)
    events = nanoaod_table(files)
    asked = [fill(events), events.MET.pt.Sum()]
    want = inline(asked)
    broken(files[1], "truncated")
    done = run(asked, engine="embedded")
    assert not done.is_complete
    assert all("part_1.root" in r.reason for r in done.report.tasks if r.state == "failed")
    Path(files[1]).write_bytes(content)
    new_process()
    again = run([fill(nanoaod_table(files)), nanoaod_table(files).MET.pt.Sum()], engine="embedded", on_error="raise")
    assert bits(again.values) == bits(want)
    assert {r.batches_computed for r in again.report.tasks if r.plugin == "awkward"} == {1}


@user_func
def not_today(x: float) -> float:
    """Refuse large numbers."""
    if x > 20:
        raise ValueError("not today: too large")
    return float(x)


@user_func
def late(x: float) -> float:
    """Be late, as a server may be."""
    raise TimeoutError("I am late")
    return x


@pytest.mark.parametrize(("function", "text"), [(not_today, "not today: too large"), (late, "I am late")])
def test_a_function_that_raises_is_tried_once_and_shown_with_its_line(files, served, function, text):
    events = nanoaod_table(files)
    done = run(
        {"wrong": function(events.MET.pt).Sum(), "right": events.MET.pt.Sum(), "above": function(events.MET.pt).Sum() / 2},
        engine="embedded",
    )
    assert bits(done.values["right"]) == bits(inline(events.MET.pt.Sum()))
    assert isinstance(done.values["wrong"], Missing)
    assert isinstance(done.values["above"], Missing)
    assert text in done.values["wrong"].reason
    (row,) = [r for r in done.report.tasks if r.state == "failed"]
    assert row.attempts == 1
    assert text in row.reason
    assert {r.state for r in done.report.tasks} == {"failed", "computed", "not run"}
    (error,) = {id(e): e for e in done.report.errors}.values()
    assert error.where.file == __file__
    assert "function(events.MET.pt)" in error.where.text()
    assert max(latest(served).attempts.values()) == 1


def test_the_error_is_raised_as_inline_raises_it(files, served, cache_folder):
    asked = not_today(nanoaod_table(files).MET.pt).Sum()
    seen = []
    for engine in ("inline", "embedded"):
        with pytest.raises(HepFlowsError) as raised:
            run(asked, engine=engine, on_error="raise")
        error, chain = raised.value, []
        while error is not None:
            chain.append(type(error))
            error = error.__cause__
        seen.append((raised.value.what, raised.value.why, raised.value.where, ValueError in chain))
    assert seen[0] == seen[1]
    assert seen[1][3], "the user's own error is chained"
    assert latest(served).state == "Failed"


def test_the_first_error_ends_the_run_when_asked_to(files, served):
    events = nanoaod_table(files)
    broken(files[1], "truncated")
    with pytest.raises(SourceError, match=r"part_1\.root"):
        run(fill(events), engine="embedded", on_error="raise")


class Busy(http.server.BaseHTTPRequestHandler):
    """Serves byte ranges of one file, and is too busy for some requests."""

    file = Path()
    answers: list = []  # noqa: RUF012 - what is still to be refused

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        if self.answers:
            self.send_error(self.answers.pop(0))
            return
        content = self.file.read_bytes()
        wanted, status, total = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")), 200, len(content)
        if wanted:
            start, stop = int(wanted[1]), int(wanted[2] or total - 1) + 1
            content, status = content[start:stop], 206
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{min(stop, total) - 1}/{total}")
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def busy(files, monkeypatch):
    """Give the address of a file on a server, and the list of the answers that it gives before it serves the file."""
    from hep_flows.orchestrate import flow as tasks

    monkeypatch.setattr(tasks, "DELAYS_S", (0.1, 0.2, 0.4))
    handler = type("Handler", (Busy,), {"file": Path(files[0]), "answers": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/part_0.root", handler.answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_is_busy_is_asked_again(busy, files, served):
    pytest.importorskip("aiohttp")
    url, answers = busy
    asked = fill(nanoaod_table(url))
    answers.extend([503] * 2)
    done = run(asked, engine="embedded", on_error="raise")
    assert bits(done.values) == bits(inline(fill(nanoaod_table(files[0]))))
    assert answers == []
    reading = next(r for r in done.report.tasks if r.plugin == "awkward")
    assert reading.attempts == 3
    assert max(latest(served).attempts.values()) == 3


def test_a_file_that_is_gone_is_not_asked_for_again(busy, served):
    pytest.importorskip("aiohttp")
    url, answers = busy
    asked = fill(nanoaod_table(url), cut=33.0)
    answers.extend([404] * 100)
    done = run(asked, engine="embedded")
    assert not done.is_complete
    assert [r.attempts for r in done.report.tasks if r.state == "failed"] == [1]
    assert max(latest(served).attempts.values()) == 1


def test_a_server_that_stays_busy_is_given_up(busy, served):
    pytest.importorskip("aiohttp")
    url, answers = busy
    asked = fill(nanoaod_table(url), cut=34.0)
    answers.extend([503] * 1000)
    done = run(asked, engine="embedded")
    assert [r.attempts for r in done.report.tasks if r.state == "failed"] == [4]
    table = next(a for a in latest(served).artifacts if a.type == "table")
    assert {r["attempts"] for r in json.loads(table.data)} == {4, 0}
