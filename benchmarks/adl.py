"""The eight ADL benchmark queries, beside plain uproot, awkward and vector in chunks. Prints JSON: ``python adl.py [nano.root [copies [rounds]]]``.

The queries are those of IRIS-HEP's analysis description language benchmarks, on a NanoAOD file with muons, electrons, jets (with
``btag``) and missing ET, whose events are repeated; without a file, on a thousand events of the demo's sample. Both sides run in turn in one process; each figure is the median of the rounds, in
seconds of CPU from the file to the filled histogram; ``ratio`` is the other's time over ours, round by round. The histograms are
equal bin by bin.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import uproot
import vector

from hep_flows import Concatenate, Histogram, make_local, nanoaod_table

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 100_000
H = Histogram.new


def q1(df: Any) -> Any:
    """Missing ET."""
    return H.Reg(100, 0, 200, name="met").Double().fill(met=df.MET.pt)


def q2(df: Any) -> Any:
    """Transverse momentum of jets."""
    return H.Reg(100, 15, 60, name="pt").Double().fill(pt=df.Jet.pt)


def q3(df: Any) -> Any:
    """Transverse momentum of central jets."""
    return H.Reg(100, 15, 60, name="pt").Double().fill(pt=df.Jet[abs(df.Jet.eta) < 1].pt)


def q4(df: Any) -> Any:
    """Missing ET of events with two jets above 40 GeV."""
    ev = df[df.Jet[df.Jet.pt > 40].Count() >= 2]
    return H.Reg(100, 0, 200, name="met").Double().fill(met=ev.MET.pt)


def q5(df: Any) -> Any:
    """Missing ET of events with a muon pair of opposite charge and a mass between 60 and 120 GeV."""
    pairs = df.Muon.Combinations(2, fields=("a", "b"))
    pairs["m"] = lambda p: (p.a + p.b).mass
    z = pairs[(pairs.a.charge != pairs.b.charge) & (pairs.m > 60) & (pairs.m < 120)]
    return H.Reg(100, 0, 200, name="met").Double().fill(met=df[z.Count() > 0].MET.pt)


def q6(df: Any) -> Any:
    """Transverse momentum of the three jets whose mass is closest to 172.5 GeV, and the largest b-tag among them."""
    tri = df.Jet.Combinations(3, fields=("a", "b", "c"))
    tri["p4"] = lambda t: t.a + t.b + t.c
    best = tri.MinBy(lambda t: abs(t.p4.mass - 172.5))
    btag = np.maximum(np.maximum(best.a.btag, best.b.btag), best.c.btag)
    pt = H.Reg(100, 15, 40, name="pt").Double().fill(pt=best.p4.pt)
    return [pt, H.Reg(100, 0, 1, name="btag").Double().fill(btag=btag)]


def q7(df: Any) -> Any:
    """Sum of pt of the jets above 30 GeV that have no lepton above 10 GeV within 0.4."""
    lep = Concatenate(df.Electron, df.Muon)[lambda x: x.pt > 10]
    jets = df.Jet[df.Jet.pt > 30]
    clean = jets[jets.map(lambda j: ~(lep.DeltaR(j) < 0.4).Any())]
    return H.Reg(100, 15, 200, name="ht").Double().fill(ht=clean.pt.Sum())


def q8(df: Any) -> Any:
    """Transverse mass of missing ET and the hardest lepton outside the pair that is closest to the Z."""
    lep = Concatenate(df.Electron, df.Muon)
    lep["i"] = lep.Index()
    pairs = lep.Combinations(2, fields=("a", "b"))
    z = pairs[(pairs.a.part == pairs.b.part) & (pairs.a.charge != pairs.b.charge)].MinBy(lambda p: abs((p.a + p.b).mass - 91.2))
    third = lep[(lep.i != z.a.i) & (lep.i != z.b.i)].MaxBy(lambda x: x.pt)
    mt = np.sqrt(2 * third.pt * df.MET.pt * (1 - np.cos(third.DeltaPhi(df.MET))))
    return H.Reg(100, 0, 250, name="mt").Double().fill(mt=mt)


QUERIES: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (q1, q2, q3, q4, q5, q6, q7, q8)}


# The same in plain awkward and vector ---------------------------------------------------------------------------------------------


def _objects(a: Any, name: str, *more: str) -> Any:
    p4 = vector.zip({n: ak.values_astype(a[f"{name}_{n}"], "float64") for n in ("pt", "eta", "phi", "mass")})
    return ak.zip({"p4": p4, **{n: a[f"{name}_{n}"] for n in ("pt", *more)}}, depth_limit=2)


def _leptons(a: Any, *more: str) -> Any:
    parts = [_objects(a, name, *more) for name in ("Electron", "Muon")]
    return ak.concatenate([ak.with_field(p, ak.zeros_like(p.pt, dtype=np.int64) + i, "part") for i, p in enumerate(parts)], axis=1)


def _q5(a: Any) -> Any:
    x, y = ak.unzip(ak.combinations(_objects(a, "Muon", "charge"), 2))
    mass = (x.p4 + y.p4).mass
    return a["MET_pt"][ak.any((x.charge != y.charge) & (mass > 60) & (mass < 120), axis=1)]


def _q6(a: Any) -> Any:
    x, y, z = ak.unzip(ak.combinations(_objects(a, "Jet", "btag"), 3))
    p4 = x.p4 + y.p4 + z.p4
    best = ak.argmin(abs(p4.mass - 172.5), axis=1, keepdims=True)
    return p4[best].pt, np.maximum(np.maximum(x[best].btag, y[best].btag), z[best].btag)


def _q7(a: Any) -> Any:
    jets, lep = _objects(a, "Jet"), _leptons(a)
    jets, lep = jets[jets.pt > 30], lep[lep.pt > 10]
    j, x = ak.unzip(ak.cartesian([jets.p4, lep.p4], nested=True))
    return ak.sum(ak.values_astype(jets.pt, "float64")[~ak.any(j.deltaR(x) < 0.4, axis=2)], axis=1)


def _q8(a: Any) -> Any:
    lep = _leptons(a, "charge")
    lep = ak.with_field(lep, ak.local_index(lep.pt), "i")
    x, y = ak.unzip(ak.combinations(lep, 2))
    good = (x.part == y.part) & (x.charge != y.charge)
    x, y = x[good], y[good]
    best = ak.argmin(abs((x.p4 + y.p4).mass - 91.2), axis=1, keepdims=True)
    i, j = ak.firsts(x.i[best]), ak.firsts(y.i[best])
    rest = lep[ak.fill_none((lep.i != i) & (lep.i != j), value=False)]
    third = ak.firsts(rest[ak.argmax(rest.pt, axis=1, keepdims=True)])
    phi = ak.values_astype(a["MET_phi"], "float64")
    angle = (third.p4.phi - phi + np.pi) % (2 * np.pi) - np.pi
    return np.sqrt(2 * third.pt * a["MET_pt"] * (1 - np.cos(angle)))


_P4 = ("pt", "eta", "phi", "mass")
_MET = {"MET": ("pt",)}
# The leaves of each query, what it draws of a chunk, and the axes.
PLAIN: dict[str, tuple[dict[str, tuple[str, ...]], Callable[[Any], Any], tuple[tuple[int, int], ...]]] = {
    "q1": (_MET, lambda a: a["MET_pt"], ((0, 200),)),
    "q2": ({"Jet": ("pt",)}, lambda a: a["Jet_pt"], ((15, 60),)),
    "q3": ({"Jet": ("pt", "eta")}, lambda a: a["Jet_pt"][abs(a["Jet_eta"]) < 1], ((15, 60),)),
    "q4": (_MET | {"Jet": ("pt",)}, lambda a: a["MET_pt"][ak.sum(a["Jet_pt"] > 40, axis=1) >= 2], ((0, 200),)),
    "q5": (_MET | {"Muon": (*_P4, "charge")}, _q5, ((0, 200),)),
    "q6": ({"Jet": (*_P4, "btag")}, _q6, ((15, 40), (0, 1))),
    "q7": (dict.fromkeys(("Jet", "Electron", "Muon"), _P4), _q7, ((15, 200),)),
    "q8": ({"MET": ("pt", "phi"), **dict.fromkeys(("Electron", "Muon"), (*_P4, "charge"))}, _q8, ((0, 250),)),
}


def plain(query: str, path: str) -> list[hist.Hist]:
    """Give the histograms of a query, chunk by chunk."""
    leaves, drawn, axes = PLAIN[query]
    made = [hist.Hist.new.Reg(100, *edges, name="x").Double() for edges in axes]
    names = [f"{of}_{leaf}" for of, inside in leaves.items() for leaf in inside]
    with uproot.open(path, array_cache=None, object_cache=None) as file:
        for chunk in file["Events"].iterate(names, step_size=CHUNK):
            values = drawn(chunk)
            for h, v in zip(made, values if len(axes) > 1 else [values], strict=True):
                h.fill(ak.to_numpy(ak.drop_none(ak.flatten(v, axis=None))))
    return made


def ours(query: str, path: str) -> list[hist.Hist]:
    """Give the histograms of a query."""
    found = make_local(QUERIES[query](nanoaod_table(path)))
    return found if isinstance(found, list) else [found]


# ----------------------------------------------------------------------------------------------------------------------------------


def repeated(path: str, copies: int, folder: str) -> str:
    """Write the leaves that the queries need, so many times over."""
    leaves = {f"{of}_{leaf}" for needed, _, _ in PLAIN.values() for of, inside in needed.items() for leaf in inside}
    with uproot.open(path) as file:
        a = file["Events"].arrays(sorted(leaves & {*file["Events"].keys()}))
    if "Jet_btag" not in a.fields:
        a["Jet_btag"] = abs(np.sin(a["Jet_phi"]))  # the demo's jets have none
    groups = {"Muon": {}, "Electron": {}, "Jet": {}} | {n: a[n] for n in leaves if n.startswith("MET_")}
    for name in sorted(leaves):
        of, _, leaf = name.partition("_")
        if of != "MET":
            groups[of][leaf] = a[name]
    data = {n: ak.zip(g) if isinstance(g, dict) else g for n, g in groups.items()}
    target = str(Path(folder) / "repeated.root")
    with uproot.recreate(target) as file:
        file.mktree("Events", {n: v.type.content for n, v in data.items()}, counter_name=lambda c: "n" + c)
        some = 50
        for _ in range(copies // some):
            file["Events"].extend({n: ak.concatenate([v] * some) for n, v in data.items()})
    return target


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main(path: str = "", copies: int = 400, rounds: int = 5) -> None:
    """Measure and print."""
    from memory import sample  # beside this file: tests read the queries without it

    os.environ["HEP_FLOWS_CACHE"] = "off"  # what is measured is the computation
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = repeated(path or str(sample(Path(folder), 1000)), copies, folder)
        for query in QUERIES:
            times: dict[str, list[float]] = {"hep_flows": [], "awkward": []}
            for _ in range(rounds + 1):
                mine, found = _timed(lambda query=query: ours(query, file))
                other, wanted = _timed(lambda query=query: plain(query, file))
                times["hep_flows"].append(mine)
                times["awkward"].append(other)
                for h, w in zip(found, wanted, strict=True):
                    assert h.values(flow=True).tolist() == w.values(flow=True).tolist(), query
            row: dict[str, object] = {c: round(statistics.median(t[1:]), 3) for c, t in times.items()}
            pairs = zip(times["awkward"][1:], times["hep_flows"][1:], strict=True)
            row["ratio"] = round(statistics.median(o / m for o, m in pairs), 2)
            figures[query] = row
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:2], *[int(n) for n in sys.argv[2:]])
