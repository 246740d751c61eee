"""Section 5, operators and numpy's functions: values and item types are numpy's."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local
from semantics.equal import assert_same
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data

COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
OPERANDS: dict[str, Callable[[Any], Any]] = {
    "float32 per object": lambda x: x("Jet", "pt"),
    "float32 per event": lambda x: x("MET", "pt"),
    "int32 per event": lambda x: x("PV", "npvs"),
    "int32 per object": lambda x: x("Muon", "charge"),
}
CONSTANTS = [3, 2.5, np.float32(1.5), np.int64(7), np.float64(0.5)]


def both(t: Tables, raw: Raw, operand: str) -> tuple[Any, Any]:
    leaf = OPERANDS[operand]
    return leaf(lambda c, n: getattr(getattr(t.sm, c), n)), leaf(lambda c, n: raw.sm[f"{c}_{n}"])


@pytest.mark.parametrize("operand", OPERANDS)
@pytest.mark.parametrize("f", [*COMPARISONS, *ARITHMETIC], ids=lambda f: f.__name__)
def test_operators_with_constants_on_either_side(f: Callable[..., Any], operand: str, t: Tables, raw: Raw) -> None:  # 5.1 - 5.3
    mine, theirs = both(t, raw, operand)
    constants = [c for c in CONSTANTS if f is not operator.pow or (c != 7 and "int" not in operand)]
    users = [e for c in constants for e in (f(mine, c), f(c, mine))]
    with np.errstate(all="ignore"):
        wanted = [e for c in constants for e in (f(theirs, c), f(c, theirs))]
    assert_same(make_local(users), wanted, rel=1e-6 if f is operator.pow else 0)


@pytest.mark.parametrize("f", [*COMPARISONS, *ARITHMETIC], ids=lambda f: f.__name__)
def test_operators_of_two_leaves_align_by_prefix(f: Callable[..., Any], t: Tables, raw: Raw) -> None:  # 5.5, 5.6, R2
    j, met, npvs = t.sm.Jet, t.sm.MET.pt, t.sm.PV.npvs
    pt, eta, rmet, rnpvs = raw.sm["Jet_pt"], raw.sm["Jet_eta"], raw.sm["MET_pt"], raw.sm["PV_npvs"]
    with np.errstate(all="ignore"):
        wanted = [f(pt, eta), f(pt, rmet), f(rmet, pt), f(rnpvs, rnpvs), f(pt, rnpvs)]
    assert_same(
        make_local([f(j.pt, j.eta), f(j.pt, met), f(met, j.pt), f(npvs, npvs), f(j.pt, npvs)]),
        wanted,
        rel=1e-6 if f is operator.pow else 0,
    )


UNARY = [np.sqrt, np.exp, np.log, np.log10, np.log1p, np.expm1, np.sin, np.cos, np.tan, np.arctan, np.sinh, np.cosh, np.tanh]
UNARY += [np.arcsinh, np.cbrt, np.floor, np.ceil, np.trunc, np.rint, np.sign, np.square, np.negative, np.absolute, np.fabs]
UNARY += [np.isnan, np.isfinite, np.isinf, np.signbit, np.deg2rad, np.rad2deg, np.reciprocal, np.logical_not]


@pytest.mark.parametrize("f", UNARY, ids=lambda f: f.__name__)
def test_unary_functions_are_recorded(f: Callable[..., Any], t: Tables, raw: Raw) -> None:  # 5.8, 5.9
    with np.errstate(all="ignore"):
        want = [f(raw.sm["Jet_pt"] / 100), f(raw.sm["MET_pt"]), f(raw.sm["PV_npvs"])]
    assert_same(make_local([f(t.sm.Jet.pt / 100), f(t.sm.MET.pt), f(t.sm.PV.npvs)]), want, rel=1e-6)


BINARY = [np.hypot, np.arctan2, np.maximum, np.minimum, np.fmax, np.fmin, np.add, np.subtract, np.multiply, np.divide]
BINARY += [np.power, np.copysign, np.logaddexp, np.less, np.greater_equal, np.equal, np.logical_and, np.logical_or, np.fmod]


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_binary_functions_align_and_take_constants(f: Callable[..., Any], t: Tables, raw: Raw) -> None:  # 5.10
    j, pt, eta = t.sm.Jet, raw.sm["Jet_pt"], raw.sm["Jet_eta"]
    with np.errstate(all="ignore"):
        want = [f(pt, eta), f(pt, 2.5), f(2, pt), f(pt, raw.sm["MET_pt"]), f(raw.sm["PV_npvs"], raw.sm["MET_pt"])]
    got = make_local([f(j.pt, j.eta), f(j.pt, 2.5), f(2, j.pt), f(j.pt, t.sm.MET.pt), f(t.sm.PV.npvs, t.sm.MET.pt)])
    assert_same(got, want, rel=1e-6)


ROWS = [
    Row(
        "5.3",
        "whole numbers stay whole in // and %",
        lambda t: [t.sm.PV.npvs % 3, t.sm.PV.npvs // 2, 100 // t.sm.PV.npvs, t.sm.event % 10, divmod(t.sm.PV.npvs, 4)[1]],
        lambda r: [r.sm["PV_npvs"] % 3, r.sm["PV_npvs"] // 2, 100 // r.sm["PV_npvs"], r.sm["event"] % 10, r.sm["PV_npvs"] % 4],
    ),
    Row(
        "5.4",
        "unary minus and plus",
        lambda t: [-t.sm.Jet.eta, +t.sm.Jet.eta, -t.sm.Muon.charge],
        lambda r: [-r.sm["Jet_eta"], r.sm["Jet_eta"], -r.sm["Muon_charge"]],
    ),
    Row(
        "5.5",
        "three terms of one collection",
        lambda t: t.sm.Jet.mass / t.sm.Jet.pt + t.sm.Jet.eta,
        lambda r: r.sm["Jet_mass"] / r.sm["Jet_pt"] + r.sm["Jet_eta"],
    ),
    Row(
        "5.7",
        "a mask counts as the integers 0 and 1",
        lambda t: [
            (t.sm.Jet.pt > 30) + 1,
            (t.sm.Jet.pt > 30) + (t.sm.Jet.eta > 0),
            (t.sm.Jet.pt > 30) * t.sm.Jet.pt,
            (t.sm.Jet.pt > 30) - (t.sm.Jet.eta > 0),
            2.5 * (t.sm.Jet.pt > 30),
        ],
        lambda r: [
            ak.values_astype(r.sm["Jet_pt"] > 30, "int32") + 1,
            ak.values_astype(r.sm["Jet_pt"] > 30, "int32") + ak.values_astype(r.sm["Jet_eta"] > 0, "int32"),
            (r.sm["Jet_pt"] > 30) * r.sm["Jet_pt"],
            ak.values_astype(r.sm["Jet_pt"] > 30, "int32") - ak.values_astype(r.sm["Jet_eta"] > 0, "int32"),
            2.5 * (r.sm["Jet_pt"] > 30),
        ],
    ),
    Row(
        "5.7",
        "masks are compared, joined with ^ and with constants, and aggregated",
        lambda t: [
            (t.sm.Jet.pt > 30) ^ (t.sm.Jet.eta > 0),
            (t.sm.Jet.pt > 30) == (t.sm.Jet.eta > 0),
            True & (t.sm.Jet.pt > 30),
            (t.sm.Jet.pt > 30) | False,
            (t.sm.Jet.pt > 30).Sum(),
            (t.sm.Jet.pt > 30).Any(),
            (t.sm.Jet.pt > 30).All(),
            t.sm.Jet.puId == True,  # noqa: E712
        ],
        lambda r: [
            (r.sm["Jet_pt"] > 30) ^ (r.sm["Jet_eta"] > 0),
            (r.sm["Jet_pt"] > 30) == (r.sm["Jet_eta"] > 0),
            r.sm["Jet_pt"] > 30,
            r.sm["Jet_pt"] > 30,
            ak.sum(r.sm["Jet_pt"] > 30, axis=1),
            ak.any(r.sm["Jet_pt"] > 30, axis=1),
            ak.all(r.sm["Jet_pt"] > 30, axis=1),
            r.sm["Jet_puId"],
        ],
    ),
    Row(
        "5.8",
        "abs is np.abs",
        lambda t: [abs(t.sm.Jet.eta), np.abs(t.sm.Jet.eta), np.absolute(t.sm.Muon.charge)],
        lambda r: [abs(r.sm["Jet_eta"]), abs(r.sm["Jet_eta"]), abs(r.sm["Muon_charge"])],
    ),
    Row(
        "5.11",
        "np.where chooses element by element and repeats constants and event values",
        lambda t: [
            np.where(t.sm.Jet.eta > 0, t.sm.Jet.pt, -t.sm.Jet.pt),
            np.where(t.sm.Jet.pt > 30, 1, 0),
            np.where(t.sm.MET.pt > 30, t.sm.Jet.pt, t.sm.MET.pt),
            np.where(t.sm.HLT.IsoMu24, 1.5, 0.5),
        ],
        lambda r: [
            ak.where(r.sm["Jet_eta"] > 0, r.sm["Jet_pt"], -r.sm["Jet_pt"]),
            ak.where(r.sm["Jet_pt"] > 30, 1, 0),
            ak.where(*ak.broadcast_arrays(r.sm["MET_pt"] > 30, r.sm["Jet_pt"], r.sm["MET_pt"])),
            ak.where(r.sm["HLT_IsoMu24"], 1.5, 0.5),
        ],
    ),
    Row(
        "5.13",
        "np.histogram: number of bins, range, edges, ten bins by default",
        lambda t: [
            np.histogram(t.sm.Jet.pt, bins=50, range=(0, 203)),
            np.histogram(t.sm.Jet.pt),
            np.histogram(t.sm.MET.pt, bins=[0, 10, 20, 50, 100]),
            np.histogram(t.sm.Jet.pt, bins=20, range=(0, 100), weights=t.sm.Jet.eta),
            np.histogram(t.sm.MET.pt, bins=7, density=True),
        ],
        lambda r: [
            np.histogram(flat(r.sm["Jet_pt"]), bins=50, range=(0, 203)),
            np.histogram(flat(r.sm["Jet_pt"])),
            np.histogram(flat(r.sm["MET_pt"]), bins=[0, 10, 20, 50, 100]),
            np.histogram(flat(r.sm["Jet_pt"]), bins=20, range=(0, 100), weights=flat(r.sm["Jet_eta"])),
            np.histogram(flat(r.sm["MET_pt"]), bins=7, density=True),
        ],
        rel=1e-6,
    ),
    Row(
        "5.14",
        "np.histogram skips missing values",
        lambda t: np.histogram(t.sm.Electron.First().pt, bins=20),
        lambda r: np.histogram(flat(ak.firsts(r.sm["Electron_pt"])), bins=20),
    ),
]


def flat(x: Any) -> Any:
    return ak.to_numpy(ak.drop_none(ak.flatten(x, axis=None)))


@table(ROWS)
def test_operators_and_numpy(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


MISTAKES = [
    Mistake("5.12", "np.where with one argument", lambda t: np.where(t.sm.Jet.pt > 30), ("np.where",)),
    Mistake("5.15", "an unknown keyword of a ufunc", lambda t: np.sin(t.sm.Jet.pt, dtype="float64"), ("sin", "dtype")),
    Mistake("5.15", "an unknown keyword of a function", lambda t: np.clip(t.sm.Jet.pt, 0, 1, bogus=1), ("clip", "bogus")),
    Mistake("5.15", "an unknown function", lambda t: np.fft.fft(t.sm.Jet.pt), ("fft",)),
    Mistake("5.15", "an unknown array function", lambda t: np.sort(t.sm.Jet.pt), ("sort",)),
    Mistake("5.15", "a reduction of a ufunc", lambda t: np.add.reduce(t.sm.Jet.pt), ("np.add.reduce",), ("Sum",)),
    Mistake("5.9", "a function of objects", lambda t: np.sqrt(t.sm.Jet), ("np.sqrt", "Jet")),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
