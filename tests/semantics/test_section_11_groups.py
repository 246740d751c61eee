"""Section 11 and 12.4, 12.8, 12.11: pairs, order, choice and joining; the eight queries of the ADL benchmarks."""

# ruff: noqa: PLC3002 - a row is one expression
from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import pytest
import vector

from hep_flows import Concatenate, make_local, parquet_table
from semantics.rows import Row, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data

_FOUND = importlib.util.spec_from_file_location("adl", Path(__file__).parents[2] / "benchmarks" / "adl.py")
assert _FOUND is not None
assert _FOUND.loader is not None
adl: Any = importlib.util.module_from_spec(_FOUND)
_FOUND.loader.exec_module(adl)

NAMES = ("pt", "eta", "phi", "mass")


def objects(r: Raw, name: str, *more: str, file: str = "sm") -> Any:
    """Give a collection as plain vectors in float64, with some leaves more."""
    raw = getattr(r, file)
    p4 = vector.zip({n: ak.values_astype(raw[f"{name}_{n}"], "float64") for n in NAMES})
    return ak.zip({"p": p4, **{n: raw[f"{name}_{n}"] for n in ("pt", *more)}}, depth_limit=2)


def far(a: Any, b: Any) -> Any:
    """Give the distance of all pairs, a list of b for each a."""
    x, y = ak.unzip(ak.cartesian([a, b], nested=True))
    return x.deltaR(y)


def nearest(r: Raw, within: float = np.inf) -> Any:
    jets, muons = objects(r, "Jet"), objects(r, "Muon")
    d = far(jets.p, muons.p)
    best = ak.argmin(d, axis=2, keepdims=True)
    other = ak.cartesian([jets.pt, muons.pt], nested=True)["1"]
    return ak.mask(ak.firsts(other[best], axis=2), ak.fill_none(ak.min(d, axis=2), np.inf) < within)


def joined_pt(r: Raw) -> Any:
    return ak.concatenate([r.sm["Electron_pt"], r.sm["Muon_pt"]], axis=1)


def with_columns(t: Tables) -> Any:
    t.sm.Electron["twice"] = lambda e: e.pt * 2
    t.sm.Muon["twice"] = lambda m: m.pt * 3
    return Concatenate(t.sm.Electron, t.sm.Muon)


