"""Variations against the analysis done by hand once per variation, bit for bit."""

import warnings

import awkward as ak
import numpy as np
import pytest

from hep_flows import (
    Concatenate,
    Histogram,
    alias_scope,
    cutflow,
    define_alias,
    make_local,
    nanoaod_table,
    plan,
    render,
    run,
    run_analysis,
    user_func,
    vary,
    xaod_table,
)
from hep_flows.errors import AxisError, FieldError, HepFlowsError, LiteralError, RecordError
from hep_flows.record.dataframe import NominalMask

pytestmark = pytest.mark.data

SM = "Run2012B_SingleMu_1000.root"
FACTORS = {"nominal": 1.0, "jesUp": 1.03, "jesDown": 0.97}


def up(j):
    return j.With(pt=j.pt * 1.03, mass=j.mass * 1.03)


def down(j):
    return j.With(pt=j.pt * 0.97, mass=j.mass * 0.97)


def jes(df):
    return vary(df, "jes", Jet={"up": up, "down": down})


@pytest.fixture
def df(data):
    return nanoaod_table(data(SM))


def by_hand(df, analysis):
    """Give what each variation is, made without ``vary``."""
    return {
        "nominal": analysis(df),
        "jesUp": analysis(df.With(Jet=up)),
        "jesDown": analysis(df.With(Jet=down)),
    }


def empty():
    return Histogram.new.Reg(30, 0, 300, name="x").Weight()


# Everything that is recorded on top of what varies: each line gives an expression of a table.
EXPRESSIONS = {
    "a leaf": lambda d: d.Jet.pt,
    "a leaf that stays": lambda d: d.Jet.eta[d.Jet.pt > 30],
    "a selection of objects": lambda d: d.Jet[d.Jet.pt > 30].mass,
    "a function": lambda d: np.sqrt(d.Jet.pt) + d.Jet.eta,
    "a sum": lambda d: d.Jet.pt.Sum(),
    "a total": lambda d: d.Jet.pt.Max().Max(),
    "a total in an expression": lambda d: d.Jet.pt / d.Jet.pt.Max().Max(),
    "events": lambda d: d[d.Jet[d.Jet.pt > 40].Count() >= 2].MET.pt,
    "a map": lambda d: d.Jet.map(lambda j: (d.Muon.pt > j.pt).Any()),
    "pairs": lambda d: d.Jet[d.Jet.pt > 30].Combinations(2, fields=("a", "b")).map(lambda p: (p.a + p.b).mass),
    "vectors": lambda d: d.Jet[d.Jet.pt > 30].Sum().pt,
    "the first": lambda d: d.Jet.OrderBy(lambda j: j.pt, descending=True).First().pt,
    "the nearest": lambda d: d.Muon.Nearest(d.Jet[d.Jet.pt > 20], within=0.4).pt,
    "joined": lambda d: Concatenate(d.Jet[["pt", "eta"]], d.Muon[["pt", "eta"]]).pt,
    "a user's function": lambda d: halved(d.Jet.pt),
    "position": lambda d: d.Jet.Index()[d.Jet.pt > 30],
    "a slice of events": lambda d: d[:100].Jet.pt.Sum(),
    "several leaves": lambda d: d.Jet[["pt", "mass"]],
    "a leaf by the name of its branch": lambda d: d.Jet_pt[d.Jet_mass > 5],
    "of selected events by that name": lambda d: d[d.MET.pt > 20].Jet_pt,
    "the event of an object": lambda d: d.Muon.map(lambda m: m.Event().Jet.pt.Sum()),
    "a function of lists": lambda d: ht(d.Jet.pt),
    "replaced again": lambda d: d.With(Jet=lambda j: j.With(pt=j.pt + 1)).Jet.pt.Sum(),
    "missing values": lambda d: ak.fill_none(d.Jet.pt.Max(), -1.0),
    "a product of collections": lambda d: d.Jet.Cartesian(d.Muon, fields=("j", "m")).map(lambda p: p.j.pt / p.m.pt),
}


@user_func
def halved(x: float) -> float:
    return x / 2


@user_func
def ht(pt: list[float]) -> float:
    return pt.sum()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_that_of_each_variation(name, df):
    expression = EXPRESSIONS[name]
    varied = render(expression(jes(df)))
    wanted = by_hand(df, lambda d: render(expression(d)))
    assert varied["nominal"] == wanted["nominal"], "the nominal expression is the one without variations"
    got, want = make_local(expression(jes(df))), make_local(by_hand(df, expression))
    assert list(got) == list(FACTORS)
    for variation, value in got.items():
        assert ak.to_list(value) == ak.to_list(want[variation])


