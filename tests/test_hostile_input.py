"""Input that is odd or meant to harm: shown as it is, refused by name, never waited for, never believed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from hep_flows import dumps, make_local, nanoaod_table, parquet_table, plan, run, run_analysis, tree_table, user_func
from hep_flows.cli.main import app
from hep_flows.contract import Columns, Scalar
from hep_flows.errors import HepFlowsError, SourceError, StoreError, visible
from hep_flows.filesets import read_fileset
from hep_flows.store.about import Pack, parse
from hep_flows.store.commit import TELL_AFTER_S, WaitingForResult, claimed
from hep_flows.store.store import DamagedResultWarning, Store
from hep_flows.store.upkeep import verify

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(range(32))
EVIL = "x\n>>> fake\x1b[31m\u202eevil\u2066\u200f"
HIDDEN = ("\x1b", "\u202e", "\u2066", "\u200f", "\n>>> fake")


def assert_visible(text: str) -> None:
    for hidden in HIDDEN:
        assert hidden not in text, repr(text)


# --- names


def test_everything_that_steers_a_terminal_is_spelled_out() -> None:
    assert visible(EVIL) == r"x\n>>> fake\x1b[31m\u202eevil\u2066\u200f"
    assert visible("Jet_pt µ é 粒子") == "Jet_pt µ é 粒子"


@pytest.fixture
def named(tmp_path: Path) -> str:
    """Give a Parquet file whose name, and the name of a column, hold such characters."""
    path = tmp_path / f"f{EVIL.replace('/', '')}.parquet"
    ak.to_parquet(ak.Array({EVIL: [1.0, 2.0, 3.0], "y": [1, 2, 3]}), str(tmp_path / "f.parquet"))
    (tmp_path / "f.parquet").rename(path)
    return str(path)


def test_names_from_files_are_shown_so_everywhere(named: str) -> None:
    df = parquet_table(named)
    x = df[EVIL] * 2
    done = run({"a": x}, on_error="raise")
    assert done.values["a"].to_list() == [2.0, 4.0, 6.0]
    shown = plan(x)
    for text in (repr(x), repr(df), dumps(x), str(shown), shown._repr_html_(), str(done.report)):
        assert_visible(text)
    with pytest.raises(HepFlowsError) as caught:
        df.nothing  # noqa: B018
    assert_visible(str(caught.value))
    with pytest.raises(SourceError) as missing:
        parquet_table(named + "x")
    assert_visible(str(missing.value))
    runner = CliRunner()
    listed = runner.invoke(app, ["cache", "ls"]).output
    assert_visible(listed)
    key = next(r.key for r in done.report.tasks)
    assert_visible(runner.invoke(app, ["cache", "why", key]).output)


def test_names_of_datasets_are_shown_so_everywhere(named: str, tmp_path: Path) -> None:
    fileset = {EVIL: {"files": [named], "metadata": {"schema": "parquet"}}}
    done = run_analysis(lambda events: {"y": events.y * 2}, fileset, out=tmp_path / "out")
    assert len(done.values[EVIL]["y"].array()) == 3
    assert_visible((tmp_path / "out" / "report.txt").read_text())
    for note in done.datasets:
        assert_visible(str(note))
    assert_visible(str(done.report))


# --- filesets


def test_a_fileset_that_expands_out_of_all_proportion_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.json.gz"
    text = b'{"a": {"files": {"x.root": "Events"}, "metadata": {"z": "' + b"0" * 100_000_000 + b'"}}}'
    path.write_bytes(gzip.compress(text, 9))
    with pytest.raises(SourceError, match="cannot be read") as caught:
        read_fileset(str(path))
    assert "100 times" in caught.value.why
    small = tmp_path / "g.json.gz"
    small.write_bytes(gzip.compress(json.dumps({"a": {"files": {f"x{i}.root": "Events" for i in range(300)}}}).encode(), 9))
    assert len(read_fileset(str(small))[0].files) == 300


def test_the_size_of_a_fileset_is_a_setting(tmp_path: Path, environment: Callable[..., None]) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"a": {"files": {f"x{i}.root": "Events" for i in range(300)}}}))
    assert len(read_fileset(str(path))[0].files) == 300
    environment(HEP_FLOWS_FILESET_LIMIT="2kB")
    with pytest.raises(SourceError) as caught:
        read_fileset(str(path))
    assert "fileset_limit" in caught.value.why


def test_marks_of_byte_order_and_merge_keys_are_read(tmp_path: Path) -> None:
    plain = {"a": {"files": {"x.root": "Events"}, "metadata": {"schema": "nanoaod", "xsec": 2.0}}}
    (tmp_path / "f.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(plain).encode())
    text = "base: &base\n  files: {x.root: Events}\n  metadata: {schema: nanoaod, xsec: 1.0}\n"
    (tmp_path / "f.yaml").write_bytes(
        b"\xef\xbb\xbf" + text.encode() + b"a:\n  <<: *base\n  metadata: {schema: nanoaod, xsec: 2.0}\n"
    )
    (bom,) = read_fileset(str(tmp_path / "f.json"))
    merged = {e.name: e for e in read_fileset(str(tmp_path / "f.yaml"))}
    assert bom.files == merged["a"].files == ("x.root",) or bom.files == merged["a"].files
    assert merged["a"].metadata["xsec"] == bom.metadata["xsec"] == 2.0
    assert merged["base"].metadata["xsec"] == 1.0


# --- pipes, devices and folders in the place of files


def _replaced(path: str, by: str) -> None:
    Path(path).unlink()
    match by:
        case "pipe":
            os.mkfifo(path)
        case "device":
            Path(path).symlink_to("/dev/zero")
        case "folder":
            Path(path, "inside").mkdir(parents=True)


@pytest.mark.parametrize("by", ["pipe", "device", "folder"])
@pytest.mark.parametrize("which", ["object", "sidecar"])
@pytest.mark.parametrize("result", [Scalar(17), Columns(ak.Array([1.5, 2.5]))], ids=["scalar", "columns"])
def test_what_is_no_file_in_the_cache_counts_as_missing_and_is_replaced(
    tmp_path: Path, by: str, which: str, result: object
) -> None:
    store = Store(tmp_path / "cache")
    store.put(KEY, result)
    _replaced(getattr(store.folder, which)(KEY.hex()), by)
    with pytest.warns(DamagedResultWarning):
        assert Store(store.folder.root).get(KEY) is None
    assert len(verify(Store(store.folder.root)).damaged) == 1
    Store(store.folder.root).put(KEY, result)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Store(store.folder.root).get(KEY) is not None


@pytest.mark.parametrize("by", ["pipe", "device"])
@pytest.mark.parametrize("table", [nanoaod_table, parquet_table, tree_table])
def test_what_is_no_file_in_the_place_of_data_is_refused_by_name(tmp_path: Path, by: str, table: object) -> None:
    path = str(tmp_path / "events.root")
    Path(path).touch()
    _replaced(path, by)
    with pytest.raises(SourceError, match="no regular file"):
        table(path)  # type: ignore[operator]


def test_a_file_that_becomes_a_pipe_fails_by_name(tmp_path: Path, data) -> None:
    path = shutil.copy(data("nano_dy.root"), tmp_path / "a.root")
    Path(path).chmod(0o600)
    x = nanoaod_table(str(path)).MET.pt.Sum()
    _replaced(str(path), "pipe")
    with pytest.raises(SourceError, match=r"a\.root"):
        make_local(x)


# --- the cache of others


@pytest.mark.parametrize("result", [Scalar(17), Columns(ak.Array([1.5, 2.5]))], ids=["inline", "columns"])
def test_a_result_that_was_copied_to_another_key_is_found_out(tmp_path: Path, result: object) -> None:
    store, other = Store(tmp_path / "cache"), bytes(32)
    store.put(KEY, result)
    store.put(other, Scalar(0))
    folder = store.folder
    right = parse(Path(folder.sidecar(KEY.hex())).read_bytes())
    forged = Pack.of(other.hex(), right.pieces, [replace(right.result(KEY.hex()), key=other.hex())]).written()
    shutil.copy(folder.object(KEY.hex()), folder.object(other.hex()))
    Path(folder.sidecar(other.hex())).write_bytes(forged)
    assert parse(forged).result(other.hex()).key == other.hex(), "its own checksum fits"
    with pytest.warns(DamagedResultWarning, match="another key|result of"):
        assert Store(folder.root).get(other) is None
    assert not verify(Store(folder.root), decode=True).is_sound


def test_a_claim_whose_holder_is_stopped_is_told_of(tmp_path: Path) -> None:
    lock = str(tmp_path / "a.lock")
    code = f"from hep_flows.store.commit import claimed\nwith claimed({lock!r}):\n    print('held', flush=True)\n    input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGSTOP)
    told = threading.Event()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # The wait ends when it was told of, and not after some time.
            with pytest.raises(StoreError, match="cancelled"), claimed(lock, cancelled=lambda: bool(caught) or told.is_set()):
                pass
        (warning,) = caught
        assert warning.category is WaitingForResult
        assert str(holder.pid) in str(warning.message)
        assert "stopped" in str(warning.message)
        assert TELL_AFTER_S < 10
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.communicate("\n")


# --- a run within a run


def test_make_local_inside_a_body_is_refused_at_once(data) -> None:
    events = nanoaod_table(data("nano_dy.root"))

    @user_func
    def scaled(pt: float) -> float:
        return pt / make_local(events.MET.pt.Max())

    with pytest.raises(HepFlowsError, match="calls make_local in its body") as caught:
        make_local(scaled(events.MET.pt), workers=1)
    assert caught.value.where.file == __file__

    @user_func(version="1")
    def hidden(pt: float) -> float:
        return pt / getattr(sys.modules["hep_flows"], "make_" + "local")(events.MET.pt.Max())

    with pytest.raises(HepFlowsError, match="cannot be started inside the body of a function"):
        make_local(hidden(events.MET.pt), workers=1)

    @user_func
    def of_both(pt: float, largest: float) -> float:
        return pt / largest

    met = uproot.open(data("nano_dy.root"))["Events/MET_pt"].array()
    assert np.allclose(make_local(of_both(events.MET.pt, events.MET.pt.Max())), met / ak.max(met))


# --- bombs


def test_a_basket_that_claims_to_be_huge_is_refused_and_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.root"
    with uproot.recreate(path, compression=uproot.ZLIB(9)) as file:
        file.mktree("Events", {"x": "f8"}).extend({"x": np.zeros(200_000)})
    content = bytearray(path.read_bytes())
    place = content.find(b"ZL\x08")
    while place >= 0:  # every block of it says that it has 16 MB, the most that its three bytes can say
        content[place + 6 : place + 9] = b"\xff\xff\xff"
        place = content.find(b"ZL\x08", place + 9)
    path.write_bytes(content)
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from hep_flows import tree_table, make_local, HepFlowsError
try:
    print(make_local(tree_table({str(path)!r}, tree="Events").x.Sum()))
except HepFlowsError as error:
    print("refused", "bomb.root" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused True", done.stdout + done.stderr[-2000:]
