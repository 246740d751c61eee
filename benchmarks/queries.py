"""Five analyses on a million events: hep_flows beside plain uproot + awkward and coffea, in turn, in one process. Prints JSON.

Each figure is the median of the rounds in seconds, from the file to the filled histogram, the file in the page cache and libraries
imported; ``ratio`` is the other's time over ours, round by round, so that it holds while the machine's speed drifts. The counts of all
three must agree.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import uproot
from memory import in_folder, sample

from hep_flows import Histogram, make_local, nanoaod_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 200_000


def ours(path: str) -> dict[str, Callable[[], Any]]:
    """Give the five analyses in the language."""
    H = Histogram.new  # noqa: N806 - as in the documentation

    def met() -> Any:
        df = nanoaod_table(path)
        return make_local(H.Reg(100, 0, 200, name="x").Double().fill(df.MET.pt))

    def jets() -> Any:
        df = nanoaod_table(path)
        return make_local(H.Reg(100, 15, 60, name="x").Double().fill(df.Jet.pt))

    def central() -> Any:
        df = nanoaod_table(path)
        return make_local(H.Reg(100, 15, 60, name="x").Double().fill(df.Jet[abs(df.Jet.eta) < 1].pt))

    def two_jets() -> Any:
        df = nanoaod_table(path)
        ev = df[df.Jet[df.Jet.pt > 40].Count() >= 2]
        return make_local(H.Reg(100, 0, 200, name="x").Double().fill(ev.MET.pt))

    def matched() -> Any:
        df = nanoaod_table(path)
        truth = df.GenPart[(abs(df.GenPart.pdgId) == 11) & (df.GenPart.status == 1)]
        eles = df.Electron[df.Electron.pt > 20]
        near = eles[eles.map(lambda e: truth[lambda t: t.DeltaR(e) < 0.1].Count() > 0)]
        return make_local(H.Reg(100, 0, 200, name="x").Double().fill(near.pt))

    return {"met": met, "jets": jets, "central jets": central, "met of two jets": two_jets, "matched electrons": matched}


def _chunks(path: str, names: list[str]) -> Any:
    with uproot.open(path, array_cache=None, object_cache=None) as file:
        yield from file["Events"].iterate(names, step_size=CHUNK)


def _fill(h: hist.Hist, values: Any) -> None:
    h.fill(ak.to_numpy(ak.flatten(values, axis=None)))


def _matched(e: Any, g: Any) -> Any:
    x, y = ak.unzip(ak.cartesian([e, g], nested=True))
    dphi = (x.phi - y.phi + np.pi) % (2 * np.pi) - np.pi
    return e.pt[ak.any(np.sqrt((x.eta - y.eta) ** 2 + dphi**2) < 0.1, axis=-1)]


def plain(path: str) -> dict[str, Callable[[], Any]]:
    """Give the five analyses in uproot and awkward, in chunks."""

    def run(edges: tuple[float, float], names: list[str], select: Callable[[Any], Any]) -> Any:
        h = hist.Hist.new.Reg(100, *edges, name="x").Double()
        for a in _chunks(path, names):
            _fill(h, select(a))
        return h

    def matched(a: Any) -> Any:
        e = ak.zip({k: a[f"Electron_{k}"] for k in ("pt", "eta", "phi")})
        g = ak.zip({k: a[f"GenPart_{k}"] for k in ("eta", "phi", "pdgId", "status")})
        return _matched(e[e.pt > 20], g[(abs(g.pdgId) == 11) & (g.status == 1)])

    pt_eta = ["Jet_pt", "Jet_eta"]
    leaves = [f"Electron_{k}" for k in ("pt", "eta", "phi")] + [f"GenPart_{k}" for k in ("eta", "phi", "pdgId", "status")]
    return {
        "met": lambda: run((0, 200), ["MET_pt"], lambda a: a["MET_pt"]),
        "jets": lambda: run((15, 60), ["Jet_pt"], lambda a: a["Jet_pt"]),
        "central jets": lambda: run((15, 60), pt_eta, lambda a: a["Jet_pt"][abs(a["Jet_eta"]) < 1]),
        "met of two jets": lambda: run(
            (0, 200), ["Jet_pt", "MET_pt"], lambda a: a["MET_pt"][ak.sum(a["Jet_pt"] > 40, axis=1) >= 2]
        ),
        "matched electrons": lambda: run((0, 200), leaves, matched),
    }


def coffea(path: str) -> dict[str, Callable[[], Any]]:
    """Give the five analyses in coffea's NanoEvents with virtual arrays, in chunks."""
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    n = uproot.open(path)["Events"].num_entries

    def run(edges: tuple[float, float], select: Callable[[Any], Any]) -> Any:
        h = hist.Hist.new.Reg(100, *edges, name="x").Double()
        for start in range(0, n, CHUNK):
            bounds = {"entry_start": start, "entry_stop": min(start + CHUNK, n)}
            events = NanoEventsFactory.from_root({path: "Events"}, schemaclass=NanoAODSchema, mode="virtual", **bounds).events()
            _fill(h, select(events))
        return h

    def matched(ev: Any) -> Any:
        g = ev.GenPart[(abs(ev.GenPart.pdgId) == 11) & (ev.GenPart.status == 1)]
        e = ev.Electron[ev.Electron.pt > 20]
        return _matched(ak.zip({k: e[k] for k in ("pt", "eta", "phi")}), ak.zip({k: g[k] for k in ("eta", "phi")}))

    return {
        "met": lambda: run((0, 200), lambda ev: ev.MET.pt),
        "jets": lambda: run((15, 60), lambda ev: ev.Jet.pt),
        "central jets": lambda: run((15, 60), lambda ev: ev.Jet.pt[abs(ev.Jet.eta) < 1]),
        "met of two jets": lambda: run((0, 200), lambda ev: ev.MET.pt[ak.sum(ev.Jet.pt > 40, axis=1) >= 2]),
        "matched electrons": lambda: run((0, 200), matched),
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main(folder: Path, rounds: int = 5) -> None:
    """Measure and print."""
    os.environ["HEP_FLOWS_CACHE"] = "off"  # what is measured is the computation
    path = str(sample(folder, 1_000_000))
    contestants = {"hep_flows": ours(path), "awkward": plain(path), "coffea": coffea(path)}
    figures: dict[str, object] = {}
    for name in contestants["hep_flows"]:
        times: dict[str, list[float]] = {c: [] for c in contestants}
        counts: dict[str, float] = {}
        for _ in range(rounds + 1):
            for c, analyses in contestants.items():
                seconds, h = _timed(analyses[name])
                times[c].append(seconds)
                counts[c] = float(h.sum(flow=True).value if hasattr(h.sum(flow=True), "value") else h.sum(flow=True))
        row: dict[str, object] = {c: round(statistics.median(t[1:]), 3) for c, t in times.items()}
        mine = times["hep_flows"]
        for c in ("awkward", "coffea"):
            row[f"ratio {c}"] = round(statistics.median(o / m for o, m in zip(times[c][1:], mine[1:], strict=True)), 2)
        row["entries"] = counts
        figures[name] = row
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    in_folder(main)
