"""Processes and luminosities against the arithmetic by hand."""

import numpy as np
import pytest
import uproot

from hep_flows import Histogram, cutflow, run_analysis, vary
from hep_flows.analysis.outputs import read_results
from hep_flows.errors import AnalysisError, LiteralError
from hep_flows.execute.report import Missing

N = {"tt_semi": 40, "tt_had": 30, "wjets": 20, "data_a": 50, "data_b": 10}
SUMW = {"tt_semi": 400.0, "tt_had": 900.0, "wjets": 50.0}


@pytest.fixture
def fileset(tmp_path):
    rng = np.random.default_rng(7)
    given = {}
    for name, n in N.items():
        path = tmp_path / f"{name}.root"
        with uproot.recreate(path) as file:
            leaves = {"met": rng.exponential(40, n).astype("f4")}
            if name in SUMW:
                leaves["genWeight"] = rng.choice([-1.0, 1.0, 2.0], n).astype("f4")
                file.mktree("Runs", {"genEventSumw": "f8"}).extend({"genEventSumw": np.array([SUMW[name] / 2] * 2)})
            file.mktree("Events", {k: v.dtype for k, v in leaves.items()}).extend(leaves)
        given[name] = {"files": {str(path): "Events"}, "metadata": {}}
    given["tt_semi"]["metadata"] = {"xsec": 365.0, "process": "ttbar", "k_factor": 1.5}
    given["tt_had"]["metadata"] = {"xsec": 377.0, "process": "ttbar"}
    given["wjets"]["metadata"] = {"xsec": 6e4, "filter_efficiency": 0.5}
    given["data_a"]["metadata"] = {"process": "data"}
    given["data_b"]["metadata"] = {"process": "data"}
    return given


def analysis(ev):
    weight = ev.get("genWeight", 1.0) if hasattr(ev, "genWeight") else None
    empty = Histogram.new.Reg(10, 0, 100, name="met").Weight()
    return {
        "met": empty.fill(met=ev.met, weight=weight) if weight is not None else empty.fill(met=ev.met),
        "n": ev[ev.met > 30].Count(),
        "flow": cutflow(ev[ev.met > 30]),
        "array": ev.met,
    }


def test_datasets_of_a_process_are_added(fileset):
    done = run_analysis(analysis, fileset)
    assert list(done.processes) == ["ttbar", "wjets", "data"]
    ttbar = done.processes["ttbar"]
    assert ttbar["met"] == done.values["tt_semi"]["met"] + done.values["tt_had"]["met"]
    assert ttbar["n"] == done.values["tt_semi"]["n"] + done.values["tt_had"]["n"]
    assert [r.events for r in ttbar["flow"]] == [70, ttbar["n"]]
    assert "array" not in ttbar


def test_patterns_of_names_make_processes(fileset):
    done = run_analysis(analysis, fileset)
    assert list(done.by_process(top="tt_*", rest=["w*", "data_a"])) == ["top", "rest", "data"]


def test_simulation_is_scaled_and_data_is_not(fileset):
    done = run_analysis(analysis, fileset)
    scaled = done.scaled(lumi=2.0)
    factors = {
        "tt_semi": 365.0 * 1.5 * 2.0 * 1000 / 400.0,
        "tt_had": 377.0 * 2.0 * 1000 / 900.0,
        "wjets": 6e4 * 0.5 * 2.0 * 1000 / 50.0,
        "data_a": 1.0,
        "data_b": 1.0,
    }
    for name, factor in factors.items():
        before, after = done.values[name]["met"], scaled.values[name]["met"]
        np.testing.assert_allclose(after.values(flow=True), before.values(flow=True) * factor, rtol=1e-12)
        np.testing.assert_allclose(after.variances(flow=True), before.variances(flow=True) * factor**2, rtol=1e-12)
        assert scaled.values[name]["n"] == pytest.approx(done.values[name]["n"] * factor)
        assert scaled.values[name]["flow"][0].events == N[name]
        assert scaled.values[name]["flow"][0].sumw == pytest.approx(N[name] * factor)
    assert scaled.processes["data"]["met"] == done.processes["data"]["met"]
    with pytest.raises(AnalysisError, match="normalised already"):
        scaled.scaled(lumi=2.0)


