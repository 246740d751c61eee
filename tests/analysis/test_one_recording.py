"""An analysis is recorded once, and again wherever something differs that it looked at: nothing of one dataset gets into another."""

import copy
import math

import awkward as ak
import numpy as np
import pytest

from hep_flows import Histogram, alias_scope, define_alias, make_local, nanoaod_table, plan, run_analysis, user_func
from hep_flows.errors import AnalysisError, FieldError, RecordError

pytestmark = pytest.mark.data


def with_values(fileset, **values):
    """Give the fileset with a value of each name for each dataset, in order; None leaves it out."""
    for name, given in values.items():
        for entry, value in zip(fileset.values(), given, strict=True):
            entry.setdefault("metadata", {}).pop(name, None)
            if value is not None:
                entry["metadata"][name] = value
    return fileset


def sums(done, name="x"):
    return [values[name] for values in done.values.values()]


class TestMetadata:
    def test_without_metadata_there_is_one_recording(self, fileset):
        done = run_analysis(lambda events: {"n": events.Jet.pt.Count().Sum()}, fileset)
        assert done.recordings == 1
        assert done.is_complete

    def test_a_cross_section_of_one_dataset_is_never_that_of_another(self, fileset, jets):
        fileset = with_values(fileset, xsec=[2.0, 3.0, 5.0])
        done = run_analysis(lambda events: {"x": events.Jet.pt.Sum().Sum() * events.metadata["xsec"]}, fileset)
        assert done.recordings == 1
        for (name, values), xsec in zip(done.values.items(), [2, 3, 5], strict=True):
            assert values["x"] == pytest.approx(
                np.sum(ak.to_numpy(ak.flatten(jets(name, cut=-1))), dtype=np.float64) * xsec, rel=1e-6
            )

    def test_a_changed_cross_section_is_seen_by_the_next_run(self, fileset):
        analysis = lambda events: {"x": events.Count() * events.metadata["xsec"]}
        assert sums(run_analysis(analysis, with_values(fileset, xsec=[2.0, 3.0, 5.0]))) == [80, 120, 1000]
        assert sums(run_analysis(analysis, with_values(fileset, xsec=[2.0, 7.0, 5.0]))) == [80, 280, 1000]

    def test_datasets_with_the_same_values_share_a_recording(self, fileset):
        fileset = with_values(fileset, xsec=[2.0, 2.0, 5.0], other=[1, 2, 3])
        assert run_analysis(lambda events: {"x": events.Count() * float(events.metadata["xsec"])}, fileset).recordings == 2

    def test_values_that_are_computed_with_are_read_by_no_recording(self, fileset):
        fileset = with_values(fileset, xsec=[2.0, 3.0, 5.0], lumi=[1, 2, 3])

        def analysis(events):
            m = events.metadata
            return {"x": events.Count() * (m["xsec"] * m["lumi"] / 2 + 1 - 0.5) ** 2, "y": 2 * events.MET.pt.Max() / m["lumi"]}

        done = run_analysis(analysis, fileset)
        assert done.recordings == 1
        plain = [n * (x * m / 2 + 1 - 0.5) ** 2 for n, x, m in zip((40, 40, 200), (2.0, 3.0, 5.0), (1, 2, 3), strict=True)]
        assert sums(done) == plain

    @pytest.mark.parametrize(
        "use",
        [
            math.log,
            lambda x: float(f"{x:.3f}"),
            lambda x: 2.0 if x > 2 else 1.0,
            lambda x: {2.0: 1.0}.get(x, 3.0),
            lambda x: x // 1,
            lambda x: np.float64(2) * x,
            np.sqrt,
            lambda x: np.ones(2).dot(np.full(2, x)),
            abs,
            lambda x: x.is_integer() * 1.0,
            copy.copy,
            lambda x: isinstance(x, float) * round(x, 1),
            lambda x: float(int(x) & 6),
        ],
    )
    def test_every_other_use_reads_the_value(self, fileset, use):
        values = [2.0, 3.0, 5.5]
        done = run_analysis(lambda e: {"x": e.Count() * use(e.metadata["xsec"])}, with_values(fileset, xsec=values))
        assert done.recordings == 3
        assert sums(done) == [n * use(v) for n, v in zip((40, 40, 200), values, strict=True)]

    @pytest.mark.parametrize("values", [[1, 1.0, True], [0.0, -0.0, False], [[1, 2], [2, 1], (1, 2)], ["1", 1, b"1"]])
    def test_values_that_python_calls_equal_are_told_apart(self, fileset, values):
        seen = []

        def analysis(events):
            seen.append(copy.copy(events.metadata["v"]))
            return {"n": events.Count()}

        assert run_analysis(analysis, with_values(fileset, v=values)).recordings == 3
        assert [(type(v), v) for v in seen] == [(type(v), v) for v in values]

    @pytest.mark.parametrize(
        "look",
        [
            lambda m: m.get("xsec", 1.0),
            lambda m: m["xsec"] if "xsec" in m else 1.0,  # noqa: SIM401
            lambda m: dict(m).get("xsec", 1.0),
            lambda m: dict(m.items()).get("xsec", 1.0),
            lambda m: {**m}.get("xsec", 1.0),
            lambda m: next((v for k, v in m.items() if k == "xsec"), 1.0),
            lambda m: float(len(m)),
            lambda m: 2.0 if m == {"dataset": "dy", "xsec": 2.0} else 1.0,
            lambda m: 2.0 if "2.0" in repr(m) else 1.0,
            lambda m: 2.0 if "2.0" in f"{m}" else 1.0,
            lambda m: __import__("copy").deepcopy(m).get("xsec", 1.0),
            lambda m: __import__("copy").copy(m).get("xsec", 1.0),
            lambda m: (m | {"a": 1} if hasattr(m, "__or__") else dict(m)).get("xsec", 1.0),
        ],
    )
    def test_however_it_is_looked_at(self, fileset, look):
        fileset = with_values(fileset, xsec=[2.0, None, None], is_mc=[None] * 3)
        done = run_analysis(lambda events: {"x": events.Count() * look(events.metadata)}, fileset)
        assert sums(done)[0] == 80
        assert sums(done)[1] in (40, 40.0)
        assert sums(done)[2] in (200, 200.0)
        assert done.recordings > 1

    def test_a_number_may_be_the_limit_of_an_axis_or_have_its_bits_taken(self, fileset, read):
        def analysis(events):
            n = events.metadata["n"]
            return {"h": np.histogram(events.MET.pt, bins=n, range=(0, n)), "x": events.Count() * (n & 3) * (4 | n)}

        done = run_analysis(analysis, with_values(fileset, n=[3, 5, 6]))
        for (name, values), n in zip(done.values.items(), (3, 5, 6), strict=True):
            counts, edges = np.histogram(ak.to_numpy(read(name, "MET_pt").MET_pt), bins=n, range=(0, n))
            assert values["h"][0].tolist() == counts.tolist()
            assert values["h"][1].tolist() == edges.tolist()
            assert values["x"] == len(read(name, "MET_pt")) * (n & 3) * (4 | n)

    def test_the_name_of_the_dataset_is_looked_at_like_any_other_value(self, fileset):
        done = run_analysis(lambda events: {"x": events.Count() * (1 + (events.metadata["dataset"] == "tt"))}, fileset)
        assert sums(done) == [40, 40, 400]

    def test_a_function_elsewhere_that_looks_counts_too(self, fileset):
        def weight(events):
            return 10 if "dy" in events.metadata["dataset"] else 1

        with alias_scope():
            define_alias(".", "wgt", lambda e: e.MET.pt * 0 + weight(e))
            done = run_analysis(lambda events: {"x": events.wgt.Sum()}, fileset)
        assert sums(done) == [400, 40, 200]

    def test_a_global_that_the_analysis_sets_is_set_for_each(self, fileset):
        state = {}

        def helper(x):
            return x * state["xsec"]

        def analysis(events):
            state["xsec"] = events.metadata["xsec"]
            return {"x": helper(events.Count())}

        assert sums(run_analysis(analysis, with_values(fileset, xsec=[2, 3, 4]))) == [80, 120, 800]

    def test_what_was_looked_at_for_one_dataset_only_counts_for_it(self, fileset):
        fileset = with_values(fileset, is_mc=[True, False, True], xsec=[2.0, 99.0, 5.0])

        def analysis(events):
            return {"x": events.Count() * (events.metadata["xsec"] if events.metadata["is_mc"] else 1)}

        assert sums(run_analysis(analysis, fileset)) == [80, 40, 1000]

    def test_a_list_cannot_be_changed_for_the_next_recording(self, fileset):
        def analysis(events):
            cuts = events.metadata["cuts"]
            cuts.append(1000)
            return {"x": events.Count() * len(cuts)}

        entry = with_values(fileset, cuts=[[1], [1], [1, 2]])
        assert sums(run_analysis(analysis, entry)) == [80, 80, 600]
        assert entry["dy"]["metadata"]["cuts"] == [1]

    def test_a_value_that_is_missing_names_those_that_are_there(self, fileset):
        with pytest.raises(AnalysisError, match=r"fails on the dataset 'dy'.*KeyError.*did you mean 'xsec'") as caught:
            run_analysis(lambda events: {"x": events.Count() * events.metadata["xscc"]}, fileset)
        assert caught.value.where.text().endswith("^" * len('events.metadata["xscc"]'))

    def test_a_function_that_runs_later_cannot_look_at_what_was_not_recorded(self, fileset):
        fileset = with_values(fileset, xsec=[2.0, 3.0, 5.0])

        def analysis(events):
            metadata = events.metadata

            @user_func
            def scaled(x: float) -> float:
                return x * metadata["xsec"]

            return {"x": scaled(events.MET.pt).Sum()}

        done = run_analysis(analysis, fileset)
        assert not done.is_complete
        assert not any(values["x"] for values in done.values.values())
        assert any("was recorded" in str(e) for e in done.report.errors)

    def test_metadata_cannot_be_written(self, fileset):
        def analysis(events):
            events.metadata["xsec"] = 3
            return {}

        with pytest.raises(AnalysisError, match="TypeError"):
            run_analysis(analysis, fileset)


