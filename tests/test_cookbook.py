"""The recipes of the cookbook and the ADL queries: equal to plain awkward, one by one, over a fileset, and on every machine."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import linecache
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import correctionlib
import hist
import numpy as np
import onnxruntime
import pytest
import uproot
import vector
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from hist.intervals import clopper_pearson_interval

from docs.pages import DOCS, ROOT, blocks_of
from hep_flows import Concatenate, correction, lumi_mask, make_local, nanoaod_table, onnx_model, run_analysis
from hep_flows.demo.sample import Recipe, generate, write_nanoaod
from hep_flows.settings import environment_with

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.data
PAGE = (DOCS / "cookbook.md").read_text()
TT, SM = "nano_tt_v12.root", "Run2012B_SingleMu_1000.root"
Z_MASS = 91.2


def module(path: Any) -> Any:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


adl = module(ROOT / "benchmarks" / "adl.py")


@pytest.fixture(scope="module")
def page(tmp_path_factory: Any) -> dict[str, Any]:
    """Give what the page defines, and ``folder`` with the files that it writes; its steps do not run."""
    folder = tmp_path_factory.mktemp("cookbook")
    names: dict[str, Any] = {"__name__": "cookbook", "folder": folder}
    for block in blocks_of(PAGE):
        if block.title:
            (folder / block.title).write_text(block.text)
        elif block.language == "python":
            tree = ast.parse(block.text)
            tree.body = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom | ast.FunctionDef)]
            file = f"cookbook_{block.line}.py"
            linecache.cache[file] = (len(block.text), None, block.text.splitlines(keepends=True), file)
            exec(compile(tree, file, "exec", dont_inherit=True), names)
    names["linear_model"](str(folder / "linear.onnx"))
    (folder / "sections.json").write_text('{"1": [[1, 5], [81730, 81746]], "2": [[1, 3]]}')
    return names


# The oracle: plain awkward and vector, or a loop over the events of a file ---------------------------------------------------------


class Raw:
    """The leaves of a NanoAOD file."""

    def __init__(self, path: str) -> None:
        with uproot.open(path) as file:
            self.a = file["Events"].arrays(
                filter_name=r"/(Electron|Muon|Jet|GenPart|MET|Pileup|HLT)_.*|run|luminosityBlock|genWeight/"
            )

    def __getitem__(self, name: str) -> Any:
        return self.a[name]

    def objects(self, name: str, *more: str) -> Any:
        p4 = vector.zip({n: ak.values_astype(self[f"{name}_{n}"], "float64") for n in ("pt", "eta", "phi", "mass")})
        return ak.zip({"p": p4, **{n: self[f"{name}_{n}"] for n in ("pt", "eta", *more)}}, depth_limit=2)


def pairs_of(x: Any) -> Any:
    a, b = ak.unzip(ak.combinations(x, 2))
    good = a.charge != b.charge
    return a[good], b[good]


def z_mass(r: Raw) -> Any:
    a, b = pairs_of(r.objects("Electron", "charge"))
    p4 = a.p + b.p
    best = ak.argmin(abs(p4.mass - Z_MASS), axis=1, keepdims=True)
    return ak.firsts(p4[best].mass)


def four_leptons(r: Raw) -> Any:
    """Give the mass by a loop over events, pairs, and pairs of pairs."""
    found: list[float | None] = []
    for electrons, muons in zip(r.objects("Electron", "charge"), r.objects("Muon", "charge"), strict=True):
        lep = [(part, x) for part, of in enumerate((electrons, muons)) for x in of if x.pt > 7]
        z = [
            (i, j)
            for i, j in itertools.combinations(range(len(lep)), 2)
            if lep[i][0] == lep[j][0] and lep[i][1].charge != lep[j][1].charge
        ]
        p4 = {(i, j): lep[i][1].p + lep[j][1].p for i, j in z}
        zz = [(x, y) for x, y in itertools.combinations(z, 2) if not {*x} & {*y}]
        best = min(zz, key=lambda h: min(abs(p4[h[0]].mass - Z_MASS), abs(p4[h[1]].mass - Z_MASS)), default=None)
        found.append(None if best is None else (p4[best[0]] + p4[best[1]]).mass)
    return ak.Array(found)


def top(r: Raw) -> Any:
    a, b, c = ak.unzip(ak.combinations(r.objects("Jet"), 3))
    p4 = a.p + b.p + c.p
    return ak.firsts(p4[ak.argmin(abs(p4.mass - 172.5), axis=1, keepdims=True)].pt)


def flat_call(function: Any, *jagged: Any) -> Any:
    return ak.unflatten(function(*[ak.to_numpy(ak.flatten(x)) for x in jagged]), ak.num(jagged[0]))


def btag(r: Raw, folder: Any) -> Any:
    found = correctionlib.CorrectionSet.from_file(str(folder / "btag.json"))
    flavour = ak.values_astype(r["Jet_hadronFlavour"], "int64")
    s, e = (flat_call(found[n].evaluate, flavour, ak.values_astype(r["Jet_pt"], "float64")) for n in ("sf", "efficiency"))
    return ak.prod(ak.where(r["Jet_btagDeepFlavB"] > 0.28, s, (1 - s * e) / (1 - e)), axis=1)


def vertices(r: Raw, folder: Any) -> Any:
    weights = correctionlib.CorrectionSet.from_file(str(folder / "pileup.json"))["pileup"]
    n = ak.to_numpy(r["Pileup_nTrueInt"])
    weight = ak.to_numpy(r["genWeight"]) * weights.evaluate(n.astype("f8"), "nominal")
    return hist.Hist.new.Reg(20, 0, 60, name="n").Weight().fill(n=n, weight=weight)


def certified(r: Raw, folder: Any) -> Any:
    from coffea.lumi_tools import LumiMask  # compiles functions when it is imported

    run, section = (ak.to_numpy(r[n]).astype("u4") for n in ("run", "luminosityBlock"))
    return r["MET_pt"][np.asarray(LumiMask(str(folder / "sections.json"))(run, section))]


def far(a: Any, b: Any) -> Any:
    x, y = ak.unzip(ak.cartesian([a, b], nested=True))
    return x.deltaR(y)


def clean(r: Raw) -> Any:
    lep = ak.concatenate([r.objects("Electron"), r.objects("Muon")], axis=1)
    jets = r.objects("Jet")
    return jets.pt[~ak.any(far(jets.p, lep[lep.pt > 10].p) < 0.4, axis=2)]


def response(r: Raw) -> Any:
    e, g = r.objects("Electron"), r.objects("GenPart", "pdgId", "status")
    g = g[(abs(g.pdgId) == 11) & (g.status == 1)]
    d = far(e.p, g.p)
    best = ak.argmin(d, axis=2, keepdims=True)
    pt = ak.firsts(ak.cartesian([e.pt, g.pt], nested=True)["1"][best], axis=2)
    return e.pt / ak.mask(pt, ak.fill_none(ak.min(d, axis=2), np.inf) < 0.1)


def tag_and_probe(r: Raw) -> Any:
    """Fill by a loop over tags and probes."""
    h = hist.Hist.new.StrCat(["all", "passed"], name="which").Var([10, 20, 30, 40, 60], name="pt").Double()
    for electrons in r.objects("Electron", "charge"):
        for i, tag in enumerate(electrons):
            for j, probe in enumerate(electrons):
                if i == j or tag.charge == probe.charge or not (tag.pt > 30 and abs(tag.eta) < 2.1):
                    continue
                if 70 < (tag.p + probe.p).mass < 110:
                    h.fill(which="all", pt=probe.pt)
                    if abs(probe.eta) < 1.5:
                        h.fill(which="passed", pt=probe.pt)
    return h


def features(r: Raw) -> Any:
    order = ak.argsort(r["Jet_pt"], ascending=False, stable=True)
    filled = [ak.fill_none(ak.pad_none(r[f"Jet_{n}"][order], 4, clip=True), 0.0) for n in ("pt", "eta", "phi")]
    return np.stack([ak.to_numpy(x) for x in filled], axis=-1).astype("f4")


def score(r: Raw, folder: Any) -> Any:
    session = onnxruntime.InferenceSession(str(folder / "linear.onnx"), providers=["CPUExecutionProvider"])
    return ak.Array(session.run(None, {"x": features(r)})[0][:, 0])


def energies(r: Raw) -> Any:
    p4 = r.objects("Jet").p
    x, y = (ak.values_astype(r["MET_pt"], "float64") * f(ak.values_astype(r["MET_phi"], "float64")) for f in (np.cos, np.sin))
    found = {}
    for name, factor in (("nominal", 1.0), ("jesUp", 1.03), ("jesDown", 0.97)):
        found[name] = np.hypot(x - (factor - 1) * ak.sum(p4.px, axis=1), y - (factor - 1) * ak.sum(p4.py, axis=1))
    return found


def varied_weights(r: Raw, _: Any) -> Any:
    tag = 1 - 0.05 * ak.sum(r["Jet_btagDeepFlavB"] > 0.8, axis=1)
    pileup = 1 + 0.01 * (r["Pileup_nTrueInt"] - 30)
    factors = {"nominal": (1, 1), "btagUp": (1.02, 1), "btagDown": (0.98, 1), "puUp": (1, 1.01), "puDown": (1, 0.99)}
    h = hist.Hist.new.StrCat([*factors], name="variation").Reg(4, 0, 80, name="met").Weight()
    for name, (of_tag, of_pileup) in factors.items():
        h.fill(name, ak.to_numpy(r["MET_pt"]), weight=ak.to_numpy(r["genWeight"] * tag * pileup) * of_tag * of_pileup)
    return h


@dataclass(frozen=True)
class Made:
    """One recipe: what it gives of a table and of the page, and what must come out."""

    asked: Callable[[Any, dict[str, Any]], Any]
    wanted: Callable[[Raw, Any], Any]


TRIGGERS = ["Ele27", "PFHT1050", "Nowhere"]
RECIPES: dict[str, Made] = {
    "closest_pair": Made(lambda df, p: p["z_candidate"](df.Electron).p4.mass, lambda r, _: z_mass(r)),
    "four_leptons": Made(lambda df, p: p["four_leptons"](df).mass, lambda r, _: four_leptons(r)),
    "three_jets": Made(lambda df, p: p["top_candidate"](df.Jet).p4.pt, lambda r, _: top(r)),
    "b_tag": Made(
        lambda df, p: p["btag_weight"](df.Jet, *[correction(p["folder"] / "btag.json", n) for n in ("sf", "efficiency")]), btag
    ),
    "pile_up": Made(lambda df, p: p["vertices"](df, correction(p["folder"] / "pileup.json")), vertices),
    "golden": Made(lambda df, p: p["certified"](df, lumi_mask(p["folder"] / "sections.json")).MET.pt, certified),
    "triggers": Made(
        lambda df, p: p["triggered"](df, TRIGGERS).MET.pt,
        lambda r, _: r["MET_pt"][sum([r[f"HLT_{n}"] for n in TRIGGERS if f"HLT_{n}" in r.a.fields]) > 0],
    ),
    "overlap": Made(lambda df, p: p["clean_jets"](df).pt, lambda r, _: clean(r)),
    "truth": Made(lambda df, p: p["response"](df), lambda r, _: response(r)),
    "tag_and_probe": Made(lambda df, p: p["tag_and_probe"](df), lambda r, _: tag_and_probe(r)),
    "energies": Made(lambda df, p: p["with_energies"](df).MET.pt, lambda r, _: energies(r)),
    "weights": Made(
        lambda df, p: p["Histogram"].new.Reg(4, 0, 80, name="met").Weight().fill(met=df.MET.pt, weight=p["event_weight"](df)),
        varied_weights,
    ),
    "features": Made(lambda df, p: p["features"](df), lambda r, _: features(r)),
    "score": Made(lambda df, p: onnx_model(p["folder"] / "linear.onnx")(p["features"](df)), score),
}
LATER = {"probes", "efficiency", "linear_model", "normalised"}  # part of another recipe, or no expression, or of a file of the page


def same(got: Any, want: Any) -> None:
    if isinstance(want, dict):
        assert set(want) <= set(got)
        for name, one in want.items():
            same(got[name], one)
        return
    if isinstance(want, hist.Hist):
        assert want.sum(flow=True) != hist.Hist(*want.axes, storage=want.storage_type()).sum(flow=True)
        for name in want.view(flow=True).dtype.names or ("",):
            a, b = (h.view(flow=True)[name] if name else h.view(flow=True) for h in (got, want))
            np.testing.assert_allclose(a, b, rtol=1e-12)
        return
    if isinstance(want, np.ndarray):
        assert isinstance(got, np.ndarray)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
        return
    assert ak.count(want) > 0, "the reference has no entries"
    assert ak.to_list(ak.is_none(got, axis=-1)) == ak.to_list(ak.is_none(want, axis=-1))
    if want.ndim > 1:
        assert ak.to_list(ak.num(got)) == ak.to_list(ak.num(want))
    a, b = (ak.to_numpy(ak.flatten(ak.drop_none(x, axis=None), axis=None)) for x in (got, want))
    np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


def bits(value: Any) -> Any:
    if isinstance(value, dict):
        return {n: bits(v) for n, v in value.items()}
    if isinstance(value, list):
        return [bits(v) for v in value]
    if isinstance(value, hist.Hist):
        return value.view(flow=True).tobytes()
    return value.tobytes() if isinstance(value, np.ndarray) else ak.to_list(value)


@pytest.fixture(scope="module")
def raw(data: Any) -> Raw:
    return Raw(data(TT))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_equals_plain_awkward(name: str, page: dict[str, Any], raw: Raw, data: Any) -> None:
    same(make_local(RECIPES[name].asked(nanoaod_table(data(TT)), page)), RECIPES[name].wanted(raw, page["folder"]))


def test_every_recipe_of_the_page_is_compared(page: dict[str, Any]) -> None:
    defined = {
        n.name for b in blocks_of(PAGE) if b.language == "python" for n in ast.parse(b.text).body if isinstance(n, ast.FunctionDef)
    }
    used = {n for m in RECIPES.values() for n in m.asked.__code__.co_consts if isinstance(n, str)}
    assert defined <= used | LATER


def test_the_interval_is_that_of_clopper_and_pearson(page: dict[str, Any], raw: Raw) -> None:
    h = tag_and_probe(raw)
    efficiency, low, high = page["efficiency"](h)
    passed, every = h["passed", :].values(), h["all", :].values()
    assert every.sum() > 3
    np.testing.assert_array_equal(efficiency[every > 0], (passed / np.maximum(every, 1))[every > 0])
    wanted = clopper_pearson_interval(passed, every)
    np.testing.assert_array_equal([low, high], wanted)
    for k, n, edge in zip(passed, every, high, strict=True):
        if 0 < k < n:  # above the upper edge, so few or fewer would pass with less than half of what is outside of one sigma
            chance = sum(math.comb(int(n), i) * edge**i * (1 - edge) ** (n - i) for i in range(int(k) + 1))
            assert chance == pytest.approx(math.erfc(1 / math.sqrt(2)) / 2, rel=1e-3)


# Over filesets, from the store, on other machines ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any, data: Any) -> dict[str, Any]:
    """Give filesets: the real file and the demo's for the cookbook; the real file, cut in two, for the queries."""
    folder = tmp_path_factory.mktemp("datasets")
    recipe = Recipe(events=3000)
    write_nanoaod(generate(recipe), recipe, folder / "demo.root")
    needed = {f"{of}_{leaf}" for leaves, _, _ in adl.PLAIN.values() for of, inside in leaves.items() for leaf in inside}
    with uproot.open(data(SM)) as file:
        a = file["Events"].arrays(sorted(needed))
    groups = {
        c: ak.zip({n.removeprefix(f"{c}_"): a[n] for n in needed if n.startswith(f"{c}_")}) for c in ("Jet", "Muon", "Electron")
    }
    content = groups | {n: a[n] for n in needed if n.startswith("MET_")}
    for name, part in (("first", slice(0, 400)), ("last", slice(400, None))):
        with uproot.recreate(folder / f"{name}.root") as file:
            file.mktree("Events", {n: v.type.content for n, v in content.items()}, counter_name=lambda c: "n" + c)
            file["Events"].extend({n: v[part] for n, v in content.items()})
    halves = [str(folder / "first.root"), str(folder / "last.root")]
    return {
        "cookbook": {"tt": {"files": {data(TT): "Events"}}, "demo": {"files": {str(folder / "demo.root"): "Events"}}},
        "adl": {"whole": {"files": {data(SM): "Events"}}, "halves": {"files": dict.fromkeys(halves, "Events")}},
    }