def test_a_changed_cross_section_computes_nothing(fileset):
    run_analysis(analysis, fileset).scaled(lumi=2.0)
    fileset["tt_semi"]["metadata"]["xsec"] = 400.0
    done = run_analysis(analysis, fileset)
    assert {r.state for r in done.report.tasks} <= {"cached", "not run"}
    assert done.scaled(lumi=2.0).values["tt_semi"]["n"] == pytest.approx(done.values["tt_semi"]["n"] * 400 * 1.5 * 2 * 1000 / 400)


@pytest.mark.parametrize(
    ("weight", "named"),
    [
        (lambda ev: ev.metadata["xsec"] * ev.met, "xsec"),
        (lambda ev: float(ev.metadata["xsec"]) * ev.met, "xsec"),
        (lambda ev: ev.met / ev.sumw, "sumw"),
    ],
)
def test_what_is_normalised_already_is_not_scaled_again(weight, named, fileset):
    def normalised(ev):
        return {"h": Histogram.new.Reg(10, 0, 100, name="met").Weight().fill(met=ev.met, weight=weight(ev))}

    done = run_analysis(normalised, {"tt_semi": fileset["tt_semi"]})
    with pytest.raises(AnalysisError, match=f"normalised already.*{named}") as caught:
        done.scaled(lumi=1.0)
    assert caught.value.where.file == __file__


def test_a_process_of_which_a_dataset_failed_is_missing(fileset, tmp_path):
    fileset["tt_had"]["files"] = {str(tmp_path / "gone.root"): "Events"}
    done = run_analysis(analysis, fileset)
    assert isinstance(done.processes["ttbar"]["met"], Missing)
    assert done.processes["wjets"]["n"] == done.values["wjets"]["n"]


def test_variations_are_added_and_scaled_one_by_one(fileset):
    def varied(ev):
        d = vary(ev.met, "met", up=ev.met * 2.0)
        return {"h": Histogram.new.Reg(10, 0, 100, name="met").Weight().fill(met=d), "n": (d > 30).Sum()}

    done = run_analysis(varied, fileset)
    scaled = done.scaled(lumi=1.0)
    assert list(done.processes["ttbar"]["n"]) == ["nominal", "metUp"]
    factor = 6e4 * 0.5 * 1000 / 50.0
    assert scaled.processes["wjets"]["n"]["metUp"] == pytest.approx(done.processes["wjets"]["n"]["metUp"] * factor)
    assert list(scaled.processes["wjets"]["h"].axes["variation"]) == ["nominal", "metUp"]


@pytest.mark.parametrize("lumi", [0, -1.0, "59.7", True, float("inf"), float("nan")])
def test_what_is_no_luminosity(lumi, fileset):
    done = run_analysis(analysis, {"data_a": fileset["data_a"]})
    with pytest.raises(AnalysisError, match="a luminosity is"):
        done.scaled(lumi=lumi)


def test_simulation_without_a_cross_section_is_an_error(fileset):
    del fileset["wjets"]["metadata"]["filter_efficiency"], fileset["wjets"]["metadata"]["xsec"]
    with pytest.raises(AnalysisError, match="nothing says the cross section of wjets"):
        run_analysis(analysis, fileset).scaled(lumi=1.0)


def test_a_sum_of_weights_that_is_said_is_taken(fileset):
    fileset["wjets"]["metadata"]["sumw"] = 25.0
    done = run_analysis(analysis, {"wjets": fileset["wjets"]})
    assert done.scaled(lumi=1.0).values["wjets"]["n"] == pytest.approx(done.values["wjets"]["n"] * 6e4 * 0.5 * 1000 / 25)


# Variations with a sum of weights of their own -----------------------------------------------------------------------------------