ROWS = [
    Row(
        "11.1",
        "groups of three; one of one; of what is left",
        lambda t: [t.sm.Jet.Combinations(3, fields=("a", "b", "c")).c.pt, t.sm.Jet.Combinations(1)["0"].pt, t.sm.Jet[t.sm.Jet.pt > 30].Combinations(2)["1"].eta],
        lambda r: [ak.combinations(r.sm["Jet_pt"], 3)["2"], r.sm["Jet_pt"], ak.combinations(r.sm["Jet_eta"][r.sm["Jet_pt"] > 30], 2)["1"]],
    ),
    Row(
        "11.1",
        "pairs of an event selection, and a selection of events with pairs, are the same",
        lambda t: [t.sm[t.sm.MET.pt > 20].Jet.Combinations(2)["0"].pt, (lambda df: (df.__setitem__("pairs", df.Jet.Combinations(2)), df[df.MET.pt > 20].pairs["0"].pt)[1])(t.new("sm"))],
        lambda r: [ak.combinations(r.sm["Jet_pt"][r.sm["MET_pt"] > 20], 2)["0"]] * 2,
    ),
    Row(
        "11.1",
        "pairs within each list of a nested collection",
        lambda t: t.sm.Jet.map(lambda j: t.sm.Muon[t.sm.Muon.pt > j.pt].Combinations(2).Count()),
        lambda r: (lambda n: n * (n - 1) // 2)(ak.sum(ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"]], nested=True)["1"] > r.sm["Jet_pt"], axis=2)),
    ),
    Row(
        "11.2",
        "three collections, flat and nested; a collection with itself",
        lambda t: [
            t.sm.Jet.Cartesian(t.sm.Muon, t.sm.Electron)["1"].pt,
            t.sm.Jet.Cartesian(t.sm.Muon, t.sm.Electron, nested=True)["0"].pt,
            t.sm.Muon.Cartesian(t.sm.Muon)["1"].pt,
            ak.cartesian({"j": t.sm.Jet, "m": t.sm.Muon}).j.pt,
        ],
        lambda r: [
            ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"], r.sm["Electron_pt"]])["1"],
            ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"], r.sm["Electron_pt"]], nested=True)["0"],
            ak.cartesian([r.sm["Muon_pt"], r.sm["Muon_pt"]])["1"],
            ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"]])["0"],
        ],
    ),
    Row(
        "11.4",
        "the element with the largest key, of a view and of pairs",
        lambda t: [t.sm.Jet[t.sm.Jet.pt > 20].MinBy(lambda j: abs(j.eta)).pt, t.sm.Muon.Combinations(2).MaxBy(lambda p: p["0"].pt + p["1"].pt)["1"].pt],
        lambda r: [
            ak.firsts(r.sm["Jet_pt"][(m := r.sm["Jet_pt"] > 20)][ak.argmin(abs(r.sm["Jet_eta"][m]), axis=1, keepdims=True)]),
            ak.firsts((c := ak.combinations(r.sm["Muon_pt"], 2))["1"][ak.argmax(c["0"] + c["1"], axis=1, keepdims=True)]),
        ],
    ),
    Row(
        "11.5",
        "columns go along; awkward's order is the same",
        lambda t: [(t.sm.Jet.__setitem__("g", t.sm.Jet.pt / 2), t.sm.Jet.OrderBy(lambda j: j.eta).g)[1], t.sm.Jet[ak.argsort(t.sm.Jet.eta, ascending=False)].pt],
        lambda r: [(r.sm["Jet_pt"] / 2)[ak.argsort(r.sm["Jet_eta"], stable=True)], r.sm["Jet_pt"][ak.argsort(r.sm["Jet_eta"], ascending=False, stable=True)]],
    ),
    Row(
        "11.6",
        "leaves, columns, counts and selections of what is joined",
        lambda t: (lambda x: [x.pt, x.twice, x.Count(), x[x.part == 1].pt, Concatenate(t.sm.Electron.pt, t.sm.Muon.pt), Concatenate(x, t.sm.Jet).part])(with_columns(t)),
        lambda r: [
            joined_pt(r),
            ak.concatenate([r.sm["Electron_pt"] * 2, r.sm["Muon_pt"] * 3], axis=1),
            ak.num(joined_pt(r)),
            r.sm["Muon_pt"],
            joined_pt(r),
            ak.concatenate([ak.local_index(joined_pt(r)) * 0, ak.local_index(r.sm["Jet_pt"]) * 0 + 1], axis=1),
        ],
    ),
    Row(
        "11.7",
        "the position as it stands, and the stored one, of views, members of pairs, and joined collections",
        lambda t: (
            lambda hard: [
                hard.Index(),
                hard.Index(stored=True),
                hard.Combinations(2)["1"].Index(stored=True),
                Concatenate(hard, t.sm.Muon).Index(stored=True),
            ]
        )(t.sm.Jet[t.sm.Jet.pt > 30]),
        lambda r: (
            lambda i: [ak.local_index(i), i, ak.combinations(i, 2)["1"], ak.concatenate([i, ak.local_index(r.sm["Muon_pt"])], axis=1)]
        )(ak.local_index(r.sm["Jet_pt"])[r.sm["Jet_pt"] > 30]),
    ),
    Row(
        "12.4",
        "the nearest, with and without a limit, and by another distance",
        lambda t: [t.sm.Jet.Nearest(t.sm.Muon).pt, t.sm.Jet.Nearest(t.sm.Muon, within=0.4).pt, t.sm.Jet.Nearest(t.sm.Muon, key=lambda j, m: abs(m.pt - j.pt)).pt],
        lambda r: [
            nearest(r),
            nearest(r, 0.4),
            ak.firsts((m := (c := ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"]], nested=True))["1"])[ak.argmin(abs(m - c["0"]), axis=2, keepdims=True)], axis=2),
        ],
    ),
    Row(
        "12.8",
        "the event of each element: of a collection, in a map, of pairs, and after an event filter",
        lambda t: [
            t.sm.Jet.pt / t.sm.Jet.Event().MET.pt,
            t.sm.Jet.map(lambda j: j.Event().MET.phi),
            t.sm.Jet.Combinations(2).Event().run,
            t.sm[t.sm.MET.pt > 20].Jet.Event().MET.pt,
        ],
        lambda r: [
            r.sm["Jet_pt"] / r.sm["MET_pt"],
            r.sm["MET_phi"] + r.sm["Jet_pt"] * 0,
            ak.broadcast_arrays(r.sm["run"], ak.combinations(r.sm["Jet_pt"], 2)["0"])[0],
            (r.sm["MET_pt"] + r.sm["Jet_pt"] * 0)[r.sm["MET_pt"] > 20],
        ],
    ),
    Row(
        "12.11",
        "lists of one length, and of one at least",
        lambda t: [t.sm.Jet.Pad(2).pt, t.sm.Jet.Pad(3)[2].eta, ak.pad_none(t.sm.Jet.pt, 3)],
        lambda r: [ak.pad_none(r.sm["Jet_pt"], 2, clip=True), ak.pad_none(r.sm["Jet_eta"], 3, clip=True)[:, 2], ak.pad_none(r.sm["Jet_pt"], 3)],
    ),
]  # fmt: skip


@table(ROWS)
def test_groups(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


# An event with equal keys, missing ones and ones that are no numbers; one without elements; one where no key is there.
KEYS = [[2.0, None, 1.0, float("nan"), 1.0, 2.0], [], [None, float("nan")]]


@pytest.mark.data
@pytest.mark.parametrize("descending", [False, True])
def test_elements_with_missing_keys_stay_as_they_come(t: Tables, descending: bool) -> None:
    def keyed(jets: Any) -> Any:  # a sum of which one part is missing: what was added up to is behind it, and differs
        return jets[jets.Index() - 2].pt * 0.5 - jets.eta

    found = make_local({"order": t.tt.Jet.OrderBy(keyed, descending=descending).Index(stored=True), "keys": keyed(t.tt.Jet)})
    keys = found["keys"].tolist()
    assert sum([k.count(None) > 1 for k in keys]) > 100
    for order, of in zip(found["order"].tolist(), keys, strict=True):
        assert order == sorted(
            range(len(of)), key=lambda i: (of[i] is None, 0 if of[i] is None else -of[i] if descending else of[i])
        )


@pytest.fixture
def keyed(tmp_path: Path) -> Any:
    array = ak.zip({"k": ak.Array(KEYS), "i": ak.local_index(ak.Array(KEYS))}, depth_limit=1)
    ak.to_parquet(array, tmp_path / "keys.parquet", list_to32=True)
    return parquet_table(str(tmp_path / "keys.parquet"), collections={"x": ["k", "i"]})


def test_missing_keys_and_nan_are_never_chosen_and_last(keyed: Any) -> None:
    x = keyed.x
    found = make_local([x.MinBy(x.k).i, x.MaxBy(x.k).i, x.OrderBy(x.k).i, x.OrderBy(x.k, descending=True).i])
    assert [f.tolist() for f in found] == [
        [2, None, None],
        [0, None, None],
        [[2, 4, 0, 5, 1, 3], [], [0, 1]],
        [[0, 5, 2, 4, 1, 3], [], [0, 1]],
    ]


def want5(r: Raw) -> Any:
    a, b = ak.unzip(ak.combinations(objects(r, "Muon", "charge"), 2))
    m = (a.p + b.p).mass
    return r.sm["MET_pt"][ak.any((a.charge != b.charge) & (m > 60) & (m < 120), axis=1)]


def want6(r: Raw) -> Any:
    a, b, c = ak.unzip(ak.combinations(objects(r, "Jet", "btag"), 3))
    p4 = a.p + b.p + c.p
    best = ak.argmin(abs(p4.mass - 172.5), axis=1, keepdims=True)
    btag = np.maximum(np.maximum(a.btag, b.btag), c.btag)
    return ak.firsts(p4.pt[best]), ak.firsts(btag[best])


def want7(r: Raw) -> Any:
    lep = ak.concatenate([objects(r, "Electron"), objects(r, "Muon")], axis=1)
    jets = objects(r, "Jet")
    lep, jets = lep[lep.pt > 10], jets[jets.pt > 30]
    return ak.sum(ak.values_astype(jets.pt, "float64")[~ak.any(far(jets.p, lep.p) < 0.4, axis=2)], axis=1)


def want8(r: Raw) -> Any:
    """Give the transverse mass by a loop over events."""
    found: list[float | None] = []
    leptons = [objects(r, n, "charge") for n in ("Electron", "Muon")]
    for electrons, muons, met, phi in zip(*leptons, r.sm["MET_pt"], r.sm["MET_phi"], strict=True):
        every = [(part, x) for part, of in enumerate((electrons, muons)) for x in of]
        pairs = [(i, j) for i in range(len(every)) for j in range(i + 1, len(every))]
        z = [
            (abs((every[i][1].p + every[j][1].p).mass - 91.2), i, j)
            for i, j in pairs
            if every[i][0] == every[j][0] and every[i][1].charge != every[j][1].charge
        ]
        rest = [x for k, (_, x) in enumerate(every) if k not in min(z)[1:]] if z else []
        third = max(rest, key=lambda x: x.pt, default=None)
        found.append(None if third is None else np.sqrt(2 * float(third.pt) * float(met) * (1 - np.cos(third.p.phi - float(phi)))))
    return ak.Array(found)  # fmt: skip


def test_nearest_looks_in_the_list_that_each_element_has(t: Tables) -> None:
    jets = t.new("sm").Jet
    table = t.new("sm")
    table.Jet["near"] = lambda j: table.Muon[table.Muon.DeltaR(j) < 2]
    own, view = table.Jet.Nearest(table.Jet.near), table.Jet[table.Jet.pt > 30]
    got = make_local(
        [own.pt, view.Nearest(view.near, key=lambda j, m: abs(j.pt - m.pt)).pt, table.Jet.Nearest(table.Muon, within=2.0).pt]
    )
    assert str(own.pt._expr.type) == "?float32, events x Jet"
    assert ak.count(got[0]) > 10
    assert got[0].tolist() == got[2].tolist()
    assert ak.num(got[1]).tolist() == make_local(jets[jets.pt > 30].Count()).tolist()


WANTED: dict[str, Callable[[Raw], Any]] = {
    "q1": lambda r: r.sm["MET_pt"],
    "q2": lambda r: r.sm["Jet_pt"],
    "q3": lambda r: r.sm["Jet_pt"][abs(r.sm["Jet_eta"]) < 1],
    "q4": lambda r: r.sm["MET_pt"][ak.sum(r.sm["Jet_pt"] > 40, axis=1) >= 2],
    "q5": want5,
    "q6": want6,
    "q7": want7,
    "q8": want8,
}


@pytest.mark.parametrize("name", WANTED)
def test_queries_of_the_adl_benchmarks_equal_plain_awkward_bin_by_bin(name: str, t: Tables, raw: Raw, data: Any) -> None:
    asked = adl.QUERIES[name](t.sm)
    got = make_local(asked if isinstance(asked, list) else [asked])
    values = WANTED[name](raw)
    for h, x in zip(got, values if isinstance(values, tuple) else [values], strict=True):
        want = hist.Hist(*h.axes, storage=h.storage_type()).fill(ak.drop_none(ak.ravel(x)))
        assert want.sum(flow=True) > 0
        assert h.values(flow=True).tolist() == want.values(flow=True).tolist()
    chunked = adl.plain(name, data("Run2012B_SingleMu_1000.root"))
    assert [h.values(flow=True).tolist() for h in got] == [h.values(flow=True).tolist() for h in chunked]


@pytest.mark.parametrize("name", WANTED)
def test_a_query_has_eight_lines_at_most(name: str) -> None:
    lines = inspect.getsource(adl.QUERIES[name]).splitlines()
    assert len(lines) - 2 <= 8, "without the line of def, and the one that says what it is"


@pytest.mark.parametrize("name", ["q5", "q6", "q7", "q8"])
def test_pairs_do_not_depend_on_threads_and_ranges(name: str, t: Tables) -> None:
    whole = make_local([adl.QUERIES[name](t.new("sm"))])
    for options in ({"workers": 3}, {"chunk_events": 137}):
        assert make_local([adl.QUERIES[name](t.new("sm"))], **options) == whole