def test_histograms_are_those_of_each_variation(df):
    def analysis(d):
        ev = d[d.Jet[d.Jet.pt > 40].Count() >= 2]
        return empty().fill(x=ev.MET.pt, weight=ev.Jet.pt.Sum() / 100.0).fill(x=ev.Jet.pt)

    got = make_local(analysis(jes(df)))
    assert got.axes.name == ("variation", "x")
    for variation, want in make_local(by_hand(df, analysis)).items():
        assert (got[{"variation": variation}].view(flow=True) == want.view(flow=True)).all()
        assert got[{"variation": variation}].storage_type is want.storage_type


def test_growing_categories_of_one_variation_are_there_in_all(df):
    @user_func
    def region(n: int) -> str:
        return f"{n} jets"

    def analysis(d):
        n = region(d.Jet[d.Jet.pt > 100].Count())
        return Histogram.new.StrCat([], growth=True, name="n").Double().fill(n=n)

    got = make_local(analysis(jes(df)))
    for variation, want in make_local(by_hand(df, analysis)).items():
        mine = got[{"variation": variation}]
        assert {c: mine[c] for c in mine.axes[0] if mine[c]} == {c: want[c] for c in want.axes[0] if want[c]}


def test_sources_vary_one_at_a_time_and_words_keep_their_order(df):
    d = vary(jes(df), "jer", Jet={"up": lambda j: j.With(pt=j.pt + 1.0)})
    got = make_local((d.Jet.pt * 1.0).Sum().Sum())
    assert list(got) == ["nominal", "jesUp", "jesDown", "jerUp"]
    pt = make_local(df.Jet.pt)
    assert got["jerUp"] == pytest.approx(float(ak.sum(ak.values_astype(pt + np.float32(1), "float64"))), rel=1e-12)
    assert got["jesUp"] == make_local(df.With(Jet=up).Jet.pt.Sum().Sum())


def test_the_same_source_in_several_places_moves_together(df):
    d = vary(
        df,
        "jes",
        Jet={"up": up, "down": down},
        MET={"up": lambda m: m.With(pt=m.pt + 5.0), "down": lambda m: m.With(pt=m.pt - 5.0)},
    )
    w = vary(d.PV.npvs * 1.0, "jes", up=d.PV.npvs * 2.0)
    got = make_local((d.MET.pt + d.Jet.pt.Sum() * w).Sum())
    assert list(got) == list(FACTORS)
    by = {
        "jesUp": make_local((df.MET.pt + np.float32(5) + df.With(Jet=up).Jet.pt.Sum() * (df.PV.npvs * 2.0)).Sum()),
        "jesDown": make_local((df.MET.pt - np.float32(5) + df.With(Jet=down).Jet.pt.Sum() * (df.PV.npvs * 1.0)).Sum()),
    }
    assert {k: got[k] for k in by} == by


def test_words_that_are_no_names_of_python(df):
    weights = {str(i): df.PV.npvs * float(i) for i in range(3)}
    got = make_local(empty().fill(x=df.MET.pt, weight=vary(df.PV.npvs * 1.0, "pdf", weights)))
    assert list(got.axes["variation"]) == ["nominal", "pdf0", "pdf1", "pdf2"]


def test_objects_may_be_dropped(df):
    d = vary(df, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.5)[lambda k: k.pt > 30], "down": lambda j: j[j.pt > 20]})
    got = make_local(d.Jet.pt)
    pt = make_local(df.Jet.pt)
    assert ak.array_equal(got["nominal"], pt)
    assert ak.array_equal(got["jesUp"], (pt * np.float32(1.5))[pt * np.float32(1.5) > 30])
    assert ak.array_equal(got["jesDown"], pt[pt > 20])
    assert render(d.Jet.pt)["nominal"] == render(df.Jet.pt)
    with pytest.raises(AxisError):
        d.Jet.pt + df.Jet.pt


def test_columns_follow(df):
    df.Jet["hard"] = lambda j: j.pt > 30
    df.Jet["share"] = df.Jet.pt / df.Jet.pt.Sum()
    d = jes(df)
    assert ak.to_list(make_local(d.Jet.hard)) == ak.to_list(make_local(by_hand(df, lambda t: t.Jet.hard)))
    assert ak.to_list(make_local(d.Jet.share)) == ak.to_list(make_local(by_hand(df, lambda t: t.Jet.share)))


