"""Kinds of numbers and references (12.6, 12.7, 13.4): against Python's own integers, and loops over events."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import HepFlowsError, make_local, nanoaod_table
from hep_flows.record.references import container_keys
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from pathlib import Path

    from semantics.files import Branches, Raw, Tables

N = [[40, 200], [], [100]]
E = [[0, 1], [], [0]]


def nanoaod(path: Path, kind: str) -> Any:
    """Give a table of the same small numbers in one width or another."""
    jets = ak.zip({k: ak.values_astype(ak.Array(v), kind) for k, v in {"n": N, "e": E}.items()})
    jets = ak.with_field(jets, ak.values_astype(jets.n, "float32") / 8, "pt")
    with uproot.recreate(path) as f:
        f.mktree("Events", {"Jet": jets.type.content}, counter_name=lambda c: "n" + c).extend({"Jet": jets})
    return nanoaod_table(str(path))


# What is computed of the numbers n and e, in Python's own integers, and the kind that comes out of narrow ones.
SUMS = {
    "n - 100": ("int32", lambda n, e: n - 100),
    "100 - n": ("int32", lambda n, e: 100 - n),
    "n * 2": ("int32", lambda n, e: n * 2),
    "n + n": ("int32", lambda n, e: n + n),
    "n // 7 - n % 7": ("int32", lambda n, e: n // 7 - n % 7),
    "n ** 2": ("int32", lambda n, e: n**2),
    "-n": ("int32", lambda n, e: -n),
    "abs(e - n)": ("int32", lambda n, e: abs(e - n)),
    "n * np.int8(2)": ("int32", lambda n, e: n * 2),
    "np.square(n)": ("int32", lambda n, e: n * n),
    "n < 100": ("bool", lambda n, e: n < 100),
    "n - 100 < 0": ("bool", lambda n, e: n - 100 < 0),
    "n / 8": ("float64", lambda n, e: n / 8),
    "n * pt": ("float64", lambda n, e: n * n / 8),
    "np.sqrt(n)": ("float64", lambda n, e: n**0.5),
    "np.hypot(n, e)": ("float64", lambda n, e: (n * n + e * e) ** 0.5),
    "(n > 50) + (e > 0)": ("int32", lambda n, e: (n > 50) + (e > 0)),
    "(n > 50) * pt": ("float32", lambda n, e: (n > 50) * n / 8),
    "np.exp(e > 0)": ("float64", lambda n, e: math.exp(e > 0)),
}


@pytest.mark.parametrize("text", SUMS)
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32"])
def test_small_numbers_do_not_wrap(text: str, kind: str, tmp_path: Path) -> None:
    df = nanoaod(tmp_path / "f.root", kind)
    known = {"n": df.Jet.n, "e": df.Jet.e, "pt": df.Jet.pt, "np": np, "abs": abs}
    got = make_local(eval(text, known))
    wanted_kind, rule = SUMS[text]
    assert str(got.type).endswith(f"* {wanted_kind}")
    want = [[rule(n, e) for n, e in zip(*lists, strict=True)] for lists in zip(N, E, strict=True)]
    assert np.allclose(ak.to_numpy(ak.ravel(got)), np.concatenate([np.asarray(w, "f8") for w in want]), rtol=1e-6)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "int32"])
def test_bits_keep_their_width(kind: str, tmp_path: Path) -> None:
    df = nanoaod(tmp_path / "f.root", kind)
    for got in make_local([df.Jet.e & 1, df.Jet.e | df.Jet.e, ~df.Jet.e, df.Jet.e << 1, df.Jet.e.Max()]):
        assert kind in str(got.type)
    sums = make_local([df.Jet.e.Sum() - df.Jet.n.Sum(), df.Jet.e.Sum()])
    assert sums[0].to_list() == [
        sum(e) - sum(ak.values_astype(ak.Array([n]), kind).to_list()[0]) for e, n in zip(E, N, strict=True)
    ]
    assert "int64" in str(sums[0].type)


UNSIGNED = [
    ("uint32", lambda x: x - 1, "np.int64(1)"),
    ("uint32", lambda x: 1 - x, "np.int64(1)"),
    ("uint32", lambda x: -x, "np.int64(1)"),
    ("uint32", lambda x: x * 2, "np.int64(1)"),
    ("uint32", lambda x: x**2, "np.int64(1)"),
    ("uint64", lambda x: x - 1, "1.0"),
    ("uint64", lambda x: x + np.int64(1), "1.0"),
    ("uint64", lambda x: x - x, "1.0"),
]


@pytest.mark.parametrize("number", range(len(UNSIGNED)))
def test_unsigned_numbers_that_may_wrap_warn_once_with_a_fix_that_is_right(number: int, tmp_path: Path) -> None:
    kind, use, fix = UNSIGNED[number]
    df = nanoaod(tmp_path / "f.root", kind)
    with pytest.warns(UserWarning, match=kind) as said:
        use(df.Jet.e)
    assert len(said) == 1
    assert fix in str(said[0].message)
    assert "test_section_12_kinds.py" in str(said[0].message)
    wide = df.Jet.e * (np.int64(1) if kind == "uint32" else 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = make_local(use(wide))
    assert got.to_list() == [[use(e) for e in es] for es in E]


@pytest.mark.parametrize(
    "use", [lambda x: x & 1, lambda x: x == 1, lambda x: x // 2, lambda x: x * 0.5, lambda x: x + np.int64(1), lambda x: x.Sum()]
)
def test_unsigned_numbers_that_cannot_wrap_say_nothing(use: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(nanoaod(tmp_path / "f.root", "uint32").Jet.e)


def test_what_is_no_number_counts_as_missing_in_extremes(tmp_path: Path) -> None:
    lists = [[1.0, np.nan, 3.0], [np.nan], [], [-2.0, 5.0]]
    x = ak.values_astype(ak.Array(lists), "float32")
    with uproot.recreate(tmp_path / "f.root") as f:
        f.mktree("Events", {"Jet": ak.zip({"x": x}).type.content}, counter_name=lambda c: "n" + c).extend({"Jet": ak.zip({"x": x})})
    jets = nanoaod_table(str(tmp_path / "f.root")).Jet
    got = make_local([jets.x.Max(), jets.x.Min(), jets.x.Max().Max(), jets.x.Min().Min(), jets.x.ArgMax()], chunk_events=1)
    known = [[v for v in e if v == v] for e in lists]  # noqa: PLR0124 - what is no number does not equal itself
    assert got[0].to_list() == [max(e, default=None) for e in known]
    assert got[1].to_list() == [min(e, default=None) for e in known]
    assert got[2:4] == [5.0, -2.0]
    assert got[4].to_list() == [2, None, None, 1]


# -------------------------------------------------------------------------------------------------------------- references


def events(b: Branches, *names: str) -> Any:
    """Give the branches as Python lists, event by event."""
    return zip(*[b[n].to_list() for n in names], strict=True)


def at(values: list[Any], i: int | None) -> Any:
    return values[i] if i is not None and 0 <= i < len(values) else None


def followed(b: Branches, leaf: str, index: str) -> Any:
    return ak.Array([[at(values, i) for i in indices] for values, indices in events(b, leaf, index)])


def generator_history(t: Tables) -> Any:
    g = t.tt.GenPart
    late = g[g.pt > 20]
    return [
        g.mother.pdgId,
        g.genPartMother.pdgId,
        g.mother.mother.pdgId,
        late.mother.pdgId,
        g.children.pdgId,
        late.children.Count(),
    ]


def want_generator_history(r: Raw) -> Any:
    mothers, grand, children = [], [], []
    for pdg, up in events(r.tt, "GenPart_pdgId", "GenPart_genPartIdxMother"):
        mothers.append([at(pdg, i) for i in up])
        grand.append([at(pdg, at(up, i)) for i in up])
        below = [[k for k, i in enumerate(up) if i == n] for n in range(len(pdg))]
        children.append([[pdg[k] for k in ks] for ks in below])
    late = r.tt["GenPart_pt"] > 20
    mother, children = ak.Array(mothers), ak.Array(children)
    kinds = [ak.values_astype(x, "int32") for x in (mother, mother, ak.Array(grand), mother[late], children)]
    return [*kinds, ak.num(children, axis=2)[late]]


def matched(t: Tables) -> Any:
    df = t.tt
    ev = df[df.Jet.Count() > 4]
    near = df.Muon.map(lambda m: m.genPart.pt)
    return [
        *[df.Muon.genPart.pt, df.Electron.genPart.pdgId, df.Jet.genJet.pt, df.Jet.muon1.pt, df.Muon[df.Muon.pt > 10].jet.eta],
        *[ev.Muon.genPart.pt, df.Muon.First().genPart.pt, near, df.Muon.genPart.mother.pdgId, df.Muon[df.Jet.muonIdx1 + 0].pt],
    ]


def want_matched(r: Raw) -> Any:
    b = r.tt
    gen = followed(b, "GenPart_pt", "Muon_genPartIdx")
    mother = followed(b, "GenPart_pdgId", "GenPart_genPartIdxMother").to_list()
    above = ak.Array([[at(m, i) for i in idx] for m, idx in zip(mother, b["Muon_genPartIdx"].to_list(), strict=True)])
    real = [
        gen,
        followed(b, "GenJet_pt", "Jet_genJetIdx"),
        followed(b, "Muon_pt", "Jet_muonIdx1"),
        followed(b, "Jet_eta", "Muon_jetIdx"),
    ]
    gen, genjet, muon, jet = [ak.values_astype(x, "float32") for x in real]
    pdg = ak.values_astype(followed(b, "GenPart_pdgId", "Electron_genPartIdx"), "int32")
    many = ak.num(b["Jet_pt"]) > 4
    return [gen, pdg, genjet, muon, jet[b["Muon_pt"] > 10], gen[many], ak.firsts(gen), gen, ak.values_astype(above, "int32"), muon]


def flags(t: Tables) -> Any:
    g = t.tt.GenPart
    return [g.hasFlags("isPrompt", "isLastCopy"), g[g.hasFlags(["isHardProcess"])].pdgId]


def want_flags(r: Raw) -> Any:
    has = [[[f >> bit & 1 == 1 for bit in (0, 13, 7)] for f in e] for (e,) in events(r.tt, "GenPart_statusFlags")]
    both = ak.Array([[x[0] and x[1] for x in e] for e in has])
    return [both, r.tt["GenPart_pdgId"][ak.Array([[x[2] for x in e] for e in has])]]


def gathered(t: Tables) -> Any:
    j, i = t.sm.Jet, t.sm.Jet.btag.ArgMax()
    return [j[i].pt, j[i - 1].pt, j[t.sm.Jet.Count() - 1].pt, j[j.map(lambda x: j[j.pt > x.pt].Count())].eta]


def want_gathered(r: Raw) -> Any:
    best, before, last, ranks = [], [], [], []
    for pt, tag, eta in events(r.sm, "Jet_pt", "Jet_btag", "Jet_eta"):
        i = tag.index(max(tag)) if tag else None
        best.append(at(pt, i))
        before.append(at(pt, None if i is None else i - 1))
        last.append(at(pt, len(pt) - 1))
        ranks.append([at(eta, sum(x > p for x in pt)) for p in pt])
    return [ak.values_astype(ak.Array(x), "float32") for x in (best, before, last, ranks)]


def part_of_link(b: Branches, link: str, part: str) -> Any:
    """Give a part of a link, whether the file splits it or not."""
    return b[f"{link}/{link}.m_pers{part}"] if f"{link}/{link}.m_persKey" in b.tree else b[link][f"m_pers{part}"]


def linked(b: Branches, leaf: str, link: str) -> Any:
    """Follow element links one by one, by the key of each container that has the leaf."""
    keys, places = (part_of_link(b, link, part).to_list() for part in ("Key", "Index"))
    names = [n.split("AuxDyn.")[0] for n in b.tree.keys(recursive=False) if n.endswith(f"AuxDyn.{leaf}")]
    known = {k: n for n in names for k in container_keys(n)}
    held = {n: b[f"{n}AuxDyn.{leaf}"].to_list() for n in names}

    def one(e: int, key: Any, place: Any) -> Any:
        if isinstance(key, list):
            return [one(e, k, p) for k, p in zip(key, place, strict=True)]
        return at(held[known[key]][e], place) if key in known else None

    return ak.Array([one(e, k, p) for e, (k, p) in enumerate(zip(keys, places, strict=True))])


def links(t: Tables) -> Any:
    df = t.phys
    e, p = df.Electrons("Electrons"), df.Photons("Photons")
    return [
        *[e.TruthLink.pdgId, p.TruthLink.pdgId, e[e.pt > 20000].TruthLink.px, e.trackParticleLinks.d0, e.TruthLink.key],
        *[e.TruthLink.First().pdgId, e.TruthLink.index, df.Muons("Muons").inDetTrackParticleLink.d0],
    ]


def want_links(r: Raw) -> Any:
    b, name = r.phys, "AnalysisElectronsAuxDyn"
    pdg = ak.values_astype(linked(b, "pdgId", f"{name}.TruthLink"), "int32")
    px = ak.values_astype(linked(b, "px", f"{name}.TruthLink"), "float64")[b[f"{name}.pt"] > 20000]
    part = [part_of_link(b, f"{name}.TruthLink", x) for x in ("Key", "Index")]
    photons = ak.values_astype(linked(b, "pdgId", "AnalysisPhotonsAuxDyn.TruthLink"), "int32")
    d0 = [
        ak.values_astype(linked(b, "d0", f"{n}"), "float32")
        for n in (f"{name}.trackParticleLinks", "AnalysisMuonsAuxDyn.inDetTrackParticleLink")
    ]
    return [pdg, photons, px, d0[0], part[0], ak.firsts(pdg), part[1], d0[1]]


ROWS = [
    Row("12.7", "mothers and children", generator_history, want_generator_history, rel=1e-6),
    Row("12.7", "objects that are matched by index", matched, want_matched),
    Row("12.7", "status flags by name", flags, want_flags),
    Row("12.7", "an integer expression picks, and below 0 is nothing", gathered, want_gathered),
    Row("12.7", "element links of xAOD", links, want_links),
]


@table(ROWS)
def test_references(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def link_into_another(t: Tables) -> Any:
    return t.phys.Photons("Photons")[t.phys.Electrons("Electrons").TruthLink.index].pt


MISTAKES = [
    Mistake("12.7", "an index into another collection", lambda t: t.tt.Jet[t.tt.Muon.genPartIdx], ("GenPart", "Jet")),
    Mistake("12.7", "an index into a view", lambda t: t.tt.Jet[t.tt.Jet.pt > 30][t.tt.Muon.jetIdx], ("Jet",)),
    Mistake("12.7", "an index whose collection the file lacks", lambda t: t.tt.Jet[t.tt.Electron.photonIdx], ("Photon", "Jet")),
    Mistake("12.7", "the object of such an index", lambda t: t.tt.Electron.photon.pt, ("Photon",)),
    Mistake("12.7", "the place of a link in another container", link_into_another, ("TruthLink", "key")),
    Mistake(
        "12.7",
        "the raw place of a link",
        lambda t: t.phys.Photons("Photons")[t.phys.Electrons("Electrons").TruthLink.m_persIndex],
        ("TruthLink",),
    ),
    Mistake("12.7", "an unknown flag", lambda t: t.tt.GenPart.hasFlags("isLastCop"), ("isLastCop",), ("isLastCopy",)),
    Mistake("12.7", "a leaf that nothing linked has", lambda t: t.phys.Electrons("Electrons").TruthLink.pdgid, ("pdgid",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_references_follow_a_replaced_collection(t: Tables, raw: Raw) -> None:
    df = t.tt
    df.Jet["gev"] = lambda j: j.pt / 1000
    new = df.With(Jet=lambda j: j.With(pt=j.pt * 2))
    got, gev = make_local([new.Muon.jet.pt, new.Muon.jet.gev])
    want = ak.values_astype(followed(raw.tt, "Jet_pt", "Muon_jetIdx"), "float32")
    assert got.to_list() == (want * 2).to_list()
    assert gev.to_list() == (want * 2 / 1000).to_list()
    some = new[new.MET.pt > 20]
    assert make_local(some.Muon.jet.pt).to_list() == (want * 2)[raw.tt["MET_pt"] > 20].to_list()
    with pytest.raises(HepFlowsError, match="Jet is replaced in the whole table") as caught:
        some.With(Jet=some.Jet.With(pt=some.Jet.pt * 2))  # what uses the jets could not follow
    assert "df.With(Jet=...)[mask]" in str(caught.value)
    fewer = df.With(Jet=lambda j: j[j.pt > 30])
    kept = [
        [p if p is not None and p > 30 else None for p in event] for event in followed(raw.tt, "Jet_pt", "Muon_jetIdx").to_list()
    ]
    assert make_local(fewer.Muon.jet.pt).to_list() == kept
    assert any(p is not None for event in kept for p in event)


def test_links_into_a_container_that_the_file_lacks_are_missing(t: Tables) -> None:
    e = t.phys.Electrons("Electrons")
    pdg, key = make_local([e.truthParticleLink.pdgId, e.truthParticleLink.key])
    assert ak.num(pdg).to_list() == ak.num(key).to_list()
    assert ak.all(ak.is_none(pdg, axis=1), axis=None)
    assert ak.any(key != 0)


def test_keys_of_containers_are_those_of_the_event_data_model() -> None:
    known = {"TruthElectrons": 394100163, "InDetTrackParticles": 490246363, "PrimaryVertices": 936461719, "AnalysisJets": 452794649}
    assert all(key in container_keys(name) for name, key in known.items())
    assert len({k for name in known for k in container_keys(name)}) == sum(len(container_keys(n)) for n in known)
