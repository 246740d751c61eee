"""One analysis over many datasets: values against plain awkward, failures, and what a second run does."""

import shutil
import sys

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, nanoaod_table, run_analysis, user_func
from hep_flows.errors import AnalysisError, HepFlowsError, LiteralError, SourceError, TaskError
from hep_flows.execute.report import Missing

pytestmark = pytest.mark.data


def analysis(events):
    good = events.Jet[events.Jet.pt > 30]
    return {
        "pt": Histogram.new.Reg(40, 0, 200, name="pt").Double().fill(pt=good.pt),
        "n": good.Count().Sum(),
        "jets": good.pt,
    }


def expected(pt):
    own = hist.Hist.new.Reg(40, 0, 200, name="pt").Double()
    own.fill(ak.to_numpy(ak.flatten(pt)))
    return own


def check(values, pt):
    assert values["pt"] == expected(pt)
    assert values["n"] == ak.count(pt)
    assert values["jets"].tolist() == pt.tolist()


def test_values_are_those_of_each_dataset(fileset, jets):
    done = run_analysis(analysis, fileset)
    assert list(done.values) == list(fileset)
    for name in fileset:
        check(done.values[name], jets(name))
    assert done.is_complete
    assert done.checked() is done.values


def test_real_files_as_they_are(data, jets):
    """PHYSLITE, a flat tree and NanoAOD in one fileset, of which only the files are named."""

    def sizes(events):
        first = next(n for n in ("AnalysisElectrons", "Jet", "NJet") if hasattr(events, n))
        return {"n": events[first].Sum() if first == "NJet" else events[first].Count().Sum()}

    names = {"zee": "PHYSLITE_example.root", "hzz": "uproot-HZZ.root", "tt": "nano_tt_v12.root"}
    done = run_analysis(sizes, {n: data(f) for n, f in names.items()})
    with uproot.open(data(names["zee"])) as file:
        electrons = file["CollectionTree"]["AnalysisElectronsAuxDyn.pt"].array()
    with uproot.open(data(names["hzz"])) as file:
        n_jets = file["events"]["NJet"].array()
    assert done.values["zee"]["n"] == ak.count(electrons)
    assert done.values["hzz"]["n"] == ak.sum(n_jets)
    assert done.values["tt"]["n"] == ak.count(jets("tt", cut=-1))
    kinds = {d.name: (d.kind, d.kind_reason) for d in done.datasets}
    assert {n: k for n, (k, _) in kinds.items()} == {"zee": "xaod", "hzz": "tree", "tt": "nanoaod"}
    assert kinds["zee"][1] == "its file has a tree CollectionTree"


def test_the_kind_may_be_said(fileset, paths):
    branches = lambda events: {"n": events.nJet.Sum()}
    by_argument = run_analysis(branches, {"dy": fileset["dy"]}, kind="tree")
    entry = {"files": [paths["dy"]], "treename": "Events", "metadata": {"schema": "tree"}}
    by_fileset = run_analysis(branches, {"dy": entry})
    assert by_argument.values == by_fileset.values
    assert by_fileset.datasets[0].kind_reason == ""


def test_parquet_is_known_by_its_ending(tmp_path):
    ak.to_parquet(ak.Array({"x": [1.0, 2.0, 3.0]}), tmp_path / "a.parquet")
    done = run_analysis(lambda events: {"x": events.x.Sum()}, tmp_path)
    assert done.values == {tmp_path.name: {"x": 6.0}}


def test_servicex_reads_what_is_written_so(paths, jets):
    """Files that are written ``localds://`` go through its code generator, in this process."""
    done = run_analysis(analysis, {"tt": {"files": {f"localds://{paths['tt']}": "Events"}}})
    check(done.values["tt"], jets("tt"))
    assert done.datasets[0].kind == "servicex:nanoaod"
    unsaid = run_analysis(analysis, {"tt": [f"localds://{paths['tt']}"]})
    assert "nothing says what kind of table" in unsaid.datasets[0].failed


def test_a_dataset_of_several_files_is_one_table(paths, jets):
    done = run_analysis(analysis, {"all": list(paths.values())}, kind="nanoaod", only="all")
    check(done.values["all"], ak.concatenate([jets(n) for n in paths]))


def test_datasets_of_one_content_have_the_same_values(fileset, jets):
    done = run_analysis(analysis, {"one": fileset["dy"], "two": fileset["dy"]})
    check(done.values["one"], jets("dy"))
    check(done.values["two"], jets("dy"))


