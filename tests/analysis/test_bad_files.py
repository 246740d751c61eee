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
from typer.testing import CliRunner

from hep_flows import Histogram, run_analysis
from hep_flows.analysis.outputs import read_results
from hep_flows.cli.main import app
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


class TestPartial:
    """Results over the files that can be used: their own key, labelled, normalised by the sums of the same files."""

    def run(self, fileset, **options):
        return run_analysis(analysis, fileset, on_missing="partial", **options)

    def test_values_are_those_of_the_files_that_can_be_used(self, fileset, files):
        files[1].unlink()
        damage_basket(files[3])
        left = [f for n, f in enumerate(files) if n not in (1, 3)]
        done = self.run(fileset)
        check(done.values["mc"], left)
        assert not done.is_complete
        (note,) = done.datasets
        assert (note.files, note.expected_files, note.events, note.expected_events) == (4, 6, 80, None)
        assert {Path(b.file).name for b in done.bad_files} == {"f1.root", "f3.root"}
        assert note.sumw == sum(uproot.open(f)["Runs/genEventSumw"].array()[0] for f in left)
        assert done.values["mc"]["met"].metadata["files"] == {"processed": 4, "expected": 6}
        assert (done.values["mc"]["met"] * 2).metadata["partial"] == "mc"

    def test_a_whole_dataset_is_as_ever(self, fileset, files):
        done = self.run(fileset)
        assert done.is_complete
        assert done.partial == {}
        assert done.values["mc"]["met"].metadata is None
        check(done.values["mc"], files)
        assert {r.state for r in run_analysis(analysis, fileset).report.tasks} <= {"cached", "not run"}

    def test_a_partial_result_is_not_found_in_the_place_of_the_whole_one(self, fileset, files, originals, opened):
        files[2].unlink()
        self.run(fileset)
        shutil.copy(originals / "f2.root", files[2])
        opened.clear()
        done = run_analysis(analysis, fileset)
        assert opened_of(opened, files) == ["f2.root"]
        check(done.values["mc"], files)

    def test_what_was_withheld_is_given_without_being_computed_again(self, fileset, files, opened):
        files[2].unlink()
        run_analysis(analysis, fileset)
        opened.clear()
        done = self.run(fileset)
        check(done.values["mc"], files[:2] + files[3:])
        assert {r.state for r in done.report.tasks if r.key} <= {"cached", "not run"}

    def test_files_that_the_fileset_counts(self, files):
        said = {str(f): {"object_path": "Events", "num_entries": 20 + (n == 4)} for n, f in enumerate(files)}
        done = self.run({"mc": {"files": said, "metadata": {"xsec": 3.0}}})
        (note,) = done.datasets
        assert (note.events, note.expected_events) == (100, 121)
        assert "the fileset says 21" in done.bad_files[0].why

    @pytest.mark.parametrize("name", ["sumw", "n_events", "nevts", "sum_of_weights"])
    @pytest.mark.parametrize("read", [lambda number: number, float])
    def test_a_total_that_somebody_counted_in_all_files_is_refused(self, name, read, fileset, files):
        def normalised(ev):
            h = Histogram.new.Reg(8, 0, 160, name="met").Weight()
            return {"h": h.fill(met=ev.met, weight=ev.genWeight * ev.metadata["xsec"] / read(ev.metadata[name]))}

        fileset["mc"]["metadata"][name] = 120.0
        assert run_analysis(normalised, fileset, on_missing="partial").is_complete
        files[0].unlink()
        done = run_analysis(normalised, fileset, on_missing="partial")
        assert isinstance(done.values["mc"]["h"], Missing)
        assert f"metadata['{name}']" in done.values["mc"]["h"].reason

    def test_what_is_made_of_partial_results_has_to_be_allowed(self, fileset, files):
        files[5].unlink()
        fileset["mc"]["metadata"]["sumw"] = 1e9  # of all files, so it is not taken
        done = self.run(fileset)
        for refused in (lambda: done.processes, lambda: done.by_process(all="*"), lambda: done.scaled(1.0)):
            with pytest.raises(AnalysisError, match="mc has 5 of 6 files"):
                refused()
        scaled = done.allow_partial().scaled(2.0)
        sumw = sum(uproot.open(f)["Runs/genEventSumw"].array()[0] for f in files[:5])
        np.testing.assert_allclose(
            scaled.values["mc"]["met"].values(), done.values["mc"]["met"].values() * 6000.0 / sumw, rtol=1e-12
        )
        assert done.allow_partial().processes["mc"]["n"] == done.values["mc"]["n"]

    def test_simulation_is_not_scaled_to_the_luminosity_of_data_that_is_partial(self, fileset, files):
        fileset["data"] = {"files": fileset["mc"]["files"], "metadata": {"is_data": True}}
        fileset["mc"]["files"] = {str(f): "Events" for f in files[:3]}
        files[5].unlink()
        done = self.run(fileset).allow_partial()
        with pytest.raises(AnalysisError, match="data has 5 of 6 files"):
            done.scaled(1.0)
        scaled = done.scaled(1.0, of_processed_data=True)
        assert scaled.values["data"]["met"] == done.values["data"]["met"]

    @pytest.mark.parametrize("wrong", [{"on_missing": "some"}, {"on_missing": "partial", "on_error": "raise"}])
    def test_other_arguments_are_refused(self, wrong, fileset):
        with pytest.raises(LiteralError, match="on_missing"):
            run_analysis(analysis, fileset, **wrong)

    def test_every_file_has_the_label(self, fileset, files, originals, tmp_path):
        files[2].unlink()
        out = tmp_path / "out"
        done = self.run(fileset, out=out)
        label = {"processed": 5, "expected": 6}
        assert json.loads((out / "numbers.json").read_text())["mc"]["(partial)"]["files"] == label
        histograms = json.loads((out / "histograms.json").read_text())
        assert histograms["mc/met"]["metadata"]["metadata"]["files"] == label
        with uproot.open(out / "histograms.root") as file:
            assert json.loads(str(file["mc/(partial)"]))["files"] == label
        assert len(done.values["mc"]["skim"].paths) == 5
        for path in done.values["mc"]["skim"].paths:
            assert json.loads(pq.read_metadata(path).metadata[b"hep_flows"])["files"] == label
        check(done.values["mc"] | {"skim": done.values["mc"]["skim"].array()}, files[:2] + files[3:])
        manifest = json.loads((out / "manifest.json").read_text())
        assert not manifest["complete"]
        assert manifest["results"]["mc"]["met"]["partial"]["files"] == label
        (bad,) = json.loads((out / "quarantine.json").read_text())
        assert Path(bad["file"]).name == "f2.root"
        assert "5 of 6" in (out / "report.txt").read_text()
        again = read_results(out)
        assert again.datasets == done.datasets
        assert again.values["mc"]["met"].metadata["files"] == label
        for refused in (lambda: again.processes, lambda: again.scaled(1.0), lambda: again.plot("met")):
            with pytest.raises(AnalysisError, match="mc has 5 of 6 files"):
                refused()
        scaled = [r.allow_partial().scaled(1.0).values["mc"]["n"] for r in (again, done)]
        assert scaled[0] == scaled[1]

        shutil.copy(originals / "f2.root", files[2])
        done = run_analysis(analysis, fileset, out=out)
        assert not (out / "quarantine.json").exists()
        assert "(partial)" not in (out / "numbers.json").read_text() + (out / "histograms.json").read_text()
        assert all(b"hep_flows" not in pq.read_metadata(p).metadata for p in done.values["mc"]["skim"].paths)
        assert json.loads((out / "manifest.json").read_text())["complete"]

    def test_simulation_without_some_files_is_unbiased_and_data_is_untouched(self, fileset, files):
        """Files are dropped at random; what is normalised by the sums of the files that are left means the same, whichever they are."""
        fileset["data"] = {"files": fileset["mc"]["files"], "metadata": {"is_data": True}}
        rng = np.random.default_rng(3)
        per_file = [
            (uproot.open(f)["Events/genWeight"].array().to_numpy(), uproot.open(f)["Runs/genEventSumw"].array()[0]) for f in files
        ]

        def weights(ev):
            return {"sum": ev.genWeight.Sum(), "share": ev.genWeight.Sum() / ev.sumw, "n": ev.Count()}

        aside = files[0].parent / "aside"
        aside.mkdir()
        for _ in range(20):
            dropped = set(rng.choice(N_FILES, rng.integers(1, N_FILES), replace=False).tolist())
            for n in dropped:
                files[n].rename(aside / files[n].name)
            left = [n for n in range(N_FILES) if n not in dropped]
            done = run_analysis(weights, fileset, on_missing="partial")
            total, sumw = sum(per_file[n][0].sum() for n in left), sum(per_file[n][1] for n in left)
            assert done.values["mc"]["share"] == pytest.approx(total / sumw, rel=1e-12)
            assert done.values["data"]["n"] == 20 * len(left)
            with pytest.raises(AnalysisError, match="of 6 files"):
                done.scaled(1.0)
            for n in dropped:
                (aside / files[n].name).rename(files[n])


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_cannot_be_used_is_shown_by_its_command_alone(kind, fileset, files):
    BAD[kind](files[2])
    (bad,) = run_analysis(analysis, fileset).bad_files
    assert str(files[2]) in bad.reproduce
    program, *arguments = shlex.split(bad.reproduce)
    assert program == "hep-flows"
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 3
    assert "f2.root" in shown.output
    arguments[arguments.index(str(files[2]))] = str(files[3])
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_the_files_of_a_fileset_are_looked_at(fileset, files, tmp_path):
    with uproot.recreate(files[1]) as file:
        file.mktree("Events", {"met": "f8", "genWeight": "f8"}).extend({"met": np.ones(3), "genWeight": np.ones(3)})
    files[2].unlink()
    (tmp_path / "fileset.json").write_text(json.dumps(fileset))
    shown = CliRunner().invoke(app, ["fileset", "check", str(tmp_path / "fileset.json")])
    assert shown.exit_code == 3
    assert "mc: nanoaod, 5 of 6 files, 83 events" in shown.output
    assert "differs: other: " in shown.output
    assert "cannot be used: " in shown.output


def test_a_run_that_lacks_something_leaves_the_last_complete_results(fileset, files, originals, tmp_path):
    out, last = tmp_path / "out", tmp_path / "out" / "last-complete"
    first = run_analysis(analysis, fileset, out=out)
    assert first.is_complete
    assert not last.exists()
    content = {p: (out / p).read_bytes() for p in first.written}
    files[2].unlink()
    for _ in range(2):  # the second bad night keeps what the first one kept
        assert not run_analysis(analysis, fileset, out=out).is_complete
        assert {p: (last / p).read_bytes() for p in first.written} == content
        assert "last-complete has the results" in json.loads((out / "manifest.json").read_text())["notes"][-1]
    again = read_results(last)
    assert again.is_complete
    assert again.values["mc"]["met"] == first.values["mc"]["met"]
    shutil.copy(originals / "f2.root", files[2])
    assert run_analysis(analysis, fileset, out=out).is_complete
    assert not last.exists()
    assert read_results(out).values["mc"]["met"] == first.values["mc"]["met"]