def everything(p: dict[str, Any], which: str) -> Callable[[Any], dict[str, Any]]:
    """Give the analysis of all recipes, or of all queries."""

    def queries(events: Any) -> dict[str, Any]:
        found = {n: q(events) for n, q in adl.QUERIES.items()}
        return {n: h for n, h in found.items() if n != "q6"} | dict(zip(("q6_pt", "q6_btag"), found["q6"], strict=True))

    def recipes(events: Any) -> dict[str, Any]:
        if not hasattr(events, "Pileup"):  # as the page says of the demo's file
            events.Jet["btagDeepFlavB"] = p["random_uniform"](events.Jet, seed="btag")
            events.Jet["hadronFlavour"] = 5 * (events.Jet.btagDeepFlavB > 0.8)
            events["Pileup"] = ak.zip({"nTrueInt": p["random_poisson"](events, 30.0, seed="pileup") * 1.0})
        return {n: m.asked(events, p) for n, m in RECIPES.items()}

    return queries if which == "adl" else recipes


@pytest.mark.parametrize("which", ["cookbook", "adl"])
def test_over_a_fileset_cold_and_warm(which: str, page: dict[str, Any], files: Any, raw: Raw, data: Any) -> None:
    analysis, fileset = everything(page, which), files[which]
    cold, warm = run_analysis(analysis, fileset), run_analysis(everything(page, which), fileset)
    assert cold.is_complete
    assert {t.state for t in warm.report.tasks} <= {"cached", "not run"}
    assert bits(warm.checked()) == bits(cold.checked())
    if which == "cookbook":
        for name, recipe in RECIPES.items():
            same(cold.values["tt"][name], recipe.wanted(raw, page["folder"]))
    else:
        assert bits(cold.values["whole"]) == bits(cold.values["halves"])
        for query in adl.QUERIES:
            names = ("q6_pt", "q6_btag") if query == "q6" else (query,)
            want = adl.plain(query, data(SM))
            assert [cold.values["whole"][n].values(flow=True).tolist() for n in names] == [
                h.values(flow=True).tolist() for h in want
            ]