class TestOtherThingsToLookAt:
    def test_a_leaf_that_only_some_have_may_be_asked_for(self, fileset, read):
        """Drell-Yan and ttbar are simulated, the muons are data."""

        def analysis(events):
            return {"x": events.GenPart.Count().Sum() if hasattr(events, "GenPart") else events.Count() * 0 - 1}

        expected = [ak.sum(read(n, "nGenPart").nGenPart) if n != "dimuon" else -1 for n in fileset]
        assert sums(run_analysis(analysis, fileset)) == expected
        back = dict(reversed(fileset.items()))
        assert sums(run_analysis(analysis, back)) == expected[::-1]
        muons_first = {n: fileset[n] for n in ("dimuon", "dy", "tt")}
        assert sums(run_analysis(analysis, muons_first)) == [expected[1], expected[0], expected[2]]

    @pytest.mark.parametrize("first", ["dimuon", "tt"])
    def test_what_is_asked_for_and_not_used_counts_too(self, fileset, first):
        fileset = {first: fileset.pop(first), **fileset}

        def analysis(events):
            return {"x": events.Count() * (2 if hasattr(events, "GenPart") else 1)}

        done = run_analysis(analysis, fileset)
        assert {n: v["x"] for n, v in done.values.items()} == {"dy": 80, "dimuon": 40, "tt": 400}

    @pytest.mark.parametrize(
        "has",
        [
            lambda e: "GenPart" in dir(e),
            lambda e: "GenPart" in repr(dir(e)),
            lambda e: "GenPart" in e.__doc__,
            lambda e: getattr(e, "GenPart", None) is not None,
        ],
    )
    def test_names_may_be_listed(self, fileset, has):
        done = run_analysis(lambda events: {"x": events.Count() * (2 if has(events) else 1)}, fileset)
        assert {n: v["x"] for n, v in done.values.items()} == {"dy": 80, "dimuon": 40, "tt": 400}

    def test_a_number_that_was_computed_on_the_way_is_that_of_each_dataset(self, fileset, read):
        def analysis(events):
            cut = make_local(events.MET.pt.Mean())
            return {"x": events[events.MET.pt > cut].Count()}

        done = run_analysis(analysis, fileset)
        assert done.recordings == 3
        for name, values in done.values.items():
            met = ak.to_numpy(read(name, "MET_pt").MET_pt)
            assert values["x"] == np.sum(met > np.mean(met, dtype=np.float64))

    def test_a_plan_that_is_looked_at_is_that_of_each_dataset(self, fileset):
        done = run_analysis(lambda events: {"x": events.Count() * len(plan(events.Count()).columns)}, fileset)
        assert done.recordings == 3

    def test_an_alias_of_one_dataset_is_not_there_for_the_next(self, fileset):
        def analysis(events):
            if events.metadata["dataset"] == "dy":
                define_alias(".", "only_dy", lambda e: e.run)
            return {"x": events.Count() * (2 if hasattr(events, "only_dy") else 1)}

        assert sums(run_analysis(analysis, fileset)) == [80, 40, 200]

    def test_leaves_of_another_type_are_recorded_again(self, tmp_path):
        """With truth values the brackets select, with integers they pick one for each event."""
        import uproot

        x = ak.Array([[10.0, 20.0], [30.0, 40.0]])
        for name, at in (("bool", np.array([True, False])), ("int", np.array([1, 0]))):
            with uproot.recreate(tmp_path / f"{name}.root") as file:
                file.mktree("t", {"x": x.layout.form.type, "at": at.dtype})
                file["t"].extend({"x": x, "at": at})
        fileset = {n: {"files": {str(tmp_path / f"{n}.root"): "t"}} for n in ("bool", "int")}
        for order in (fileset, dict(reversed(fileset.items()))):
            done = run_analysis(lambda events: {"x": events.x[events.at]}, order)
            assert done.recordings == 2
            assert done.values["bool"]["x"].tolist() == [[10.0, 20.0], []]
            assert done.values["int"]["x"].tolist() == [20.0, 30.0]


