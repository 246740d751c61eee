"""What a run leaves in its folder: read back with the libraries that others would use, and never half of it."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import awkward as ak
import hist
import numpy as np
import pyarrow.parquet as pq
import pytest
import uhi.io.json
import uproot

from hep_flows import Histogram, cutflow, nanoaod_table, parquet_table, plan, read_results, render, run, run_analysis, user_func
from hep_flows.analysis.outputs import Skim, file_name
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.errors import StoreError
from hep_flows.execute.report import Missing
from hep_flows.store.index import pin
from hep_flows.store.store import Store

pytestmark = pytest.mark.data
H = Histogram.new


def analysis(events):
    good = events.Jet[events.Jet.pt > 30]
    return {
        "pt": H.Reg(40, 0, 100, name="pt", label="jet pt").Weight().fill(pt=good.pt, weight=0.5),
        "both": H.Reg(20, 0, 200, name="pt").Var([-2, 0, 1, 2], name="eta", flow=False).Double().fill(pt=good.pt, eta=good.eta),
        "side": H.StrCat(["left", "right"], name="side").Double().fill(side="left", weight=events.MET.pt),
        "numpy": np.histogram(good.pt, bins=5, range=(0, 100)),
        "profile": H.Reg(5, 0, 200, name="pt").Mean().fill(pt=good.pt, sample=good.eta),
        "jets": good.pt,
        "n": events.Count(),
        "none": events[events.MET.pt > 1e9].MET.pt.Max(),
        "mean": events[events.MET.pt > 1e9].MET.pt.Mean(),
    }


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def load(out, name):
    return json.loads((out / name).read_text())


def histograms(out):
    return json.loads((out / "histograms.json").read_text(), object_hook=uhi.io.json.object_hook)


def test_histograms_come_back_from_uhi_with_their_flow_bins(fileset, out):
    values = run_analysis(analysis, fileset).values
    run_analysis(analysis, fileset, out=out)
    found = histograms(out)
    assert set(found) == {f"{d}/{n}" for d in fileset for n in ("pt", "both", "side", "numpy", "profile")}
    for dataset in fileset:
        for name in ("pt", "both", "side"):
            assert hist.Hist(found[f"{dataset}/{name}"]) == values[dataset][name]
        profile, own = hist.Hist(found[f"{dataset}/profile"]).view(flow=True), values[dataset]["profile"].view(flow=True)
        for field in own.dtype.names:
            assert np.allclose(profile[field], own[field], rtol=1e-12, atol=0)
        counts, edges = values[dataset]["numpy"]
        again = hist.Hist(found[f"{dataset}/numpy"])
        assert again.values().tolist() == counts.tolist()
        assert again.axes[0].edges.tolist() == edges.tolist()
    assert values["tt"]["pt"].view(flow=True)[-1].value > 0
    assert any(1 in v["profile"].view(flow=True).count for v in values.values())


def test_histograms_stand_in_a_root_file(fileset, out, read):
    values = run_analysis(analysis, fileset, out=out).values
    with uproot.open(out / "histograms.root") as file:
        for dataset in fileset:
            h = file[f"{dataset}/pt"]
            own = values[dataset]["pt"].view(flow=True)
            assert h.values(flow=True).tolist() == own.value.tolist()
            assert h.variances(flow=True).tolist() == own.variance.tolist()
            assert h.axis().edges().tolist() == np.linspace(0, 100, 41).tolist()
            assert h.axis().member("fTitle") == "jet pt"
            both = file[f"{dataset}/both"].values(flow=True)
            assert both[:, 1:-1].tolist() == values[dataset]["both"].values(flow=True).tolist()
            assert both[:, [0, -1]].sum() == 0
            assert list(file[f"{dataset}/side"].axis()) == ["left", "right"]
            assert file[f"{dataset}/side"].values().tolist() == values[dataset]["side"].values().tolist()
            assert values[dataset]["side"].values()[0] == pytest.approx(ak.sum(read(dataset, "MET_pt").MET_pt), rel=1e-6)
            assert file[f"{dataset}/numpy"].values().tolist() == values[dataset]["numpy"][0].tolist()
        assert "tt/profile" not in file
    assert any("tt/profile is not in histograms.root: its storage is Mean" in n for n in load(out, "manifest.json")["notes"])


def test_numbers_are_json(fileset, out):
    run_analysis(analysis, fileset, out=out)
    assert load(out, "numbers.json")["tt"] == {"n": 200, "none": None, "mean": load(out, "numbers.json")["tt"]["mean"]}
    assert load(out, "numbers.json")["tt"]["mean"] in (None, "nan")


def test_skims_have_a_file_for_each_batch(paths, out, jets):
    done = run_analysis(analysis, {"all": list(paths.values())}, kind="nanoaod", out=out)
    skim = done.values["all"]["jets"]
    assert isinstance(skim, Skim)
    assert skim.files == ("part-0000.parquet", "part-0001.parquet", "part-0002.parquet")
    parts = [ak.from_parquet(p).jets.tolist() for p in skim.paths]
    assert parts == [jets(n).tolist() for n in paths]
    assert skim.array().tolist() == ak.concatenate([jets(n) for n in paths]).tolist()
    assert skim.rows == 280
    assert pq.read_table(skim.folder).num_rows == 280


def test_a_skim_is_a_table_again(fileset, out, jets):
    run_analysis(analysis, fileset, out=out)
    table = parquet_table(str(out / "skims" / "tt" / "jets" / "*.parquet"))
    done = run_analysis(lambda events: {"n": events.jets.Count().Sum()}, {"tt": [render(table).files[0]]})
    assert done.values["tt"]["n"] == ak.count(jets("tt"))


def test_an_array_of_events_has_a_column_for_each_member(fileset, out, read):
    def pairs(events):
        return {"events": ak.zip({"met": events.MET.pt, "run": events.run})}

    done = run_analysis(pairs, fileset, out=out)
    for name in fileset:
        found = pq.read_table(out / "skims" / name / "events" / "part-0000.parquet")
        assert found.column_names == ["met", "run"]
        assert found["met"].to_pylist() == read(name, "MET_pt").MET_pt.tolist()
        assert done.values[name]["events"].array().run.tolist() == read(name, "run").run.tolist()


def test_no_event_is_a_skim_of_no_rows(fileset, out):
    done = run_analysis(lambda events: {"x": events[events.MET.pt > 1e9].Jet.pt}, {"tt": fileset["tt"]}, out=out)
    assert done.values["tt"]["x"].rows == 0
    assert done.values["tt"]["x"].array().tolist() == []


def test_arrays_are_not_put_together_on_the_way(paths, out, monkeypatch):
    """With a folder, the parts go from the store to their files one by one."""
    from hep_flows.contract import Columns
    from hep_flows.execute.work import Merging

    merged = []
    add = Merging.add
    monkeypatch.setattr(Merging, "add", lambda self, part: (merged.append(isinstance(part, Columns)), add(self, part))[1])
    fileset = {"all": list(paths.values())}
    run_analysis(lambda events: {"x": events.Jet.pt}, fileset, kind="nanoaod", out=out)
    assert merged == []
    run_analysis(lambda events: {"x": events.Jet.pt}, fileset, kind="nanoaod")
    assert True in merged


def test_what_cannot_be_stored_is_written_all_the_same(fileset, out, environment, jets):
    environment(HEP_FLOWS_CACHE="off")
    done = run_analysis(analysis, fileset, out=out)
    assert done.values["tt"]["jets"].array().tolist() == jets("tt").tolist()


def test_what_is_named_by_position_is_written_as_one_part(fileset, out, read):
    done = run_analysis(lambda events: {"x": events[:7].MET.pt}, {"tt": fileset["tt"]}, out=out)
    assert done.values["tt"]["x"].array().tolist() == read("tt", "MET_pt").MET_pt[:7].tolist()


def test_every_observable_is_drawn_once_and_what_cannot_be_added_for_each_dataset(fileset, out):
    run_analysis(analysis, fileset, out=out)
    drawn = {p.name for p in (out / "plots").iterdir()}
    apart = {f"both-{d}.png" for d in fileset} | {f"{d}_numpy.png" for d in fileset}
    assert drawn == {"pt.png", "profile.png", "side.png"} | apart
    assert (out / "plots" / "pt.png").read_bytes().startswith(b"\x89PNG")


def test_plots_of_names_that_would_be_one_are_two(fileset, out):
    sides = H.Reg(5, 0, 100, name="x").StrCat(["b"], name="side").Double()
    analyses = lambda events: {
        "a": sides.fill(x=events.MET.pt, side="b"),
        "a-b": H.Reg(5, 0, 1, name="x").Double().fill(x=events.MET.pt),
    }
    run_analysis(analyses, {"a": fileset["dy"]}, out=out)
    assert {p.name for p in (out / "plots").iterdir()} == {"a-b.png", "a-b_.png"}


def test_a_folder_of_results_is_read_again_with_what_normalises_it(fileset, out):
    cuts = lambda events: analysis(events) | {"flow": cutflow(events[events.MET.pt > 30], weight=0.5)}
    done = run_analysis(cuts, fileset | {"gone": {"files": ["/gone.root"]}}, out=out)
    found = read_results(out)
    for dataset in fileset:
        for name in ("pt", "both", "side", "n", "flow"):
            assert found.values[dataset][name] == done.values[dataset][name]
    assert isinstance(found.values["gone"]["pt"], Missing)
    assert found.is_complete is False
    assert found.processes.keys() == done.processes.keys()
    assert found.filled == done.filled
    with pytest.raises(StoreError, match="no folder of results"):
        read_results(out / "plots")


class TestManifest:
    def test_lists_every_file_and_the_key_of_every_result(self, fileset, out):
        done = run_analysis(analysis, fileset, out=out)
        manifest = load(out, "manifest.json")
        there = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
        assert there == {*manifest["files"], "manifest.json"}
        assert set(done.written) == there
        assert all((out / p).stat().st_size == n["bytes"] for p, n in manifest["files"].items())
        keys = {r.key for r in done.report.tasks}
        assert manifest["complete"] is True
        assert {r["key"] for d in manifest["results"].values() for r in d.values()} <= keys
        assert manifest["results"]["tt"]["jets"] | {"key": ""} == {"what": "skim", "key": "", "rows": 200, "files": 1}

    def test_the_report_is_there_as_a_table_and_as_data(self, fileset, out):
        run_analysis(analysis, fileset | {"gone": ["/gone.root"]}, out=out)
        text, data = (out / "report.txt").read_text(), load(out, "report.json")
        assert text.startswith("NOT COMPLETE")
        assert "gone: /gone.root does not exist" in text
        assert {t["dataset"] for t in data["tasks"]} == {*fileset, "gone"}
        assert data["complete"] is False
        assert load(out, "manifest.json")["results"]["gone"]["pt"]["what"] == "missing"

    def test_a_second_run_writes_no_array_and_no_plot_again(self, fileset, out):
        run_analysis(analysis, fileset, out=out)
        kept = [p for p in out.rglob("*") if p.suffix in (".parquet", ".png", ".root") or p.name == "histograms.json"]
        before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in kept}
        assert len(before) > 10
        run_analysis(analysis, fileset, out=out)
        assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in before} == before

    def test_a_changed_cut_replaces_everything(self, fileset, out, jets):
        run_analysis(analysis, fileset, out=out)
        done = run_analysis(lambda events: {"jets": events.Jet[events.Jet.pt > 50].pt}, fileset, out=out)
        assert done.values["tt"]["jets"].array().tolist() == jets("tt", 50).tolist()
        assert not (out / "plots").exists()
        assert not (out / "histograms.root").exists()

    def test_a_file_that_was_damaged_meanwhile_is_written_again(self, fileset, out, jets):
        run_analysis(analysis, fileset, out=out)
        part = out / "skims" / "tt" / "jets" / "part-0000.parquet"
        part.write_bytes(part.read_bytes()[:-10])
        done = run_analysis(analysis, fileset, out=out)
        assert done.values["tt"]["jets"].array().tolist() == jets("tt").tolist()

    def test_a_dataset_that_is_gone_takes_its_files_along(self, fileset, out):
        run_analysis(analysis, fileset, out=out)
        (out / "mine.txt").write_text("mine")
        run_analysis(analysis, fileset, only=["dy"], out=out)
        assert {p.name for p in (out / "skims").iterdir()} == {"dy"}
        assert (out / "mine.txt").read_text() == "mine"

    def test_a_manifest_cannot_reach_outside_of_its_folder(self, fileset, out, tmp_path):
        outside = tmp_path / "precious.txt"
        outside.write_text("precious")
        out.mkdir()
        note = {"what": "skim", "key": "", "bytes": 1}
        files = {"../precious.txt": note, str(outside): note}
        (out / "manifest.json").write_text(json.dumps({"format": "hf-outputs/1", "files": files}))
        run_analysis(analysis, fileset, only=["dy"], out=out)
        assert outside.read_text() == "precious"


class TestFailures:
    def test_a_failed_dataset_leaves_no_files(self, fileset, out, read):
        @user_func
        def checked(n: int) -> int:
            if n > 10:
                raise ValueError("too many jets")
            return n

        done = run_analysis(lambda events: {"n": checked(events.Jet.Count())}, fileset, out=out)
        good = {n for n in fileset if ak.max(read(n, "nJet").nJet) <= 10}
        assert good
        assert good < set(fileset)
        assert {p.name for p in (out / "skims").iterdir()} == good
        assert all(isinstance(done.values[n]["n"], Missing) for n in set(fileset) - good)
        assert load(out, "manifest.json")["complete"] is False

    def test_a_write_that_breaks_leaves_no_manifest_and_no_half_of_a_file(self, fileset, out):
        run_analysis(analysis, fileset, out=out)
        (out / "histograms.root").unlink()
        (out / "histograms.root" / "in the way").mkdir(parents=True)
        other = lambda events: {"pt": H.Reg(7, 0, 100, name="pt").Double().fill(pt=events.Jet.pt)}
        with pytest.raises(StoreError, match="cannot be written"):
            run_analysis(other, fileset, out=out)
        assert not (out / "manifest.json").exists()
        assert not [p for p in out.rglob("*") if "unfinished" in p.name]
        shutil.rmtree(out / "histograms.root")
        done = run_analysis(other, fileset, out=out)
        assert done.is_complete
        assert hist.Hist(histograms(out)["tt/pt"]) == done.values["tt"]["pt"]

    def test_what_a_killed_run_left_is_removed(self, fileset, out):
        left = out / "skims" / "tt" / ".unfinished-0123"
        left.mkdir(parents=True)
        (left / "part-0000.parquet").write_bytes(b"PAR1")
        run_analysis(analysis, fileset, out=out)
        assert not left.exists()

    def test_a_folder_that_cannot_be_made_is_an_error(self, fileset, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            run_analysis(analysis, fileset, out=tmp_path / "file" / "out")

    def test_a_part_that_is_gone_is_said_and_not_left_out(self, fileset, out, monkeypatch):
        from hep_flows.execute.stored_parts import StoredParts

        def gone(self, key):
            raise StoreError("a part of an array is not in the cache")

        monkeypatch.setattr(StoredParts, "part", gone)
        done = run_analysis(analysis, {"tt": fileset["tt"]}, out=out)
        assert isinstance(done.values["tt"]["jets"], Missing)
        assert not done.is_complete
        assert not (out / "skims" / "tt" / "jets").exists()


@pytest.mark.parametrize("name", ["/TTTo2L2Nu/Run3/NANOAODSIM", "..", ".", "a/../b", "mc:x y", "ä%2F"])
def test_any_name_of_a_dataset_stays_in_the_folder(fileset, out, name):
    assert "/" not in file_name(name)
    run_analysis(analysis, {name: fileset["dy"], "other": fileset["tt"]}, out=out)
    assert len(list((out / "skims").iterdir())) == 2
    assert {p.name for p in out.parent.iterdir()} == {"out"}
    with uproot.open(out / "histograms.root") as file:
        assert f"{file_name(name)}/pt" in file


def test_no_two_names_become_one():
    names = ["a/b", "a%2Fb", "a_b", "..", "%2E%2E", ".", "a b", "a+b"]
    assert len({file_name(n) for n in names}) == len(names)


def _fill(disk, free):
    """Take all bytes of a disk but some."""
    os.posix_fallocate(
        descriptor := os.open(disk / "filler", os.O_CREAT | os.O_RDWR), 0, max(1, shutil.disk_usage(disk).free - free)
    )
    os.close(descriptor)


def _whole(file):
    """Read a file with the library that others would use."""
    match file.suffix:
        case ".parquet":
            ak.from_arrow(pq.ParquetFile(file).read())
        case ".root":
            with uproot.open(file) as opened:
                assert all(opened[k].values() is not None for k in opened.keys(recursive=True, filter_classname="TH*"))
        case ".json":
            json.loads(file.read_text())
        case ".png":
            assert file.read_bytes().endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("free", [0, 8_192, 16_384, 40_960, 65_536, 98_304, 131_072, 196_608])
def test_a_full_disk_is_told_of_with_folder_and_need_and_leaves_whole_files_only(fileset, small_disk, free):
    values = run_analysis(analysis, fileset).values
    _fill(small_disk, free)
    out = small_disk / "out"
    with pytest.raises(StoreError, match="no room") as caught:
        run_analysis(analysis, fileset, out=out)
    assert str(out) in caught.value.what
    assert "MB are needed" in caught.value.why
    assert "in the cache" in caught.value.do
    for file in [p for p in small_disk.rglob("*") if p.is_file()]:
        assert not file.name.startswith(".unfinished")
        _whole(file)
    assert not (out / "manifest.json").exists()
    (small_disk / "filler").unlink()  # the advice: make room, and nothing is computed again
    again = run_analysis(analysis, fileset, out=small_disk / "out")
    assert "computed" not in {r.state for r in again.report.tasks}
    assert ak.array_equal(again.values["tt"]["jets"].array(), values["tt"]["jets"])
    assert (out / "manifest.json").is_file()
    assert not list(small_disk.rglob(".unfinished*"))


WRITERS = {
    "the report": lambda x, place: run(x, report=place / "report.json"),
    "the plan": lambda x, place: plan(x).save(place / "plan.svg"),
    "the pin": lambda x, place: pin(Store(place / "cache"), bytes(32), "why"),
    "the sample": lambda x, place: sample_files(place / "data", Recipe(events=50)),
}


@pytest.mark.parametrize("what", WRITERS)
def test_every_other_writer_tells_of_a_full_disk_too(paths, small_disk, what):
    x = nanoaod_table(paths["tt"]).Jet.pt.Sum()
    _fill(small_disk, 0)
    with pytest.raises(StoreError, match=f"{what} cannot be written to {small_disk}.*no room"):
        WRITERS[what](x, small_disk)
    assert [p.name for p in small_disk.rglob("*") if p.is_file() and p.suffix != ".lock"] == ["filler"]


def test_a_place_for_the_report_that_cannot_be_is_refused_before_anything_runs(paths, tmp_path):
    x = nanoaod_table(paths["tt"]).Jet.pt.Sum()
    for place, why in ((tmp_path / "no" / "r.json", "there is no folder"), (tmp_path, "it is a folder")):
        with pytest.raises(StoreError, match="the report cannot be written") as caught:
            run(x, report=place)
        assert why in caught.value.why
        assert caught.value.where.file == __file__
    assert {row.state for row in run(x).report.tasks} == {"computed"}


def test_a_skim_is_read_as_awkward_reads_it(tmp_path):
    jets = ak.zip({"pt": ak.Array([[1.0, 2.0], [], [3.0]]), "n": ak.Array([[1, 2], [], [3]])}, with_name="Jet")
    for number, array in enumerate(
        [jets, ak.firsts(jets), jets.pt, ak.mask(jets.pt, [True, False, True]), ak.Array(["a", "", "b"])]
    ):
        ak.to_parquet(ak.zip({"x": array}, depth_limit=1), file := tmp_path / f"part-{number}.parquet")
        read, other = Skim(tmp_path, (file.name,), 3, "x").array(), ak.from_parquet(file)["x"]
        assert read.type == other.type
        assert ak.array_equal(read, other)


def test_no_thread_of_a_library_holds_anything_of_python_when_a_skim_was_read(fileset, out):
    """A thread that lets go of a Python object when the interpreter is gone ends the process with SIGABRT."""
    jets = run_analysis(analysis, fileset, out=out).values["tt"]["jets"]
    code = textwrap.dedent(f"""
        import os, sys
        from pathlib import Path
        from hep_flows.analysis.outputs import Skim
        skim = Skim(Path({str(jets.folder)!r}), {jets.files!r}, {jets.rows}, {jets.column!r})
        opened = []
        sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
        skim.array()
        assert not [o for o in opened if str(o).endswith(".parquet")], opened  # Python opened none: Arrow did
    """)
    subprocess.run([sys.executable, "-c", code], check=True)
