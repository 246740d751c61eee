"""Datasets of which files cannot be used: the others are computed, nothing partial passes for whole, and a rerun opens what failed."""

import json
import shlex
import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from hep_flows import Histogram, run_analysis
from hep_flows.errors import AnalysisError, LiteralError, SourceError, TaskError
from hep_flows.execute.report import Missing
from hep_flows.sources import stored

N_FILES = 6


def write(path, number):
    """Write a file of simulation: 20 events, of which some more were generated."""
    rng = np.random.default_rng(number)
    weight = rng.choice([-1.0, 2.0], 20)
    with uproot.recreate(path) as file:
        leaves = {"met": rng.exponential(40, 20), "genWeight": weight, "other": rng.normal(size=20)}
        file.mktree("Events", {n: a.dtype for n, a in leaves.items()}).extend(leaves)
        file.mktree("Runs", {"genEventSumw": "f8"}).extend({"genEventSumw": np.array([weight.sum() + 10 * number + 5])})


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for number in range(N_FILES):
        write(folder / f"f{number}.root", number)
    return folder


@pytest.fixture
def files(originals, tmp_path, monkeypatch):
    # What is remembered of files is to be found at once, and not only of those that nobody wrote to for a while.
    monkeypatch.setattr(stored, "SETTLED_S", 0.0)
    folder = tmp_path / "files"
    shutil.copytree(originals, folder)
    return [folder / f"f{n}.root" for n in range(N_FILES)]


@pytest.fixture
def fileset(files):
    return {"mc": {"files": {str(f): "Events" for f in files}, "metadata": {"xsec": 3.0}}}


def analysis(ev):
    h = Histogram.new.Reg(8, 0, 160, name="met").Weight().fill(met=ev.met, weight=ev.genWeight)
    return {"met": h, "n": ev[ev.met > 30].Count(), "skim": ev[ev.met > 60].met, "other": ev.other.Sum()}


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def damage_basket(path, branch="met"):
    """Spoil the record of a branch's data: the file can be opened, and the branch not be read."""
    with uproot.open(path) as file:
        start = int(file["Events"][branch].member("fBasketSeek")[0])
    content = bytearray(path.read_bytes())
    content[start : start + 18] = b"\xff" * 18
    path.write_bytes(content)


BAD = {
    "missing": Path.unlink,
    "empty": lambda p: p.write_bytes(b""),
    "truncated": truncate,
    "of another kind": lambda p: pq.write_table(pa.table({"x": [1]}), p),
    "without the tree": lambda p: uproot.recreate(p).mktree("Other", {"x": "f8"}),
    "a damaged basket": damage_basket,
}


def whole(paths):
    return ak.concatenate([uproot.open({str(p): "Events"}).arrays(["met", "genWeight", "other"]) for p in paths])


def check(values, paths):
    events = whole(paths)
    counts, _ = np.histogram(events.met, bins=8, range=(0, 160), weights=events.genWeight)
    np.testing.assert_allclose(values["met"].values(), counts, rtol=1e-12)
    assert values["n"] == ak.sum(events.met > 30)
    assert values["skim"].tolist() == events.met[events.met > 60].tolist()
    assert values["other"] == pytest.approx(ak.sum(events.other))


def opened_of(opened, files):
    return sorted({Path(p).name for p in opened if p in set(map(str, files))})


@pytest.mark.parametrize("kind", BAD)
def test_the_other_files_are_computed_and_a_rerun_opens_what_failed(kind, fileset, files, originals, opened):
    BAD[kind](files[2])
    done = run_analysis(analysis, fileset)
    assert not done.is_complete
    assert all(isinstance(v, Missing) for v in (done.values["mc"]["met"], done.values["mc"]["n"], done.values["mc"]["skim"]))
    assert "f2.root" in done.values["mc"]["n"].reason
    assert [Path(b.file).name for b in done.bad_files] == ["f2.root"]
    shutil.copy(originals / "f2.root", files[2])
    opened.clear()
    done = run_analysis(analysis, fileset)
    assert opened_of(opened, files) == ["f2.root"]
    check(done.values["mc"], files)


def test_all_files_that_cannot_be_used_are_named_at_once(fileset, files):
    for file, ruin in zip(files, list(BAD.values())[:5], strict=False):
        ruin(file)
    done = run_analysis(analysis, fileset)
    reason = done.values["mc"]["n"].reason
    assert all(f"f{n}.root" in reason for n in range(5))
    assert "f5.root" not in reason
    assert [Path(b.file).name for b in done.bad_files] == [f"f{n}.root" for n in range(5)]
    with pytest.raises(SourceError, match=r"f0\.root.*f4\.root"):
        run_analysis(analysis, fileset, on_error="raise")


def test_all_files_that_cannot_be_read_are_named_at_once(fileset, files):
    for n in (1, 4):
        damage_basket(files[n])
    done = run_analysis(analysis, fileset)
    assert all(f"f{n}.root" in done.values["mc"]["n"].reason for n in (1, 4))
    assert done.values["mc"]["other"] == pytest.approx(ak.sum(whole([files[0], *files[2:4], files[5]]).other) + sum(
        uproot.open(f)["Events/other"].array().to_numpy().sum() for f in (files[1], files[4])))  # fmt: skip


def test_every_file_is_bad(fileset, files):
    for file in files:
        file.unlink()
    done = run_analysis(analysis, fileset)
    assert done.values["mc"] == {}
    assert len(done.bad_files) == N_FILES
    with pytest.raises(TaskError):
        run_analysis(analysis, fileset, on_missing="partial").checked()
