"""A small table with every kind of member, written out: what the tests of the interpreter are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.expr import build
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Dataset, Expr

JET = Record(
    "Jet",
    {
        "pt": Member(Float(32)),
        "eta": Member(Float(64)),
        "n": Member(Int(32)),
        "tight": Member(Bool()),
        "muon": Member(Int(16, refers_to="Muon")),
        "hits": Member(Int(64), ("hits",)),
        "phi": Member(Float(64)),
    },
)
MUON = Record("Muon", {"pt": Member(Float(32)), "charge": Member(Int(32)), "eta": Member(Float(64)), "phi": Member(Float(64))})
MET = Record("MET", {"pt": Member(Float(64))})
SCHEMA = Record(
    "event",
    {
        "Jet": Member(JET, ("Jet",)),
        "Muon": Member(MUON, ("Muon",)),
        "MET": Member(MET),
        "run": Member(Int(64)),
        "good": Member(Bool()),
        "kind": Member(String()),
        "weight": Member(Float(32), optional=True),
        "codes": Member(Int(32), ("codes",)),
    },
)


def table(content: str = "example") -> Dataset:
    """Give the table's node."""
    return build.dataset("memory", (content,), "", SCHEMA)


def leaf(of: Expr, path: str) -> Expr:
    """Give a stored leaf by its dotted path."""
    for name in path.split("."):
        of = build.field(of, name)
    return of


def jet(pt: float, eta: float, n: int, tight: bool, muon: int, hits: list[int], phi: float = 0.0) -> dict[str, Any]:
    """Give one jet."""
    return dict(pt=pt, eta=eta, n=n, tight=tight, muon=muon, hits=hits, phi=phi)


def muon(pt: float, charge: int, eta: float = 0.0, phi: float = 0.0) -> dict[str, Any]:
    """Give one muon."""
    return dict(pt=pt, charge=charge, eta=eta, phi=phi)


EVENTS: list[dict[str, Any]] = [
    {
        "Jet": [jet(50.0, 0.5, 3, True, 1, [1, 2]), jet(20.0, -2.0, 5, False, -1, []), jet(30.0, 1.0, 0, True, 0, [7])],
        "Muon": [muon(10.0, 1), muon(40.0, -1)],
        "MET": {"pt": 100.0},
        "run": 1,
        "good": True,
        "kind": "a",
        "weight": 2.0,
        "codes": [1, 2, 3],
    },
    {"Jet": [], "Muon": [muon(5.0, 1)], "MET": {"pt": 10.0}, "run": 2, "good": False, "kind": "b", "weight": None, "codes": []},
    {
        "Jet": [jet(60.0, -1.0, 2, False, 5, [4, 4, 4])],
        "Muon": [],
        "MET": {"pt": 40.0},
        "run": 3,
        "good": True,
        "kind": "a",
        "weight": 0.5,
        "codes": [9],
    },
]
