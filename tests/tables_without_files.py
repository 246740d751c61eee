"""Tables of files that do not exist: only their schema, which is all that recording looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.contract import Description
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.record.dataframe import table_of

if TYPE_CHECKING:
    from hep_flows.record.dataframe import DataFrame


def _objects(name: str, **more: Member) -> Member:
    leaves = {
        "pt": Member(Float(32), unit="GeV", column=f"{name}_pt", doc="transverse momentum"),
        "eta": Member(Float(32), column=f"{name}_eta"),
        "phi": Member(Float(32), column=f"{name}_phi"),
        "mass": Member(Float(32), unit="GeV", column=f"{name}_mass"),
    }
    return Member(Record(name, {**leaves, **more}, "nanoaod"), (name,), f"n{name}")


def nano_record() -> Record:
    """Give an event in NanoAOD's layout."""
    met = Record("MET", {"pt": Member(Float(32), unit="GeV"), "phi": Member(Float(32))}, "nanoaod")
    members = {
        "Jet": _objects("Jet", btag=Member(Float(32)), tracks=Member(Float(32), ("tracks",)), puId=Member(Bool())),
        "Muon": _objects("Muon", charge=Member(Int(32)), jetIdx=Member(Int(32, refers_to="Jet"))),
        "Electron": _objects("Electron", bad=Member(Float(32), unreadable="branch Electron_bad of a.root is of type Blob")),
        "MET": Member(met),
        "run": Member(Int(32, signed=False)),
        "npvs": Member(Int(32)),
        "Type": Member(String()),
        "Count": Member(Int(32)),
        "count": Member(Int(32)),
    }
    return Record("event", members, "nanoaod")


def xaod_record() -> Record:
    """Give an event in PHYSLITE's layout."""
    truth = {n: Member(Float(32), unit="MeV") for n in ("px", "py", "pz", "e", "m")} | {"pdgId": Member(Int(32))}
    eles = {n: Member(Float(32), unit="MeV" if n in ("pt", "m") else "") for n in ("pt", "eta", "phi", "m")}
    eles["isTight"] = Member(Int(8))
    members = {
        "AnalysisElectrons": Member(Record("AnalysisElectrons", eles, "xaod"), ("AnalysisElectrons",)),
        "TruthElectrons": Member(Record("TruthElectrons", truth, "xaod"), ("TruthElectrons",)),
    }
    return Record("event", members, "xaod")


def table(record: Record, kind: str, content: str = "content") -> DataFrame:
    """Give a table of one file that does not exist."""
    return table_of(Description(record, ("a.root",), (content,), "Events", "events"), kind)