def test_only_what_depends_on_a_variation_is_computed(df, tmp_path, monkeypatch):
    monkeypatch.setenv("HEP_FLOWS_CACHE", str(tmp_path))

    def analysis(d):
        return [empty().fill(x=d.Jet.pt), empty().fill(x=d.MET.pt)]

    first = run(analysis(df))
    assert {r.state for r in first.report.tasks} == {"computed"}
    again = run(analysis(jes(df)))
    states = [r.state for r in again.report.tasks if r.plugin == "hist"]
    assert sorted(states) == ["cached", "cached", "computed", "computed"]
    more = run(analysis(vary(jes(df), "jer", Jet={"up": lambda j: j.With(pt=j.pt + 1.0)})))
    assert sum([r.state == "computed" for r in more.report.tasks if r.plugin == "hist"]) == 1
    assert list(more.values[0].axes["variation"]) == ["nominal", "jesUp", "jesDown", "jerUp"]


def test_a_plan_shows_each_variation(df):
    assert len([t for t in plan(empty().fill(x=jes(df).Jet.pt)).raw.tasks if t.plugin == "hist"]) == 3


def test_a_nominal_mask_of_varied_objects_is_told_of_and_is_nominal(df):
    d = jes(df)
    with pytest.warns(NominalMask, match="nominal pt"):
        selected = d.Jet[df.Jet.pt > 30]
    got = make_local(selected.pt)
    pt = make_local(df.Jet.pt)
    assert ak.array_equal(got["jesUp"], (pt * np.float32(1.03))[pt > 30])


@pytest.mark.parametrize(
    ("selected", "leaf"),
    [
        (lambda d, df: d.Jet[df.Jet.pt > 30], "pt"),
        (lambda d, df: d[df.Jet[df.Jet.pt > 30].Count() > 1], "pt"),
        (lambda d, df: d.Muon[(df.Jet.mass > 3).Sum() > 1], "mass"),
        (lambda d, df: vary(df, "a", Jet={"up": lambda j: j[j.pt > 30]})[df.Jet.Count() > 1], "Jet"),
        (lambda d, df: vary(df, "a", PV={"up": lambda v: v.With(npvs=v.npvs + 1)})[df.PV.npvs > 1], "npvs"),
        (lambda d, df: d.Jet[d.Jet.pt > 30], ""),
        (lambda d, df: d.Jet[(d.Jet.pt / df.Jet.pt) > 1], ""),
        (lambda d, df: d.Jet[abs(df.Jet.eta) < 2], ""),
        (lambda d, df: d[df.MET.pt > 20], ""),
        (lambda d, df: d[df.Jet.Count() > 1], ""),
        (lambda d, df: df[df.Jet.pt.Max() > 30], ""),
    ],
)
def test_what_a_mask_takes_of_the_nominal_table_is_told(selected, leaf, df):
    d = jes(df)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selected(d, df)
    told = [str(w.message) for w in caught if w.category is NominalMask]
    assert bool(told) == bool(leaf)
    assert all(f"the nominal {leaf}:" in t for t in told)


def test_an_alias_is_what_varies(df):
    with alias_scope():
        define_alias("Jet", "pt", lambda j: j.pt * 1000)
        got = make_local(jes(df).Jet.pt)
        want = make_local(by_hand(df, lambda t: t.Jet.pt))
    for variation, value in got.items():
        assert ak.array_equal(value, want[variation])
        assert ak.max(value) > 20000


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda d: vary(d, "jes", Jett={"up": up}), FieldError, "did you mean 'Jet'"),
        (lambda d: vary(d, "jes"), LiteralError, "no variations"),
        (lambda d: vary(d, "je s", Jet={"up": up}), LiteralError, "is a name"),
        (lambda d: vary(d, "nominal", Jet={"up": up}), LiteralError, "own name"),
        (lambda d: vary(d, "jes", Jet=up), LiteralError, "a dict from words"),
        (lambda d: vary(d, "jes", Jet={"up": lambda j: 3}), LiteralError, "no collection"),
        (lambda d: vary(d, "jes", Jet={"up": lambda j: j.pt}), RecordError, "no variation of it"),
        (lambda d: vary(d, "jes", Jet={"up": lambda j: d.Muon}), RecordError, "no variation of it"),
        (lambda d: vary(d, "jes", Jet={"up": lambda j: j.OrderBy(lambda k: k.pt)}), RecordError, "no variation of it"),
        (lambda d: vary(d, "jes", Jet={"up": lambda j: j.With(new=j.pt)}), FieldError, "the nominal Jet has not"),
        (lambda d: vary(d.Jet, "jes", up=d.Jet), LiteralError, "those of its table"),
        (lambda d: vary(jes(d), "jes", Jet={"up": up}), LiteralError, "varies this already"),
        (lambda d: vary(d.MET.pt, "a", up=d.Jet.pt), AxisError, "nominal value is"),
        (lambda d: vary(d.MET.pt, "a", up=d.MET.pt > 3), LiteralError, "no kind in common"),
        (lambda d: vary(3.0, "a", up=3.0), LiteralError, "no variations"),
        (
            lambda d: Histogram.new.Reg(5, 0, 9, name="variation").Double().fill(variation=jes(d).Jet.pt),
            LiteralError,
            "an axis 'variation'",
        ),
    ],
)
def test_what_is_no_variation(wrong, error, says, df):
    with pytest.raises(error, match=says) as caught:
        wrong(df)
    assert caught.value.where is not None


