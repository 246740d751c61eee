"""Random numbers belong to elements of the data: nothing but the element and the seed can change them."""

from __future__ import annotations

import math
from hashlib import sha256

import awkward as ak
import numpy as np
import pytest
import scipy.stats
import uproot

from hep_flows import (
    HepFlowsError,
    Histogram,
    make_local,
    nanoaod_table,
    parquet_table,
    random_normal,
    random_poisson,
    random_uniform,
    run,
    tree_table,
    user_func,
    xaod_table,
)

WORD = (1 << 64) - 1
ODD = 0x9E3779B97F4A7C15


def mixed(bits):
    """SplitMix64's mixing function, in Python's integers."""
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & WORD
    return bits ^ (bits >> 31)


@pytest.fixture
def df(data):
    return nanoaod_table(data("Run2012B_SingleMu_1000.root"))


@pytest.fixture
def raw(data):
    return uproot.open(data("Run2012B_SingleMu_1000.root"))["Events"].arrays(
        ["Jet_pt", "MET_pt", "run", "luminosityBlock", "event"]
    )


def same(a, b):
    return ak.to_list(a) == ak.to_list(b)


WAYS = {
    "ranges": {"chunk_events": 7},
    "threads": {"chunk_events": 50, "workers": 2},
    "one thread": {"workers": 1},
}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_they_do_not_depend_on_how_a_run_is_made(df, how):
    drawn = random_normal(df.Jet, seed="jer")
    assert same(run(drawn, refresh=True, **how).values, make_local(drawn))


# Spellings of the same elements, and what is left of the numbers of all jets (w), with pt (p) and missing ET (m).
SELECTIONS = {
    "a leaf": (lambda d, f: f(d.Jet.pt), lambda w, p, m: w),
    "an expression": (lambda d, f: f(d.Jet.pt * 2 + d.MET.pt), lambda w, p, m: w),
    "a filter": (lambda d, f: f(d.Jet[d.Jet.pt > 30]), lambda w, p, m: w[p > 30]),
    "filtered numbers": (lambda d, f: f(d.Jet)[d.Jet.pt > 30], lambda w, p, m: w[p > 30]),
    "filtered events": (lambda d, f: f(d[d.MET.pt > 20].Jet), lambda w, p, m: w[m > 20]),
    "both": (lambda d, f: f(d[d.MET.pt > 20].Jet[lambda j: j.pt > 30]), lambda w, p, m: w[p > 30][m > 20]),
    "a slice": (lambda d, f: f(d.Jet[1:3]), lambda w, p, m: w[:, 1:3]),
    "the last": (lambda d, f: f(d.Jet[-1:]), lambda w, p, m: w[:, -1:]),
    "the first": (lambda d, f: f(d.Jet.First()), lambda w, p, m: ak.firsts(w)),
    "the second": (lambda d, f: f(d.Jet[1].pt), lambda w, p, m: ak.firsts(w[:, 1:])),
    "in a lambda": (lambda d, f: d.Jet.map(f), lambda w, p, m: w),
    "in a lambda with more": (lambda d, f: d.Jet[d.Jet.pt > 30].map(lambda j: f(j) + d.MET.pt * 0), lambda w, p, m: w[p > 30]),
    "a column": (lambda d, f: column(d, f)[d.Jet.pt > 30].number, lambda w, p, m: w[p > 30]),
}


def column(df, drawn):
    df.Jet["number"] = drawn(df.Jet)
    return df.Jet