class TestOtherTrees:
    """Whether a tree is there, and what it has, is looked at like the leaves of the events."""

    @pytest.fixture
    def files(self, tmp_path):
        import uproot

        runs = {"data": {"run": [1]}, "mc": {"run": [1, 1], "genEventCount": [7, 3], "extra": [2.0, 1.0]}, "none": None}
        for name, leaves in runs.items():
            with uproot.recreate(tmp_path / f"{name}.root") as file:
                file["Events"] = {"x": np.arange(4.0)}
                if leaves is not None:
                    file["Runs"] = {n: np.array(v) for n, v in leaves.items()}
        return {n: {"files": {str(tmp_path / f"{n}.root"): "Events"}} for n in runs}

    @pytest.mark.parametrize("order", [("data", "mc", "none"), ("none", "mc", "data"), ("mc", "none", "data")])
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            (lambda e: e.n_generated * 1, {"data": 4, "mc": 10, "none": 4}),
            (lambda e: e.x.Sum() * (2 if hasattr(e.tree("Runs"), "extra") else 1), {"data": 6, "mc": 12}),
            (lambda e: e.tree("Runs").extra.Sum() if hasattr(e.tree("Runs"), "extra") else e.Count() * 1.0, {"data": 4, "mc": 3}),
        ],
    )
    def test_what_one_dataset_has_is_not_taken_for_another(self, asked, expected, order, files):
        done = run_analysis(lambda e: {"x": asked(e)}, {n: files[n] for n in order})
        assert {n: done.values[n]["x"] for n in expected} == expected
        assert done.is_complete == ("none" in expected)