MACHINES = [
    {"WORKERS": "2"},
    {"WORKERS": "4", "SLICE_EVENTS": "37"},
    {"WORKERS": "3", "MEMORY": "1MB"},
    {"WORKERS": "1", "SLICE_EVENTS": "1"},
]


@pytest.mark.parametrize("which", ["cookbook", "adl"])
def test_nothing_depends_on_the_machine(which: str, page: dict[str, Any], files: Any) -> None:
    def on(machine: dict[str, str]) -> Any:
        few = dict(list(files[which].items())[:1])
        with environment_with({f"HEP_FLOWS_{n}": v for n, v in {"CACHE": "off", "ENGINE": "inline", **machine}.items()}):
            return bits(run_analysis(everything(page, which), few).checked())

    want = on({"WORKERS": "1"})
    for machine in MACHINES:
        assert on(machine) == want, machine


# The table of translations: both sides of a row give the same ---------------------------------------------------------------------

# What is written on the left for the row, where the cell has words, names of another tool, or stands for something longer.
SAID = {
    "events[ak.num(events.Jet) >= 2]": "events.MET.pt[ak.num(events.Jet) >= 2]",
    'Define("ht", "Sum(Jet_pt)")': "ak.sum(ak.values_astype(events.Jet.pt, 'f8'), axis=1)",
    'ak.with_field(jets, pt, "pt")': "jets.pt * 2",
    "x[ak.argmin(key, axis=1, keepdims=True)]": "ak.firsts(jets[ak.argmin(abs(jets.eta), axis=1, keepdims=True)])",
    "x[ak.argsort(x.pt, ascending=False)]": "jets[ak.argsort(jets.pt, ascending=False)]",
    "eles.matched_gen": "eles.matched_gen",
    'ak.cartesian({"j": jets, "e": eles}, nested=True)': 'ak.cartesian({"j": jets, "e": eles}, nested=True).e',
    'ak.combinations(mu, 2, fields=["a", "b"])': 'ak.combinations(mu, 2, fields=["a", "b"]).b',
    "(mu[:, 0] + mu[:, 1]).mass": "(lambda m: (m[:, 0] + m[:, 1]).mass)(ak.pad_none(wide(mu), 2))",
    "jets.delta_r(eles)": "ak.firsts(jets).delta_r(ak.firsts(eles))",
    "eles.nearest(gen, threshold=0.1)": "eles.nearest(gen, threshold=0.1)",
}
MEANT = {
    'df["ht"] = df.Jet.pt.Sum()': '(df.__setitem__("ht", df.Jet.pt.Sum()), df.ht)[1]',
    "jets.With(pt=pt)": "jets.With(pt=jets.pt * 2)",
    "x.MinBy(key)": "jets.MinBy(abs(jets.eta))",
    "x.OrderBy(lambda o: o.pt, descending=True)": "jets.OrderBy(lambda o: o.pt, descending=True)",
    'mu.Combinations(2, fields=("a", "b"))': 'mu.Combinations(2, fields=("a", "b")).b',
    'jets.Cartesian(eles, fields=("j", "e"), nested=True)': 'jets.Cartesian(eles, fields=("j", "e"), nested=True).e',
    "jets.DeltaR(eles)": "jets.First().DeltaR(eles.First())",
}
# Compared by the recipes and by tests of their own.
ELSEWHERE = ("LumiMask", "correctionlib.", "events.HLT.X", "np.random", "Weights()", "PackedSelection", "df.Vary", "Histo1D", "processor.Runner", ".compute()")  # fmt: skip