def test_containers_of_an_xaod_vary_however_they_are_named(data):
    df = xaod_table(data("PHYSLITE_example.root"))
    with pytest.raises(FieldError, match="its name here is AnalysisJets"):
        vary(df, "jes", Jets={"up": lambda j: j.With(pt=j.pt * 2)})
    d = vary(df, "jes", AnalysisJets={"up": lambda j: j.With(pt=j.pt * 2)})
    pt = make_local(df.AnalysisJets.pt)
    for leaf in (d.AnalysisJets.pt, d.Jets("Jets").pt, d.Jets("AnalysisJets").pt()):
        got = make_local(leaf)
        assert list(got) == ["nominal", "jesUp"]
        assert ak.array_equal(got["nominal"], pt)
        assert ak.array_equal(got["jesUp"], pt * 2)


def test_over_a_fileset_with_files_and_a_failing_dataset(data, tmp_path):
    def analysis(ev):
        d = jes(ev)
        return {
            "h": empty().fill(x=d.Jet.pt),
            "n": d.Jet[d.Jet.pt > 30].Count().Sum(),
            "pt": d.Jet.pt,
            "flow": cutflow(d[d.Jet.Count() > 1]),
        }

    fileset = {"a": {"files": {data(SM): "Events"}}, "gone": {"files": {str(tmp_path / "no.root"): "Events"}}}
    done = run_analysis(analysis, fileset, out=tmp_path / "out")
    assert list(done.values["a"]["n"]) == list(FACTORS)
    assert list(done.values["a"]["h"].axes["variation"]) == list(FACTORS)
    assert {k: len(v.array()) for k, v in done.values["a"]["pt"].items()} == dict.fromkeys(FACTORS, 1000)
    assert {k: v[0].events for k, v in done.values["a"]["flow"].items()} == dict.fromkeys(FACTORS, 1000)
    assert not done.values["gone"]["h"]
    import json

    import hist

    stored = json.loads((tmp_path / "out" / "histograms.json").read_text())
    assert hist.Hist(stored["a/h"]) == done.values["a"]["h"]
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert numbers["a"]["n"] == done.values["a"]["n"]
    again = run_analysis(analysis, fileset, out=tmp_path / "out")
    assert all(r.state in ("cached", "not run", "failed") for r in again.report.tasks)
    assert (again.values["a"]["h"].view(flow=True) == done.values["a"]["h"].view(flow=True)).all()