@pytest.fixture
def scales(tmp_path):
    """Give two datasets with a weight and two variations of it, and the sums of all three over what was generated."""
    rng = np.random.default_rng(3)
    fileset, events = {}, {}
    for name, n, sums in (("a", 50, (400.0, [0.8, 1.3])), ("b", 30, (900.0, [1.1, 0.7]))):
        path = tmp_path / f"{name}.root"
        w = rng.choice([-1.0, 1.0, 2.0], n).astype("f4")
        leaves = {
            "met": rng.exponential(40, n).astype("f4"),
            "genWeight": w,
            "up": w * 1.5,
            "down": w * rng.uniform(0.5, 1, n).astype("f4"),
        }
        with uproot.recreate(path) as file:
            file.mktree("Events", {k: v.dtype for k, v in leaves.items()}).extend(leaves)
            runs = {
                "genEventSumw": np.array([sums[0] / 2] * 2),
                "up": np.array([sums[1][0]] * 2),
                "down": np.array([sums[1][1]] * 2),
            }
            file.mktree("Runs", {k: v.dtype for k, v in runs.items()}).extend(runs)
        fileset[name] = {"files": {str(path): "Events"}, "metadata": {"xsec": 10.0 * n, "process": "p"}}
        events[name] = (
            leaves,
            {"nominal": sums[0], "scaleUp": sums[0] * sums[1][0], "scaleDown": sums[0] * sums[1][1], "puUp": sums[0]},
        )
    return fileset, events


def scaled_analysis(ev):
    runs = ev.tree("Runs")
    sums = {word: (runs.genEventSumw * runs[word]).Sum() for word in ("up", "down")}
    w = vary(ev.genWeight, "scale", {"up": ev.up, "down": ev.down}, sumw=sums)
    w = w * vary(ev.met * 0 + 1, "pu", up=ev.met * 0 + 2)
    empty = Histogram.new.Reg(10, 0, 100, name="met").Weight()
    return {"met": empty.fill(met=ev.met, weight=w), "sum": (w * 1.0).Sum(), "flow": cutflow(ev[ev.met > 30], weight=w)}


def test_each_variation_is_scaled_by_its_own_sum_of_weights(scales):
    fileset, events = scales
    done = run_analysis(scaled_analysis, fileset)
    assert done.recordings == 1
    scaled = done.scaled(lumi=2.0)
    for name, (leaves, sums) in events.items():
        met = np.asarray(leaves["met"])
        weights = {
            "nominal": leaves["genWeight"],
            "scaleUp": leaves["up"],
            "scaleDown": leaves["down"],
            "puUp": leaves["genWeight"] * 2,
        }
        for variation, w in weights.items():
            factor = fileset[name]["metadata"]["xsec"] * 2000 / sums[variation]
            bins = scaled.values[name]["met"][variation, :]
            want, _ = np.histogram(met, 10, (0, 100), weights=np.asarray(w, "f8"))
            np.testing.assert_allclose(bins.values(), want * factor, rtol=1e-12)
            np.testing.assert_allclose(
                bins.variances(), np.histogram(met, 10, (0, 100), weights=np.asarray(w, "f8") ** 2)[0] * factor**2
            )
            assert scaled.values[name]["sum"][variation] == pytest.approx(np.sum(np.asarray(w, "f8")) * factor)
            row = scaled.values[name]["flow"][variation][1]
            assert row.sumw == pytest.approx(np.sum(np.asarray(w, "f8")[met > 30]) * factor)
    both = scaled.processes["p"]["met"]
    assert both == scaled.values["a"]["met"] + scaled.values["b"]["met"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda ev: vary(ev.genWeight, "s", {"up": ev.up}, sumw={"down": 3.0}), "none of up, has no sum of weights"),
        (lambda ev: vary(ev.genWeight, "s", {"up": ev.up}, sumw={"up": ev.up}), "a sum of weights is one number"),
        (lambda ev: vary(ev, "s", met={"up": ev.up}, sumw={"met": 3.0}), "a collection has no sum of weights"),
        (
            lambda ev: vary(ev.up, "s", up=ev.up, sumw={"up": 3.0}) * vary(ev.down, "s", up=ev.up, sumw={"up": 4.0}),
            "sUp has another sum of weights already",
        ),
    ],
)
def test_what_is_no_sum_of_a_variation(wrong, says, scales):
    with pytest.raises(LiteralError, match=says) as caught:
        run_analysis(lambda ev: {"x": wrong(ev)}, scales[0])
    assert caught.value.where.file == __file__


