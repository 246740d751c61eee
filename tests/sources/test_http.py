"""Files on a web server, here one of this process on the loopback address, with byte ranges as real servers have."""

import http.server
import re
import threading
from pathlib import Path

import pytest

from described import described, one, read
from hep_flows import nanoaod_table
from hep_flows.errors import SourceError
from hep_flows.sources.stored import entries_of

pytest.importorskip("aiohttp")
pytestmark = pytest.mark.data
SM = "Run2012B_SingleMu_1000.root"


class Ranges(http.server.BaseHTTPRequestHandler):
    """Gives one folder's files, or byte ranges of them."""

    folder = Path()
    requests: list = []  # noqa: RUF012 - one list for all requests is what is wanted
    says: tuple = ()

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = self.folder / Path(self.path).name
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, total = 200, len(content)
        if wanted:
            start, stop = int(wanted[1]), int(wanted[2] or total - 1) + 1
            content, status = content[start:stop], 206
        self.requests.append((self.path, len(content) if with_body else 0))
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        for name in self.says:
            stat = path.stat()
            value = {"ETag": f'"{stat.st_mtime_ns:x}"', "Last-Modified": f"{stat.st_mtime_ns}"}[name]
            self.send_header(name, value)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{min(stop, total) - 1}/{total}")
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    handler = type("Handler", (Ranges,), {"folder": tmp_path, "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(served, data, tmp_path):
    (tmp_path / SM).write_bytes(Path(data(SM)).read_bytes())
    return f"{served[0]}/{SM}"


def test_values_are_those_of_the_local_file(remote, data):
    paths = ["Jet.pt", "Jet", "MET.pt", "HLT.IsoMu24"]
    far, near = read(described("nanoaod", remote), *paths), read(described("nanoaod", data(SM)), *paths)
    for path, array in far.items():
        assert array.tolist() == near[path].tolist()


def test_only_a_part_of_the_file_is_fetched(remote, served, data):
    dataset = described("nanoaod", remote)
    one(dataset, "MET.pt")
    fetched = sum(n for _, n in served[1].requests)
    assert fetched < Path(data(SM)).stat().st_size / 2


def test_the_identity_is_that_of_the_content_and_not_of_the_address(remote, served, data, tmp_path):
    first = described("nanoaod", remote).content[0]
    (tmp_path / "other.root").write_bytes((tmp_path / SM).read_bytes())
    assert described("nanoaod", f"{served[0]}/other.root").content[0] == first
    assert entries_of(first) == 1000
    Path(tmp_path / "other.root").write_bytes(Path(data("nano_dy.root")).read_bytes())
    assert described("nanoaod", f"{served[0]}/other.root").content[0] != first


def test_a_missing_remote_file_is_named(served):
    with pytest.raises(SourceError, match=r"nothing\.root"):
        described("nanoaod", f"{served[0]}/nothing.root")


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9"):
        described("nanoaod", "http://127.0.0.1:9/a.root")


def test_a_remote_file_of_another_kind_is_named(served, tmp_path):
    (tmp_path / "text.root").write_text("this is a text and not a ROOT file " * 50)
    with pytest.raises(SourceError, match=r"text\.root"):
        described("nanoaod", f"{served[0]}/text.root")


def test_remote_parquet_is_read_too(served, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "a.parquet")
    assert one(described("parquet", f"{served[0]}/a.parquet"), "x").tolist() == [1, 2, 3]


def test_secrets_in_a_url_are_not_shown(served):
    host = served[0].removeprefix("http://")
    with pytest.raises(SourceError) as error:
        described("nanoaod", f"http://me:password@{host}/nothing.root?authz=token")
    text = f"{error.value}"
    assert "nothing.root" in text
    assert "token" not in text
    assert "password" not in text


@pytest.mark.parametrize("says", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("kind", ["parquet", "tree"])
def test_a_remote_file_of_other_bytes_and_the_same_records_is_another_file_where_its_server_says_so(says, kind, served, tmp_path):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import uproot

    path = tmp_path / f"a.{kind}"
    values = np.full(1000, 1.0)
    if kind == "tree":
        with uproot.recreate(path, compression=None) as file:
            file.mktree("t", {"x": "f8"}).extend({"x": values})
    else:
        pq.write_table(pa.table({"x": values}), path, compression="none", use_dictionary=False, write_statistics=False)
    url = f"{served[0]}/{path.name}"
    served[1].says = (says,)
    first = described(kind, url)
    content = path.read_bytes()
    other = content.replace(values[:1].tobytes(), np.full(1, 2.0).tobytes()).replace(
        values[:1].astype(">f8").tobytes(), np.full(1, 2.0).astype(">f8").tobytes()
    )
    path.write_bytes(other)
    assert len(other) == len(content)
    second = described(kind, url)
    assert second.content != first.content
    assert one(second, "x").tolist() == [2.0] * 1000
    with pytest.raises(SourceError, match="changed since the table was made"):
        one(first, "x")


@pytest.mark.parametrize("fault", ["busy", "silent"])
def test_a_file_is_looked_into_again_where_its_server_is_busy_or_says_nothing(fault, remote, served, environment):
    """The first request has a 503, or no answer at all, until the one who asks has given it up."""
    environment(HEP_FLOWS_REQUEST_S="1")
    handler, given_up, faults = served[1], threading.Event(), []
    answer = handler.answer

    def once(self, *, with_body):
        if faults:
            given_up.set()
            answer(self, with_body=with_body)
            return
        faults.append(fault)
        if fault == "busy":
            self.send_error(503)
        else:
            given_up.wait(120)
            self.close_connection = True

    handler.answer = once
    assert entries_of(nanoaod_table(remote)._table.dataset.content[0]) == 1000
    assert faults == [fault]