def test_every_row_names_its_dataset(fileset):
    """A number that is made of merged results belongs to its dataset, too."""
    done = run_analysis(lambda events: analysis(events) | {"mean": events.MET.pt.Sum() / events.Count()}, fileset)
    names = [row.dataset for row in done.report.tasks]
    assert set(names) == set(fileset)
    assert all(names.count(n) == names.count("dy") for n in fileset)


def states(done):
    return {(r.dataset, r.state) for r in done.report.tasks if r.state != "not run"}


class TestASecondRun:
    def test_finds_everything(self, fileset):
        first, second = run_analysis(analysis, fileset), run_analysis(analysis, fileset)
        assert states(first) == {(n, "computed") for n in fileset}
        assert states(second) == {(n, "cached") for n in fileset}
        assert second.values["tt"]["pt"] == first.values["tt"]["pt"]

    def test_with_one_more_dataset_computes_that_one(self, fileset):
        run_analysis(analysis, fileset, only=["dy", "tt"])
        assert states(run_analysis(analysis, fileset)) == {("dy", "cached"), ("tt", "cached"), ("dimuon", "computed")}

    def test_with_refresh_computes_everything(self, fileset):
        run_analysis(analysis, fileset)
        assert states(run_analysis(analysis, fileset, refresh=True)) == {(n, "computed") for n in fileset}

    def test_takes_a_replaced_file_for_what_it_is(self, fileset, paths, tmp_path, jets):
        file = str(tmp_path / "a.root")
        shutil.copy(paths["dy"], file)
        entry = {"x": {"files": {file: "Events"}}}
        check(run_analysis(analysis, entry).values["x"], jets("dy"))
        shutil.copy(paths["tt"], file)
        check(run_analysis(analysis, entry).values["x"], jets("tt"))

    def test_takes_a_changed_cut_for_what_it_is(self, fileset, jets):
        run_analysis(analysis, fileset)
        done = run_analysis(lambda events: {"n": events.Jet[events.Jet.pt > 31].Count().Sum()}, fileset)
        assert [v["n"] for v in done.values.values()] == [ak.count(jets(n, 31)) for n in fileset]


class TestFailures:
    @pytest.fixture
    def broken(self, fileset, tmp_path):
        """One dataset has no file, one a damaged one, one another schema."""
        (tmp_path / "damaged.root").write_bytes(b"root" + b"\0" * 100)
        with uproot.recreate(tmp_path / "other.root") as file:
            file["Events"] = {"x": np.arange(3.0)}
        wrong = {"gone": "gone.root", "damaged": "damaged.root", "other": "other.root"}
        return {n: {"files": {str(tmp_path / f): "Events"}} for n, f in wrong.items()} | fileset

    def test_datasets_that_cannot_be_used_leave_the_others(self, broken, jets):
        done = run_analysis(analysis, broken)
        assert not done.is_complete
        for name in ("dy", "dimuon", "tt"):
            check(done.values[name], jets(name))
        for name in ("gone", "damaged", "other"):
            assert set(done.values[name]) == {"pt", "n", "jets"}
            assert all(isinstance(v, Missing) for v in done.values[name].values())
        reasons = {r.dataset: r.reason for r in done.report.tasks if r.state == "failed"}
        assert set(reasons) == {"gone", "damaged", "other"}
        assert "does not exist" in reasons["gone"]
        assert "has no leaf 'Jet'" in reasons["other"]
        with pytest.raises(TaskError, match="3 parts of the run failed"):
            done.checked()

    @pytest.mark.parametrize(("name", "error"), [("gone", SourceError), ("damaged", SourceError), ("other", HepFlowsError)])
    def test_the_first_error_ends_the_run_where_that_is_asked_for(self, broken, name, error):
        with pytest.raises(error):
            run_analysis(analysis, {"dy": broken["dy"], name: broken[name]}, on_error="raise")

    def test_a_dataset_that_is_mended_is_all_that_the_next_run_computes(self, broken, paths, jets):
        del broken["tt"]
        run_analysis(analysis, broken)
        (file,) = broken["gone"]["files"]
        shutil.copy(paths["tt"], file)
        done = run_analysis(analysis, broken)
        check(done.values["gone"], jets("tt"))
        assert {row for row in states(done) if row[1] != "failed"} == {("gone", "computed"), ("dy", "cached"), ("dimuon", "cached")}

    def test_a_function_that_fails_for_some_datasets_fails_there_only(self, fileset, read):
        """Drell-Yan has fewer jets than the others; nothing partial comes out of these, neither the sum nor the array."""
        n_jets = {n: read(n, "nJet").nJet for n in fileset}
        most = int(ak.max(n_jets["dy"]))
        assert min(ak.max(n_jets["tt"]), ak.max(n_jets["dimuon"])) > most

        @user_func
        def checked(n: int) -> int:
            if n > most:
                raise ValueError("too many jets")
            return n

        def counted(events):
            n = checked(events.Jet.Count())
            return {"n": n.Sum(), "all": n, "events": events.Count()}

        done = run_analysis(counted, fileset)
        assert done.values["dy"] == {"n": ak.sum(n_jets["dy"]), "all": done.values["dy"]["all"], "events": 40}
        assert done.values["dy"]["all"].tolist() == n_jets["dy"].tolist()
        for name in ("dimuon", "tt"):
            assert isinstance(done.values[name]["n"], Missing)
            assert isinstance(done.values[name]["all"], Missing)
            assert "too many jets" in done.values[name]["n"].reason
        assert [done.values[n]["events"] for n in ("dimuon", "tt")] == [40, 200]

    def test_fewer_events_than_the_fileset_says_are_an_error_of_the_dataset(self, paths):
        files = {paths["dy"]: {"object_path": "Events", "num_entries": 41, "steps": [[0, 41]]}}
        done = run_analysis(analysis, {"dy": {"files": files}, "tt": [paths["tt"]]})
        assert "has 40 events, the fileset says 41" in done.values["dy"]["n"].reason
        assert not isinstance(done.values["tt"]["n"], Missing)

    def test_an_analysis_that_fails_for_all_is_its_own_error(self, fileset):
        def wrong(events):
            return {"x": events.Jet.ptt}

        with pytest.raises(HepFlowsError, match="has no leaf 'ptt'") as caught:
            run_analysis(wrong, fileset)
        assert caught.value.where.file == __file__
        assert "events.Jet.ptt" in str(caught.value)

    def test_when_no_dataset_can_be_read_all_are_reported(self, tmp_path):
        done = run_analysis(analysis, {"a": [str(tmp_path / "a.root")], "b": [str(tmp_path / "b.root")]})
        assert done.values == {"a": {}, "b": {}}
        assert [r.dataset for r in done.report.tasks] == ["a", "b"]
        assert not done.is_complete