def test_a_sum_of_weights_of_zero_scales_nothing(scales):
    def none(ev):
        return {"sum": vary(ev.genWeight, "s", {"up": ev.up}, sumw={"up": 0.0}).Sum()}

    with pytest.raises(AnalysisError, match=r"the sum of weights of sUp of a is 0\.0"):
        run_analysis(none, scales[0]).scaled(lumi=1.0)


def varied(ev):
    weight = ev.get("genWeight", 1.0) if hasattr(ev, "genWeight") else None
    empty = Histogram.new.Reg(10, 0, 100, name="met").StrCat(["low", "high"], name="region").Weight()
    given = {} if weight is None else {"weight": vary(weight, "pu", up=weight * 1.1, down=weight * 0.9)}
    return {"met": empty.fill(met=ev.met, region={"low": ev.met < 40, "high": ev.met > 40}, **given)}


def test_a_stack_has_the_scaled_processes_the_data_and_the_variations(fileset):
    done = run_analysis(varied, fileset)
    with pytest.raises(AnalysisError, match="'met' of tt_semi is not normalised"):
        done.stack("met", select={"region": "high"})
    scaled = done.scaled(lumi=2.0)
    figure = scaled.stack("met", select={"region": "high"})
    high = {p: v["met"][{"region": "high"}] for p, v in scaled.processes.items()}
    nominal = [high[p][{"variation": "nominal"}] for p in ("ttbar", "wjets")]
    total, variance = sum(h.values() for h in nominal), sum(h.variances() for h in nominal)
    (band,) = [p for p in figure.axes[0].patches if p.get_hatch()]
    np.testing.assert_allclose(np.nan_to_num(band.get_data().values), total + np.sqrt(variance + (0.1 * total) ** 2))
    (bars,) = [c for c in figure.axes[0].containers if type(c).__name__ == "ErrorbarContainer"]
    data = high["data"].values()
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), data[data > 0])
    assert figure.axes[0].get_ylabel() == "Events / 10"
    assert "2 fb" in figure.axes[0].get_title(loc="right")
    for asked, told in (("mett", "no result 'mett'"), ("array", "no result 'array'")):
        with pytest.raises(AnalysisError, match=told):
            scaled.stack(asked)
    with pytest.raises(AnalysisError, match="no process 'wjet'"):
        scaled.stack("met", signal="wjet", select={"region": sum})
    assert len(scaled.variations("met", "pu", select={"region": sum}).axes) == 2
    assert len(done.plot("met", "ttbar", select={"region": "low"}).axes) == 1


def test_a_process_with_a_missing_part_is_not_stacked(fileset, tmp_path):
    fileset["tt_had"]["files"] = {str(tmp_path / "gone.root"): "Events"}
    with pytest.raises(AnalysisError, match="'met' of ttbar is missing"):
        run_analysis(varied, fileset).plot("met")


# An inclusive sample and samples of parts of its phase space ------------------------------------------------------------------------