def test_a_failure_in_one_variation_is_missing(data):
    @user_func
    def odd(x: float) -> float:
        return 1.0 / 0.0 if x > 1e4 else x

    d = vary(nanoaod_table(data(SM)), "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1e6)})
    done = run({"n": odd(d.Jet.pt).Sum().Sum()})
    assert done.values["n"]["nominal"] > 0
    assert not done.values["n"]["jesUp"]
    assert not isinstance(done.values["n"]["jesUp"], float)
    with pytest.raises(HepFlowsError):
        make_local(odd(d.Jet.pt).Sum().Sum())


# A ttbar analysis as the AGC has it: two regions, 5 object variations and 50 of the weight -------------------------------------------

SCALES = {"jesUp": 1.03, "jesDown": 0.97, "resUp": 1.05, "resDown": 0.95, "calibUp": 1.01}
MEMBERS = {str(i): 1 + 0.01 * (i - 20) for i in range(46)}
TAGS = {"up": 1.1, "down": 0.9, "hfUp": 1.2, "hfDown": 0.8}


def regions(ev, jets, weight):
    """Give the histograms of one analysis: HT with one b-jet, the mass of the hardest three jets with two."""
    good = jets[(jets.pt > 25) & (abs(jets.eta) < 2.4)]
    n_b = (good.btagDeepFlavB > 0.5).Sum()
    leptons = ev.Muon[ev.Muon.pt > 20].Count() + ev.Electron[ev.Electron.pt > 20].Count()
    four = (good.Count() >= 4) & (leptons >= 1)
    empty = Histogram.new.Reg(25, 0, 600, name="x").Weight()
    one, two = four & (n_b == 1), four & (n_b >= 2)
    hardest = good.OrderBy(lambda j: j.pt, descending=True)[:3]
    return {
        "ht": empty.fill(x=good.pt.Sum()[one], weight=weight[one]),
        "mass": empty.fill(x=hardest.Sum().mass[two], weight=weight[two]),
        "met": empty.fill(x=ev.MET.pt[four], weight=weight[four]),
    }


def test_ttbar_with_5_object_and_50_weight_variations_is_that_done_once_for_each(data):
    df = nanoaod_table(data("nano_tt_v12.root"))

    def scaled(factor):
        return lambda j: j.With(pt=j.pt * factor, mass=j.mass * factor)

    d = df
    for source in ("jes", "res", "calib"):
        d = vary(d, source, Jet={k[len(source) :].lower(): scaled(f) for k, f in SCALES.items() if k.startswith(source)})
    w, met = df.genWeight, df.MET.pt
    pdf = vary(w, "pdf", {i: w * f + met * 0.001 for i, f in MEMBERS.items()})
    weight = vary(pdf, "btag", {k: pdf * f for k, f in TAGS.items()})
    found = make_local(regions(d, d.Jet, weight))
    names = ["nominal", *SCALES, *[f"pdf{i}" for i in MEMBERS], *[f"btag{k[:1].upper()}{k[1:]}" for k in TAGS]]
    by_hand = {"nominal": (df.Jet, w)}
    by_hand |= {k: (df.With(Jet=scaled(f)).Jet, w) for k, f in SCALES.items()}
    by_hand |= {f"pdf{i}": (df.Jet, w * f + met * 0.001) for i, f in MEMBERS.items()}
    by_hand |= {f"btag{k[:1].upper()}{k[1:]}": (df.Jet, w * f) for k, f in TAGS.items()}
    assert len(names) == 56
    once = {}
    for name, (jets, own) in by_hand.items():
        one = df if name not in SCALES else df.With(Jet=scaled(SCALES[name]))
        once[name] = regions(one, one.Jet if name in SCALES else jets, own)
    want = make_local(once)
    for region, h in found.items():
        assert sorted(h.axes["variation"]) == sorted(names)
        for name in names:
            assert h[name, :] == want[name][region], (region, name)
        assert h["nominal", :].sum().value > 0


@pytest.mark.parametrize("limit", [20.0, 60.0])
def test_what_refers_to_an_object_that_a_variation_drops_is_missing(limit, data):
    df = nanoaod_table(data("nano_tt_v12.root"))

    def fewer(j):
        return j.With(pt=j.pt * 1.1)[lambda k: k.pt > limit]

    d = vary(df, "jes", Jet={"up": fewer})
    found = make_local({"pt": d.Electron.jet.pt, "kept": d.Electron[d.Electron.jet.pt > 30].jet.eta})
    index, pt, eta = make_local([df.Electron.jetIdx, df.Jet.pt, df.Jet.eta])
    for word, factor, least in (("nominal", 1.0, -1.0), ("jesUp", 1.1, limit)):
        shifted = pt * np.float32(factor)
        want = [
            [float(p[i]) if i >= 0 and p[i] > least else None for i in indices] for p, indices in zip(shifted, index, strict=True)
        ]
        assert found["pt"][word].to_list() == want
        etas = [
            [float(e[i]) for i, p in zip(ii, ps, strict=True) if p is not None and p > 30]
            for e, ii, ps in zip(eta, index, want, strict=True)
        ]
        assert found["kept"][word].to_list() == etas
    assert render({"a": vary(df, "jes", Jet={"up": fewer}).Electron.jet.pt})["a"] != render(df.Electron.jet.pt)
    with_less = df.With(Jet=fewer)
    assert make_local(with_less.Electron.jet.pt).to_list() == found["pt"]["jesUp"].to_list()
    assert plan(d.Electron.jet.pt).tasks[0].key == plan(df.Electron.jet.pt).tasks[0].key