@pytest.mark.parametrize("draw", [random_normal, random_uniform, lambda x, seed: random_poisson(x, 3.0, seed)])
@pytest.mark.parametrize(("chosen", "wanted"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_has_the_numbers_of_its_elements(df, raw, chosen, wanted, draw):
    whole = make_local(draw(df.Jet, "jer"))
    assert same(ak.num(whole), ak.num(raw["Jet_pt"]))
    got = make_local(chosen(df, lambda x: draw(x, "jer")))
    assert len(ak.drop_none(ak.ravel(got)))
    assert same(got, wanted(whole, raw["Jet_pt"], raw["MET_pt"]))


def test_they_do_not_depend_on_the_order_of_files_and_events(tmp_path):
    generator = np.random.default_rng(1)
    counts = generator.poisson(3, 200)
    events = ak.Array({
        "run": np.full(200, 3, "u4"),
        "luminosityBlock": np.arange(200, dtype="u4") // 10,
        "event": np.arange(200, dtype="u8"),
        "pt": ak.unflatten(generator.exponential(30, counts.sum()), counts),
    })  # fmt: skip
    order = generator.permutation(200)
    for name, part in (("a", events[:120]), ("b", events[120:]), ("c", events[order])):
        with uproot.recreate(tmp_path / f"{name}.root") as f:
            f.mktree("Events", {"run": "u4", "luminosityBlock": "u4", "event": "u8", "Jet": ak.zip({"pt": part.pt}).type.content}, counter_name=lambda c: "n" + c).extend({**{n: part[n] for n in ("run", "luminosityBlock", "event")}, "Jet": ak.zip({"pt": part.pt})})  # fmt: skip

    def numbers(*names):
        table = nanoaod_table([str(tmp_path / f"{n}.root") for n in names])
        return make_local(random_normal(table.Jet, seed="jer"))

    whole = numbers("a", "b")
    assert same(numbers("b", "a"), ak.concatenate([whole[120:], whole[:120]]))
    assert same(numbers("c"), whole[order])


def test_the_numbers_are_those_of_the_formula(df, raw):
    """Computed once more, in Python's own integers and floats: events, and jets by the collection's name and their position."""
    uniform, normal, of_jets = make_local([random_uniform(df, "a"), random_normal(df, "a"), random_uniform(df.Jet, "a")])
    salt = {n: int.from_bytes(sha256(f"{len(n)}:{n}1:a".encode()).digest()[:8], "big") for n in ("random_uniform", "random_normal")}
    of_collection = int.from_bytes(sha256(b"7:element3:Jet").digest()[:8], "big")
    words = list(zip(*[raw[n].tolist() for n in ("run", "luminosityBlock", "event")], strict=True))

    def absorbed(*words):
        key = ODD
        for word in words:
            key = mixed(((key ^ word) + ODD) & WORD)
        return key

    def number(key, name, i):
        return (mixed(mixed(key ^ salt[name]) + (i + 1) * ODD & WORD) >> 11) / 2**53

    keys = [absorbed(*w) for w in words]
    assert uniform.tolist() == [number(k, "random_uniform", 0) for k in keys]
    assert of_jets.tolist() == [
        [number(absorbed(k ^ of_collection, i), "random_uniform", 0) for i in range(n)]
        for k, n in zip(keys, ak.num(raw["Jet_pt"]), strict=True)
    ]
    pairs = [(number(k, "random_normal", 0), number(k, "random_normal", 1)) for k in keys]
    wanted = [math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v) for u, v in pairs]
    assert normal.tolist() == pytest.approx(wanted, rel=1e-12, abs=1e-13)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """20000 events with 5 elements each."""
    path = tmp_path_factory.mktemp("many") / "many.parquet"
    n = 20_000
    ids = {"run": np.full(n, 1), "luminosityBlock": np.arange(n) // 100, "event": np.arange(n)}
    ak.to_parquet(ak.Array(ids | {"Jet": ak.unflatten(ak.Array({"pt": np.tile(np.arange(5.0), n)}), 5)}), path)
    return parquet_table(str(path))


def test_their_distribution_is_what_is_asked_for(many):
    uniform, normal = (ak.to_numpy(make_local(f(many.Jet, "d"))) for f in (random_uniform, random_normal))
    assert uniform.shape == normal.shape == (20_000, 5)
    assert str(uniform.dtype) == str(normal.dtype) == "float64"
    assert scipy.stats.kstest(uniform.ravel(), "uniform").pvalue > 0.01
    assert scipy.stats.kstest(normal.ravel(), "norm").pvalue > 0.01
    for numbers in (uniform - 0.5, normal):
        correlations = np.corrcoef(numbers.T)
        assert np.all(abs(correlations[~np.eye(5, dtype=bool)]) < 0.03)  # elements of an event
        assert abs(np.corrcoef(numbers[1:, 0], numbers[:-1, 0])[0, 1]) < 0.03  # events one after the other
    again = ak.to_numpy(make_local(random_normal(many.Jet, "e")))
    assert abs(np.corrcoef(normal.ravel(), again.ravel())[0, 1]) < 0.02  # seeds
    events = make_local(random_normal(many, "d"))
    assert abs(np.corrcoef(events, normal[:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("mean", [0.01, 0.5, 1, 4.5, 30.0, 400.0])
def test_poisson_numbers_have_poisson_probabilities(many, mean):
    got = ak.to_numpy(make_local(random_poisson(many.Jet, mean, "p"))).ravel()
    assert got.dtype == np.int64
    edges = np.unique(scipy.stats.poisson.ppf(np.linspace(0, 1, 12)[1:-1], mean))
    bins = np.concatenate([[-np.inf], edges + 0.5, [np.inf]])
    wanted = np.diff(scipy.stats.poisson.cdf(bins, mean)) * len(got)
    assert scipy.stats.chisquare(np.histogram(got, bins)[0], wanted).pvalue > 0.001
    assert abs(got.mean() - mean) < 5 * math.sqrt(mean / len(got))


def test_the_mean_may_be_an_expression(df, raw):
    got = make_local(random_poisson(df.Jet[df.Jet.pt > 30], df.Jet[df.Jet.pt > 30].pt, "p"))
    mean = raw["Jet_pt"][raw["Jet_pt"] > 30]
    assert same(ak.num(got), ak.num(mean))
    pulls = ak.to_numpy(ak.flatten((got - mean) / np.sqrt(mean)))
    assert abs(pulls.mean()) < 0.2
    assert 0.8 < pulls.std() < 1.2
    assert same(make_local(random_poisson(df, 0, "p")), [0] * 1000)


def test_collections_and_seeds_have_numbers_of_their_own(df):
    first = [make_local(random_normal(x, seed).First()) for x in (df.Jet, df.Muon) for seed in ("a", "b")]
    events = make_local(random_normal(df.MET, "a"))
    numbers = [x for column in (*first, events) for x in ak.drop_none(column).tolist()]
    assert len(set(numbers)) == len(numbers)
    assert same(events, make_local(random_normal(df, "a")))
    assert same(events, make_local(random_normal(df.Jet.Count(), "a")))


def test_jets_are_smeared_once_for_all_that_uses_them(df):
    df.Jet["smeared"] = df.Jet.pt * (1 + 0.3 * random_normal(df.Jet, seed="jer"))
    hard = df.Jet[df.Jet.smeared > 50]
    booked = Histogram.new.Reg(10, 0, 100, name="x").Double().fill(x=hard.smeared)
    values, filled = make_local([hard.smeared, booked])
    assert ak.min(values) > 50
    assert filled.values()[:5].sum() == 0
    assert run(hard.smeared).report.tasks[-1].state == "cached"


def test_events_are_known_by_what_the_table_has(data):
    electrons = xaod_table(data("PHYSLITE_example.root")).Electrons("Electrons")
    numbers = ak.flatten(make_local(random_uniform(electrons, "a"))).tolist()
    assert len(numbers) == len(set(numbers)) > 10
    hzz = tree_table(data("uproot-HZZ.root"), tree="events")
    by_name = make_local(random_normal(hzz.Jet_Px, "a", event_id=("NJet", "NMuon", "NPrimaryVertices")))
    by_leaf = make_local(random_normal(hzz.Jet_Py, "a", event_id=(hzz.NJet, hzz.NMuon, hzz.NPrimaryVertices)))
    assert same(by_name, by_leaf)
    assert same(ak.num(by_name), make_local(hzz.Jet_Px.Count()))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda d, hzz: random_normal(hzz.Jet_Px, "a"), ("tell its events apart", "event_id=")),
        (lambda d, hzz: random_normal(hzz.Jet_Px, "a", event_id=("MET_px",)), ("whole numbers", "float32")),
        (lambda d, hzz: random_normal(hzz.Jet_Px, "a", event_id=("Nonsense",)), ("Nonsense",)),
        (lambda d, hzz: random_normal(hzz.Jet_Px, "a", event_id=(hzz.Jet_Px,)), ("whole numbers",)),
        (lambda d, hzz: random_normal(d.Jet, 3), ("the seed of random_normal is a text",)),
        (lambda d, hzz: random_normal(d.Jet, ""), ("the seed of random_normal is a text",)),
        (lambda d, hzz: random_normal([1, 2], "a"), ("not of a list",)),
        (lambda d, hzz: random_normal(d.Jet.pt.Sum().Sum(), "a"), ("each event or element",)),
        (lambda d, hzz: random_normal(ak.flatten(d.Jet.map(lambda j: d.Muon)), "a"), ("elements that are stored", "column")),
        (lambda d, hzz: random_normal(d.Jet.map(lambda j: d.Muon.map(lambda m: j.pt - m.pt)), "a"), ("elements that are stored",)),
        (lambda d, hzz: random_poisson(d.Jet, d.Muon.pt, "a"), ("align",)),
        (lambda d, hzz: make_local(random_poisson(d.Jet, -d.Jet.pt, "a")), ("the mean of a Poisson distribution",)),
    ],
)
def test_what_has_no_random_numbers_is_refused(df, data, wrong, words):
    with pytest.raises(HepFlowsError) as caught:
        wrong(df, tree_table(data("uproot-HZZ.root"), tree="events"))
    for word in words:
        assert word in str(caught.value)


def test_a_body_that_draws_is_told_of_them(df):
    @user_func
    def smeared(pt: float) -> float:
        return pt * np.random.default_rng(1).normal(size=len(pt))

    with pytest.raises(HepFlowsError, match="random_normal"):
        make_local(smeared(df.Jet.pt))
