"""The eight ADL benchmark queries beside awkward, coffea and RDataFrame: ``python adl.py [--file F] [--events N ...] [--rounds N] [--docs]``.

The queries are those of IRIS-HEP's analysis description language benchmarks. The sample is made with a seed: events of a NanoAOD file with
muons, electrons, jets (with ``btag``) and missing ET (a thousand of the demo's where none is given) are drawn with replacement, and smeared
by 2 %, so that they compress as real ones do. All systems run in turn in one process, from the file to the filled histogram, in chunks of the
same length, the page cache warm and libraries imported; each figure is the median of the rounds after the first. The histograms are compared in the same run:
those of plain awkward are equal bin by bin, of the others, which compute in other widths or another order, the entries in other bins are counted.
``read limit`` reads and decompresses the baskets of the needed branches with isal, in one thread, and does nothing else. RDataFrame
(``pip install root``) and coffea are left out where they are not installed. ``--docs`` writes the table and the plot into ``docs``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
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

CHUNK = 200_000
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


# The same with coffea's NanoEvents, whose arrays are read when they are used -----------------------------------------------------


def _lep(ev: Any) -> Any:
    from coffea.nanoevents.methods import vector as coffea_vectors

    parts = []
    for i, c in enumerate((ev.Electron, ev.Muon)):
        leaves = {n: c[n] for n in ("pt", "eta", "phi", "mass", "charge")} | {"part": ak.zeros_like(c.charge) + i}
        parts.append(ak.zip(leaves, with_name="PtEtaPhiMLorentzVector", behavior=coffea_vectors.behavior))
    return ak.concatenate(parts, axis=1)


def _c5(ev: Any) -> Any:
    p = ak.combinations(ev.Muon, 2, fields=["a", "b"])
    mass = (p.a + p.b).mass
    return ev.MET.pt[ak.any((p.a.charge != p.b.charge) & (mass > 60) & (mass < 120), axis=1)]


def _c6(ev: Any) -> Any:
    t = ak.combinations(ev.Jet, 3, fields=["a", "b", "c"])
    t["p4"] = t.a + t.b + t.c
    best = t[ak.argmin(abs(t.p4.mass - 172.5), axis=1, keepdims=True)]
    return best.p4.pt, np.maximum(np.maximum(best.a.btag, best.b.btag), best.c.btag)


def _c7(ev: Any) -> Any:
    lep = _lep(ev)
    jets, lep = ev.Jet[ev.Jet.pt > 30], lep[lep.pt > 10]
    return ak.sum(jets.pt[ak.all(jets.metric_table(lep) >= 0.4, axis=2)], axis=1)


def _c8(ev: Any) -> Any:
    lep = _lep(ev)
    lep = ak.with_field(lep, ak.local_index(lep.pt), "i")
    p = ak.combinations(lep, 2, fields=["a", "b"])
    p = p[(p.a.part == p.b.part) & (p.a.charge != p.b.charge)]
    z = ak.firsts(p[ak.argmin(abs((p.a + p.b).mass - 91.2), axis=1, keepdims=True)])
    rest = lep[ak.fill_none((lep.i != z.a.i) & (lep.i != z.b.i), value=False)]
    third = ak.firsts(rest[ak.argmax(rest.pt, axis=1, keepdims=True)])
    return np.sqrt(2 * third.pt * ev.MET.pt * (1 - np.cos(third.delta_phi(ev.MET))))


COFFEA: dict[str, Callable[[Any], Any]] = {
    "q1": lambda ev: ev.MET.pt,
    "q2": lambda ev: ev.Jet.pt,
    "q3": lambda ev: ev.Jet.pt[abs(ev.Jet.eta) < 1],
    "q4": lambda ev: ev.MET.pt[ak.sum(ev.Jet.pt > 40, axis=1) >= 2],
    "q5": _c5,
    "q6": _c6,
    "q7": _c7,
    "q8": _c8,
}


def with_coffea(query: str, path: str) -> list[hist.Hist]:
    """Give the histograms of a query, chunk by chunk."""
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    NanoAODSchema.warn_missing_crossrefs = NanoAODSchema.error_missing_event_ids = False
    axes = PLAIN[query][2]
    made = [hist.Hist.new.Reg(100, *edges, name="x").Double() for edges in axes]
    with uproot.open(path) as file:
        n = file["Events"].num_entries
    for start in range(0, n, CHUNK):
        how = {"schemaclass": NanoAODSchema, "mode": "virtual", "entry_start": start, "entry_stop": min(n, start + CHUNK)}
        values = COFFEA[query](NanoEventsFactory.from_root({path: "Events"}, **how).events())
        for h, v in zip(made, values if len(axes) > 1 else [values], strict=True):
            h.fill(ak.to_numpy(ak.drop_none(ak.flatten(v, axis=None))))
    return made


# The same with RDataFrame, compiled ----------------------------------------------------------------------------------------------

CPP = r"""
#pragma cling optimize(3)
#include <cmath>
#include <vector>
#include "Math/Vector4D.h"
#include "ROOT/RDataFrame.hxx"
#include "ROOT/RVec.hxx"
#include "TH1D.h"
#include "TVector2.h"
namespace adl {
using F = const ROOT::RVec<float> &;
using I = const ROOT::RVec<int> &;
using P4 = ROOT::Math::PtEtaPhiMVector;

struct Leptons {
  std::vector<P4> p4; std::vector<int> charge, part;
  void add(F pt, F eta, F phi, F mass, I q, int kind) {
    for (size_t i = 0; i < pt.size(); ++i) { p4.emplace_back(pt[i], eta[i], phi[i], mass[i]); charge.push_back(q[i]); part.push_back(kind); }
  }
};
bool has_z(F pt, F eta, F phi, F mass, I q) {
  for (size_t i = 0; i < pt.size(); ++i)
    for (size_t j = i + 1; j < pt.size(); ++j)
      if (q[i] != q[j]) {
        double m = (P4(pt[i], eta[i], phi[i], mass[i]) + P4(pt[j], eta[j], phi[j], mass[j])).M();
        if (m > 60 && m < 120) return true;
      }
  return false;
}
ROOT::RVec<double> top(F pt, F eta, F phi, F mass, F btag) {  // pt and the largest b-tag of the best three, if there are three
  std::vector<ROOT::Math::PxPyPzEVector> p;
  for (size_t i = 0; i < pt.size(); ++i) p.emplace_back(P4(pt[i], eta[i], phi[i], mass[i]));
  double best = -1, of = 0, tag = 0;
  for (size_t i = 0; i < p.size(); ++i)
    for (size_t j = i + 1; j < p.size(); ++j)
      for (size_t k = j + 1; k < p.size(); ++k) {
        auto sum = p[i] + p[j] + p[k];
        double d = std::abs(sum.M() - 172.5);
        if (best < 0 || d < best) { best = d; of = sum.Pt(); tag = std::max(std::max(btag[i], btag[j]), btag[k]); }
      }
  return best < 0 ? ROOT::RVec<double>{} : ROOT::RVec<double>{of, tag};
}
double clean(F pt, F eta, F phi, F ept, F eeta, F ephi, F mpt, F meta, F mphi) {
  auto near = [&](size_t j, F lpt, F leta, F lphi) {
    for (size_t i = 0; i < lpt.size(); ++i)
      if (lpt[i] > 10 && std::hypot((double)eta[j] - leta[i], TVector2::Phi_mpi_pi((double)phi[j] - lphi[i])) < 0.4) return true;
    return false;
  };
  double sum = 0;
  for (size_t j = 0; j < pt.size(); ++j)
    if (pt[j] > 30 && !near(j, ept, eeta, ephi) && !near(j, mpt, meta, mphi)) sum += pt[j];
  return sum;
}
ROOT::RVec<double> third(F ept, F eeta, F ephi, F em, I eq, F mpt, F meta, F mphi, F mm, I mq, float met, float met_phi) {
  Leptons l;
  l.add(ept, eeta, ephi, em, eq, 0);
  l.add(mpt, meta, mphi, mm, mq, 1);
  double best = -1; size_t a = 0, b = 0;
  for (size_t i = 0; i < l.p4.size(); ++i)
    for (size_t j = i + 1; j < l.p4.size(); ++j)
      if (l.part[i] == l.part[j] && l.charge[i] != l.charge[j]) {
        double d = std::abs((l.p4[i] + l.p4[j]).M() - 91.2);
        if (best < 0 || d < best) { best = d; a = i; b = j; }
      }
  if (best < 0) return {};
  int hardest = -1;
  for (size_t i = 0; i < l.p4.size(); ++i)
    if (i != a && i != b && (hardest < 0 || l.p4[i].Pt() > l.p4[hardest].Pt())) hardest = i;
  if (hardest < 0) return {};
  auto &p = l.p4[hardest];
  return {std::sqrt(2 * p.Pt() * met * (1 - std::cos(TVector2::Phi_mpi_pi(p.Phi() - met_phi))))};
}
std::vector<TH1D> run(int q, const char *path) {
  ROOT::RDataFrame df("Events", path);
  auto is = [](double low, double high) { return ROOT::RDF::TH1DModel("", "", 100, low, high); };
  std::vector<std::string> jets{"Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "Jet_btag"};
  std::vector<std::string> ele{"Electron_pt", "Electron_eta", "Electron_phi", "Electron_mass", "Electron_charge"};
  std::vector<std::string> mu{"Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Muon_charge"};
  std::vector<std::string> leptons{ele};
  leptons.insert(leptons.end(), mu.begin(), mu.end());
  leptons.insert(leptons.end(), {"MET_pt", "MET_phi"});
  switch (q) {
  case 1: return {*df.Histo1D<float>(is(0, 200), "MET_pt")};
  case 2: return {*df.Histo1D<ROOT::RVec<float>>(is(15, 60), "Jet_pt")};
  case 3: return {*df.Define("x", [](F pt, F eta) { return ROOT::RVec<float>(pt[abs(eta) < 1]); }, {"Jet_pt", "Jet_eta"}).Histo1D<ROOT::RVec<float>>(is(15, 60), "x")};
  case 4: return {*df.Filter([](F pt) { return Sum(pt > 40) >= 2; }, {"Jet_pt"}).Histo1D<float>(is(0, 200), "MET_pt")};
  case 5: return {*df.Filter(has_z, mu).Histo1D<float>(is(0, 200), "MET_pt")};
  case 6: {
    auto t = df.Define("t", top, jets).Filter([](const ROOT::RVec<double> &t) { return !t.empty(); }, {"t"});
    auto pt = t.Define("pt", [](const ROOT::RVec<double> &t) { return t[0]; }, {"t"}).Histo1D<double>(is(15, 40), "pt");
    auto tag = t.Define("tag", [](const ROOT::RVec<double> &t) { return t[1]; }, {"t"}).Histo1D<double>(is(0, 1), "tag");
    return {*pt, *tag};
  }
  case 7: return {*df.Define("x", clean, {"Jet_pt", "Jet_eta", "Jet_phi", "Electron_pt", "Electron_eta", "Electron_phi", "Muon_pt", "Muon_eta", "Muon_phi"}).Histo1D<double>(is(15, 200), "x")};
  default: return {*df.Define("x", third, leptons).Histo1D<ROOT::RVec<double>>(is(0, 250), "x")};
  }
}
}
"""


@cache
def _compiled() -> Any:
    import ROOT

    ROOT.EnableImplicitMT(2)
    ROOT.gInterpreter.Declare(CPP)
    return ROOT.adl


def with_rdataframe(query: str, path: str) -> list[hist.Hist]:
    """Give the histograms of a query, in two threads."""
    made = []
    for h, edges in zip(_compiled().run(int(query[1:]), path), PLAIN[query][2], strict=True):
        made.append(hist.Hist.new.Reg(100, *edges, name="x").Double())
        made[-1].view(flow=True)[:] = [h.GetBinContent(i) for i in range(102)]
    return made


def read_limit(query: str, path: str) -> None:
    """Read and decompress the baskets of the branches that a query needs."""
    from io import FileIO

    from isal import isal_zlib

    from hep_flows.sources.baskets import read_flat_tree

    names = [f"{of}_{leaf}" for of, inside in PLAIN[query][0].items() for leaf in inside]
    with FileIO(path) as stream:
        tree = read_flat_tree(path, stream, "Events")
        for name in names:
            found = tree.baskets(name)
            for place, size in zip(found.places, found.sizes, strict=True):
                raw = os.pread(stream.fileno(), size, place)
                at = int.from_bytes(raw[14:16], "big")  # behind its key
                while at < size and raw[at : at + 2] == b"ZL":
                    packed = int.from_bytes(raw[at + 3 : at + 6], "little")
                    isal_zlib.decompress(
                        memoryview(raw)[at + 9 : at + 9 + packed], bufsize=int.from_bytes(raw[at + 6 : at + 9], "little")
                    )
                    at += 9 + packed


# The sample, and the figures -----------------------------------------------------------------------------------------------------


def resampled(path: str, n_events: int, folder: str, seed: int = 1) -> str:
    """Write so many events, drawn from those of a file and smeared; only the leaves that the queries need."""
    leaves = sorted({f"{of}_{leaf}" for needed, _, _ in PLAIN.values() for of, inside in needed.items() for leaf in inside})
    with uproot.open(path) as file:
        a = file["Events"].arrays(sorted({*leaves} & {*file["Events"].keys()}))
    if "Jet_btag" not in a.fields:
        a["Jet_btag"] = abs(np.sin(a["Jet_phi"]))  # the demo's jets have none
    rng = np.random.default_rng(seed)
    target = str(Path(folder) / f"adl_{n_events}.root")
    groups = {n: [leaf for leaf in leaves if leaf.startswith(f"{n}_")] for n in ("Muon", "Electron", "Jet")}
    with uproot.recreate(target, compression=uproot.ZLIB(1)) as file:
        for start in range(0, n_events, CHUNK):
            drawn = a[rng.integers(0, len(a), min(CHUNK, n_events - start))]
            data = {
                n: ak.zip({leaf[len(n) + 1 :]: _smeared(drawn[leaf], leaf, rng) for leaf in names}) for n, names in groups.items()
            }
            data |= {n: _smeared(drawn[n], n, rng) for n in leaves if n.startswith("MET_")}
            if not start:
                file.mktree("Events", {n: v.type.content for n, v in data.items()}, counter_name=lambda c: "n" + c)
            file["Events"].extend(data)
    return target


def _smeared(array: Any, leaf: str, rng: np.random.Generator) -> Any:
    flat = ak.to_numpy(ak.flatten(array, axis=None))
    if flat.dtype.kind != "f":
        return array
    by = rng.normal(0, 0.02, len(flat))
    values = (np.clip(flat + by, -np.pi, np.pi) if leaf.endswith("_phi") else flat * (1 + by)).astype(np.float32)
    return ak.unflatten(values, ak.num(array)) if array.ndim > 1 else ak.Array(values)


SYSTEMS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "hep_flows": ("hep_flows", ours),
    "awkward": ("awkward", plain),
    "coffea": ("coffea", with_coffea),
    "RDataFrame": ("ROOT", with_rdataframe),
    "read limit": ("isal", read_limit),
}


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def _elsewhere(found: list[hist.Hist], wanted: list[hist.Hist]) -> int:
    """Give how many entries are in other bins."""
    return int(sum(abs(h.values(flow=True) - w.values(flow=True)).sum() for h, w in zip(found, wanted, strict=True)) + 1) // 2


def measured(file: str, systems: list[str], rounds: int) -> dict[str, Any]:
    """Give by query and system the medians of CPU and wall seconds, and the entries that are in other bins than ours."""
    figures: dict[str, Any] = {}
    for query in QUERIES:
        times: dict[str, list[tuple[float, float]]] = {n: [] for n in systems}
        others: dict[str, int] = {}
        for _ in range(rounds + 1):
            wanted: list[hist.Hist] = []
            for name in systems:
                cpu, wall, found = _timed(lambda name=name, query=query: SYSTEMS[name][1](query, file))
                times[name].append((cpu, wall))
                wanted = wanted or found
                if found is not None:
                    others[name] = _elsewhere(found, wanted)
        assert not others.get("awkward"), f"{query}: {others['awkward']} entries are in other bins than with plain awkward"
        figures[query] = {
            n: {"cpu": round(statistics.median(c for c, _ in t[1:]), 4), "wall": round(statistics.median(w for _, w in t[1:]), 4)}
            | ({"in other bins": others[n]} if n in others else {})
            for n, t in times.items()
        }
        print(query, json.dumps(figures[query]), file=sys.stderr)
    return figures


def _memory(file: str, system: str) -> int:
    """Give the peak of resident memory, in MB, of a process that runs all queries."""
    code = "import adl, resource, sys; [adl.SYSTEMS[sys.argv[2]][1](q, sys.argv[1]) for q in adl.QUERIES]; print(adl.peak())"
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, file, system], env=place, check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def peak() -> int:
    """Give the peak of resident memory of this process, in MB; what getrusage says begins with that of the process that started it."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


# Into the documentation ----------------------------------------------------------------------------------------------------------

_BEGIN, _END = "<!-- figures of benchmarks/adl.py -->", "<!-- end of the figures -->"


def _table(figures: dict[str, Any], what: str) -> list[str]:
    systems = list(figures["q1"])
    rows = [f"| Query | {' | '.join(systems)} |", f"|---|{'---:|' * len(systems)}"]
    rows += [f"| {q.upper()} | {' | '.join(f'{f[n][what] * 1000:.0f}' for n in systems)} |" for q, f in figures.items()]
    return rows


def write_docs(result: dict[str, Any], docs: Path) -> None:
    """Write the tables between their marks in performance.md, and the plot beside it."""
    import matplotlib.pyplot as plt