@pytest.fixture
def stitched(tmp_path):
    """Give an inclusive sample and two binned ones, and their events: jets at the generator, a value, a weight."""
    rng = np.random.default_rng(5)
    rules = {"incl": "njets", "one": {"njets": [1, 2]}, "more": {"njets": [3, None]}}
    fileset, events = {}, {}
    for name, (low, high), xsec, sumw in (
        ("incl", (0, 6), 60.0, 500.0),
        ("one", (1, 2), 20.0, 900.0),
        ("more", (3, 6), 4.0, 300.0),
    ):
        n = 80
        leaves = {"njets": rng.integers(low, high, n).astype("i4"), "met": rng.exponential(40, n).astype("f4")}
        leaves["genWeight"] = rng.choice([-1.0, 1.0, 2.0], n).astype("f4")
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file.mktree("Events", {k: v.dtype for k, v in leaves.items()}).extend(leaves)
            file.mktree("Runs", {"genEventSumw": "f8", "up": "f8"}).extend(
                {"genEventSumw": np.array([sumw]), "up": np.array([sumw * 1.5])}
            )
        metadata = {"xsec": xsec, "k_factor": 1.2, "process": "V", "stitch": rules[name]}
        fileset[name] = {"files": {str(tmp_path / f"{name}.root"): "Events"}, "metadata": metadata}
        events[name] = leaves, sumw / (xsec * 1.2 * 1000)
    return fileset, events


def by_jets(ev, storage="Weight"):
    w = vary(ev.genWeight, "s", {"up": ev.genWeight * 2}, sumw={"up": ev.tree("Runs").up.Sum()})
    h = getattr(Histogram.new.Integer(0, 5, name="njets").Reg(5, 0, 100, name="met"), storage)()
    return {"met": h.fill(njets=ev.njets, met=ev.met, weight=w), "nominal": h.fill(njets=ev.njets, met=ev.met, weight=ev.genWeight)}


@pytest.mark.parametrize("read_again", [False, True])
def test_samples_are_stitched_by_the_luminosity_that_they_have_together(read_again, stitched, tmp_path):
    fileset, events = stitched
    done = run_analysis(by_jets, fileset, out=tmp_path / "out")
    if read_again:
        done = read_results(tmp_path / "out")
    total = done.scaled(lumi=3.0).processes["V"]
    lumis = {name: lumi for name, (_, lumi) in events.items()}
    of = {0: ["incl"], 1: ["incl", "one"], 2: ["incl"], **{key: ["incl", "more"] for key in (3, 4, 5)}}
    for variation, weight, sums in (("nominal", 1, 1.0), ("sUp", 2, 1.5)):
        want = np.zeros((7, 7))
        for leaves, _ in events.values():
            for jets, met, w in zip(leaves["njets"], leaves["met"], leaves["genWeight"], strict=True):
                bin_of_met = int(min(met // 20, 5)) + 1
                want[jets + 1, bin_of_met] += w * weight * 3.0 / (sum([lumis[s] for s in of[int(jets)]]) * sums)
        np.testing.assert_allclose(total["met"][variation, ...].values(flow=True), want, rtol=1e-5)
    np.testing.assert_allclose(total["nominal"].values(flow=True), total["met"]["nominal", ...].values(flow=True), rtol=1e-12)


def test_results_without_the_axis_are_missing_and_what_does_not_fit_is_an_error(stitched):
    fileset, _ = stitched

    def without(ev):
        return by_jets(ev) | {"n": ev.Count(), "plain": Histogram.new.Reg(5, 0, 100).Double().fill(ev.met)}

    scaled = run_analysis(without, fileset).scaled(lumi=1.0)
    for name in ("n", "plain"):
        assert isinstance(scaled.processes["V"][name], Missing)
        assert "stitched by the axis 'njets'" in scaled.values["one"][name].reason

    def coarse(ev):
        return {"met": Histogram.new.Var([0, 1.5, 3, 6], name="njets").Double().fill(njets=ev.njets, weight=ev.genWeight)}

    with pytest.raises(AnalysisError, match="the axis 'njets' has a bin") as caught:
        run_analysis(coarse, fileset).scaled(lumi=1.0)
    assert caught.value.where.file == __file__
    for wrong, says in (
        ({"njets": [2, 3]}, "outside of the range"),
        ({"njets": 3}, "says stitch"),
        ({"njets": [3, 1]}, "says stitch"),
    ):
        fileset["one"]["metadata"]["stitch"] = wrong
        with pytest.raises(AnalysisError, match=says):
            run_analysis(by_jets, fileset).scaled(lumi=1.0)