class TestWrongAnalyses:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (None, "gives nothing, not a dict"),
            ([1], "gives a list, not a dict"),
            ({1: None}, "gives 1, which is no name"),
            ({"a/b": None}, "which is no name"),
            ({"": None}, "which is no name"),
            ({"../x": None}, "which is no name"),
            ({"x": 3}, "gives an int as 'x', not an expression"),
            ({"x": None}, "gives nothing as 'x'"),
            ({"x": {"y": 1}}, "a name of its own"),
            ({"x": Histogram.new.Reg(5, 0, 1)}, "end the histogram with a storage"),
        ],
    )
    def test_what_is_no_dict_of_expressions_is_refused_at_its_function(self, fileset, given, says):
        def wrong(events):
            return given

        with pytest.raises(AnalysisError) as caught:
            run_analysis(wrong, fileset)
        assert says in str(caught.value)
        assert caught.value.where.line == wrong.__code__.co_firstlineno

    def test_an_expression_on_another_table_is_refused(self, fileset, paths):
        other = nanoaod_table(paths["tt"])
        with pytest.raises(AnalysisError, match="'x' is not over the events"):
            run_analysis(lambda events: {"x": other.Count()}, fileset, only=["dy"])

    def test_a_function_of_more_arguments_is_refused(self, fileset):
        with pytest.raises(AnalysisError, match=r"TypeError.*missing 1 required positional argument"):
            run_analysis(lambda events, more: {}, fileset)

    def test_an_error_of_python_is_shown_at_its_line(self, fileset):
        def wrong(events):
            return {"x": events.Jet.pt / (1 / 0)}

        with pytest.raises(AnalysisError, match="ZeroDivisionError") as caught:
            run_analysis(wrong, fileset)
        assert str(caught.value).splitlines()[1].endswith('return {"x": events.Jet.pt / (1 / 0)}')

    def test_other_arguments_are_refused(self, fileset):
        with pytest.raises(LiteralError, match="on_error"):
            run_analysis(analysis, fileset, on_error="ignore")
        with pytest.raises(AnalysisError, match="an analysis is a function or a file, not an int"):
            run_analysis(3, fileset)
        with pytest.raises(SourceError, match="no kind of table"):
            run_analysis(analysis, fileset, kind="nano")
        with pytest.raises(HepFlowsError, match="engine"):
            run_analysis(analysis, fileset, engine="spark")