    lines = [_BEGIN, "", f"{result['machine']}.", ""]
    for n, figures in result["events"].items():
        lines += [f"{int(n):,} events, milliseconds of CPU:", "", *_table(figures, "cpu"), ""]
        lines += [f"{int(n):,} events, milliseconds by the clock:", "", *_table(figures, "wall"), ""]
    if result.get("memory"):
        lines += [
            "Peak of resident memory, all eight one after another: "
            + ", ".join(f"{s} {m} MB" for s, m in result["memory"].items())
            + ".",
            "",
        ]
    page = docs / "performance.md"
    before, _, rest = page.read_text().partition(_BEGIN)
    page.write_text(before + "\n".join([*lines, _END]) + rest.partition(_END)[2])
    figures = list(result["events"].values())[-1]
    fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
    systems = list(figures["q1"])
    for i, name in enumerate(systems):
        places = np.arange(len(figures)) + (i - (len(systems) - 1) / 2) * 0.8 / len(systems)
        ax.bar(places, [f[name]["cpu"] * 1000 for f in figures.values()], 0.8 / len(systems), label=name)
    ax.set(yscale="log", ylabel="CPU [ms]", xticks=range(len(figures)), xticklabels=[q.upper() for q in figures])
    ax.margins(y=0.2)
    ax.legend(ncols=len(systems), fontsize=8, loc="upper left")
    fig.savefig(docs / "images" / "adl.png", dpi=110)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--file", default="", help="NanoAOD events to draw from; the demo's when left out")
    asked.add_argument("--events", type=int, nargs="*", default=[200_000, 2_000_000])
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--docs", action="store_true", help="write table and plot into docs")
    given = asked.parse_args()
    from memory import sample  # beside this file: tests read the queries without it

    os.environ["HEP_FLOWS_CACHE"] = "off"  # what is measured is the computation
    os.environ.setdefault("HEP_FLOWS_WORKERS", "2")
    systems = [n for n, (module, _) in SYSTEMS.items() if importlib.util.find_spec(module) is not None]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; zlib, chunks of {CHUNK:,} events, medians of {given.rounds} rounds"
    result: dict[str, Any] = {"machine": machine, "events": {}, "memory": {}}
    with tempfile.TemporaryDirectory() as folder:
        source = given.file or str(sample(Path(folder), 1000))
        for n in given.events:
            file = resampled(source, n, folder)
            time.sleep(3)  # a file that changed a moment ago is read with care
            result["events"][str(n)] = measured(file, systems, given.rounds)
        result["memory"] = {n: _memory(file, n) for n in systems if n != "read limit"}
    print(json.dumps(result, indent=1))
    if given.docs:
        write_docs(result, Path(__file__).parents[1] / "docs")


if __name__ == "__main__":
    main()