def translations() -> list[tuple[str, str]]:
    table = PAGE[PAGE.index("## From awkward, coffea and RDataFrame") :].splitlines()
    rows = [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in table if line.startswith("| `")]
    return [(left[0], right[0]) for left, right in rows]


def leading(x: Any) -> Any:
    return x.pt if "pt" in ak.fields(x) else x


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [t for t in translations() if not t[0].startswith(ELSEWHERE)],
    ids=[t[0] for t in translations() if not t[0].startswith(ELSEWHERE)],
)
@pytest.mark.filterwarnings("ignore")
def test_a_translation_gives_the_same(theirs: str, ours: str, data: Any) -> None:
    events = NanoEventsFactory.from_root({data(TT): "Events"}, schemaclass=NanoAODSchema, mode="eager").events()
    df = nanoaod_table(data(TT))

    def wide(x: Any) -> Any:
        for name in ("pt", "eta", "phi", "mass"):
            x = ak.with_field(x, ak.values_astype(x[name], "float64"), name)
        return x

    final = {"events": events, "ak": ak, "np": np, "wide": wide, "jets": events.Jet, "eles": events.Electron, "mus": events.Muon,
             "mu": events.Muon, "gen": events.GenPart}  # fmt: skip
    mine = {
        "df": df,
        "jets": df.Jet,
        "eles": df.Electron,
        "mus": df.Muon,
        "mu": df.Muon,
        "gen": df.GenPart,
        "Concatenate": Concatenate,
    }
    want = leading(eval(SAID.get(theirs, theirs), final))
    found = eval(MEANT.get(ours, ours), mine)
    got = make_local(found)
    got = leading(got) if not ak.fields(got) or "pt" in ak.fields(got) else got.MET.pt
    same(ak.Array(got), ak.Array(want))


def test_the_other_translations_are_written_as_they_are_used() -> None:
    left = [(theirs, ours) for theirs, ours in translations() if theirs.startswith(ELSEWHERE)]
    assert all(any(theirs.startswith(e) for theirs, _ in left) for e in ELSEWHERE)
    for _, ours in left:
        ast.parse(ours)