class TestFiles:
    @pytest.fixture
    def write(self, tmp_path):
        def write(text, name="analysis.py"):
            (tmp_path / name).write_text(text)
            return tmp_path / name

        return write

    def test_a_file_is_read_anew_each_time(self, write, fileset, jets):
        for cut in (30, 35):
            path = write(f"def analysis(events):\n    return {{'n': events.Jet[events.Jet.pt > {cut}].Count().Sum()}}\n")
            assert run_analysis(path, fileset, only=["tt"]).values["tt"]["n"] == ak.count(jets("tt", cut))

    def test_helpers_beside_it_can_be_imported_and_do_not_stay(self, write, fileset, tmp_path, jets):
        path = write("from cuts_of_mine import CUT\ndef analysis(events):\n    import later_of_mine\n"
                     "    return {'n': events.Jet[events.Jet.pt > CUT].Count().Sum() + later_of_mine.ONE}\n")  # fmt: skip
        write("CUT = 30\n", "cuts_of_mine.py")
        write("ONE = 1\n", "later_of_mine.py")
        before = [*sys.path]
        assert run_analysis(path, fileset, only=["tt"]).values["tt"]["n"] == ak.count(jets("tt")) + 1
        assert sys.path == before
        assert not {"cuts_of_mine", "later_of_mine"} & set(sys.modules)
        other = tmp_path / "other"
        other.mkdir()
        (other / "cuts_of_mine.py").write_text("CUT = 35\n")
        (other / "later_of_mine.py").write_text("ONE = 1\n")
        shutil.copy(path, other)
        assert run_analysis(other / "analysis.py", fileset, only=["tt"]).values["tt"]["n"] == ak.count(jets("tt", 35)) + 1

    def test_a_user_function_of_a_file_is_stored_and_found(self, write, fileset):
        path = write("from hep_flows import user_func\nK = 2\n@user_func\ndef twice(x: float) -> float:\n    return K * x\n"
                     "def analysis(events):\n    return {'n': twice(events.MET.pt).Sum()}\n")  # fmt: skip
        first, second = run_analysis(path, fileset), run_analysis(path, fileset)
        assert states(second) == {(n, "cached") for n in fileset}
        assert first.values == second.values

    @pytest.mark.parametrize(
        ("text", "says", "line"),
        [
            ("def analysis(events:\n    pass\n", "is no Python", 1),
            ("x = 1\nimport not_installed_anywhere\n", "ModuleNotFoundError", 2),
            ("x = 1\ny = 1 / 0\n", "ZeroDivisionError", 2),
            ("def analyse(events):\n    return {}\n", "has no function 'analysis'", 1),
            ("analysis = 3\n", "is an int, not a function", 1),
            ("x = 1\ndef analysis(events):\n    pass\n", "did it forget its return", 2),
            ("x = 1\n\ndef analysis(events):\n    return {'n': events.Jett}\n", "did you mean 'Jet'", 4),
        ],
    )
    def test_a_wrong_file_is_an_error_at_its_line(self, write, fileset, text, says, line):
        path = write(text)
        with pytest.raises(HepFlowsError) as caught:
            run_analysis(path, fileset)
        assert says in str(caught.value)
        assert (caught.value.where.file, caught.value.where.line) == (str(path), line)

    def test_a_missing_file_is_an_error(self, tmp_path, fileset):
        with pytest.raises(AnalysisError, match="cannot be read"):
            run_analysis(tmp_path / "analysis.py", fileset)

    def test_an_error_of_a_helper_is_shown_there(self, write, fileset):
        path = write("import broken_helper\n")
        write("x = 1\ny = undefined\n", "broken_helper.py")
        with pytest.raises(AnalysisError, match="NameError") as caught:
            run_analysis(path, fileset)
        assert caught.value.where.file.endswith("broken_helper.py")
        assert caught.value.where.line == 2

    def test_without_a_fileset_the_file_makes_its_tables(self, write, paths, jets):
        table = f"from hep_flows import nanoaod_table\nevents = nanoaod_table({paths['tt']!r})\n"
        function = "def analysis(events):\n    return {'n': events.Jet[events.Jet.pt > 30].Count().Sum()}\n"
        assert run_analysis(write(table + function), None).values == {"events": {"n": ak.count(jets("tt"))}}
        tables = f"from hep_flows import nanoaod_table\nevents = {{n: nanoaod_table(p) for n, p in {paths!r}.items()}}\n"
        done = run_analysis(write(tables + function), None, only=["dy"])
        assert done.values == {"dy": {"n": ak.count(jets("dy"))}}
        with pytest.raises(AnalysisError, match="makes no table of its own"):
            run_analysis(write(function), None)