class TestTheNameMetadata:
    def test_tables_without_a_fileset_have_none(self, paths):
        df = nanoaod_table(paths["dy"])
        assert dict(df.metadata) == {}
        assert dict(df[df.MET.pt > 10].metadata) == {}

    def test_selected_events_have_that_of_the_dataset(self, fileset):
        done = run_analysis(
            lambda events: {"x": events.Count() * events[events.MET.pt > 0].metadata["xsec"]}, {"dy": fileset["dy"]}
        )
        assert sums(done) == [40 * 6077.22]

    @pytest.fixture
    def leaf(self, tmp_path):
        import uproot

        with uproot.recreate(tmp_path / "a.root") as file:
            file["t"] = {"metadata": np.array([1.0, 2.0])}
        return {"a": {"files": {str(tmp_path / "a.root"): "t"}, "metadata": {"scale": 10}}}

    def test_a_leaf_of_that_name_is_had_with_brackets(self, leaf):
        done = run_analysis(lambda events: {"x": events["metadata"].Sum() * events.metadata["scale"]}, leaf)
        assert sums(done) == [30.0]

    def test_on_a_collection_it_is_the_leaf(self, paths):
        df = nanoaod_table(paths["dy"])
        df.Jet["metadata"] = df.Jet.pt * 2
        assert ak.all(make_local(df.Jet.metadata) == make_local(df.Jet.pt * 2))
        with pytest.raises(FieldError, match="has no leaf 'metadata'"):
            _ = df.Muon.metadata


def test_recording_again_for_a_histogram_gives_the_same_bits(fileset, jets):
    """The oracle fills each dataset's own weight with hist alone."""
    import hist

    fileset = with_values(fileset, xsec=[0.1, 0.7, 0.3])

    def analysis(events):
        good = events.Jet[events.Jet.pt > 30]
        new = Histogram.new.Reg(40, 0, 200, name="pt").Weight()
        return {"h": new.fill(pt=good.pt, weight=events.metadata["xsec"])}

    done = run_analysis(analysis, fileset)
    for name, xsec in zip(fileset, [0.1, 0.7, 0.3], strict=True):
        own = hist.Hist.new.Reg(40, 0, 200, name="pt").Weight()
        own.fill(ak.to_numpy(ak.flatten(jets(name))), weight=xsec)
        assert np.allclose(done.values[name]["h"].view(flow=True).value, own.view(flow=True).value, rtol=1e-12)


def test_metadata_is_not_sent_elsewhere(fileset):
    def analysis(events):
        events.metadata.__reduce__()
        return {}

    with pytest.raises(RecordError, match="cannot be pickled"):
        run_analysis(analysis, fileset)
