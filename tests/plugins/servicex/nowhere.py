"""Tables of ServiceX over files that do not exist: their schema is all that queries are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.contract import Description
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.record.dataframe import table_of

if TYPE_CHECKING:
    from hep_flows import DataFrame


def nano_nowhere(content: str = "100:aa") -> DataFrame:
    """Give a table with jets, muons, missing energy, and a few values that cannot be sent."""
    event = {
        "Jet": Member(_objects("Jet", "pt eta phi mass"), ("Jet",), "nJet"),
        "Muon": Member(_objects("Muon", "pt eta phi", charge=Member(Int(32), column="Muon_charge")), ("Muon",), "nMuon"),
        "MET": Member(_objects("MET", "pt phi")),
        "Jet_pt": Member(Float(32), ("Jet",), column="Jet_pt"),
        "run": Member(Int(32, signed=False), column="run"),
        "good": Member(Bool(), column="good"),
        "weight": Member(Float(32), column="weight", optional=True),
        "kind": Member(String(), column="kind"),
    }
    described = Description(Record("event", event, "nanoaod"), ("nano.root",), (content,), "Events", "nano.root")
    return table_of(described, "servicex:nanoaod")


def _objects(name: str, leaves: str, **more: Member) -> Record:
    return Record(name, {n: Member(Float(32), column=f"{name}_{n}") for n in leaves.split()} | more, "nanoaod")
