"""User, password and query of a URL may be secret: they are in nothing that is stored or shown."""

import http.server
import re
import threading
from pathlib import Path

import pytest

from hep_flows import Histogram, nanoaod_table, plan, render, run
from hep_flows.expr import build
from hep_flows.expr.transport import decode, decode_together, encode, encode_together
from hep_flows.plugins.servicex.addresses import Address, RemoteIdentity

pytestmark = pytest.mark.data
SECRET = "wehlmfqz"


class _Ranges(http.server.BaseHTTPRequestHandler):
    """Serves ranges of one file, as storage on the web does."""

    content = b""

    def do_HEAD(self):
        self._answer(self.content, 200)

    def do_GET(self):
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            self._answer(self.content, 200)
            return
        start, stop = int(found[1]), min(int(found[2] or len(self.content)), len(self.content) - 1)
        self._answer(self.content[start : stop + 1], 206, f"bytes {start}-{stop}/{len(self.content)}")

    def _answer(self, part, status, place=""):
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(data):
    handler = type("Ranges", (_Ranges,), {"content": Path(data("nano_dimuon.root")).read_bytes()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("form", [f"http://joe:{SECRET}@{{}}/x.root", f"http://{{}}/x.root?authz={SECRET}"])
@pytest.mark.parametrize("engine", ["inline", "embedded"])
def test_nothing_that_is_stored_or_shown_has_them(address, cache_folder, form, engine):
    df = nanoaod_table(form.format(address))
    asked = {"n": df.Count(), "pt": Histogram.new.Reg(5, 0, 100, name="pt").Double().fill(pt=df.MET.pt), "jets": df.Jet.pt}
    assert SECRET not in str(plan(asked))
    done = run(asked, engine=engine)
    assert done.values["n"] == 40
    assert SECRET not in f"{done.report} {done.report.as_json()}"
    written = [p for p in cache_folder.rglob("*") if p.is_file()]
    assert len(written) > 3
    assert [p for p in written if SECRET.encode() in p.read_bytes()] == []


def test_a_process_that_reads_the_file_gets_the_whole_name(data):
    record = render(nanoaod_table(data("nano_dimuon.root"))).type.item
    table = build.dataset("nanoaod", ("1:a",), "Events", record, files=(f"root://joe:{SECRET}@host//x.root?authz={SECRET}",))
    assert decode_together(encode_together([table]))[0].files == table.files
    kept = decode(encode(table))
    assert kept.files == ("root://host//x.root",)
    assert kept.key == table.key


def test_names_at_a_server_that_differ_in_what_is_not_shown_are_two():
    written = {RemoteIdentity("http://s", f"root://h//x?authz={t}", "epoch 0").written() for t in (SECRET, "another")}
    assert len(written) == 2
    assert not any(SECRET in w for w in written)
    assert RemoteIdentity("http://s", "rucio://a:b", "epoch 0").written() == 'servicex:["http://s","rucio://a:b","epoch 0"]'


def test_the_address_of_a_server_is_shown_without_them():
    assert Address("a", f"https://joe:{SECRET}@host/x").place == "https://host/x"
