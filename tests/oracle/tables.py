"""Hypothesis strategies of tables: a schema with collections, groups, lists and texts, and events that follow it.

Stored numbers are multiples of 1/4 of a few binary digits, so sums and differences of them have no rounding errors in any width
and any order: what two ways of computing may differ in is then known operation by operation (see `expressions`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.types import Bool, Float, Int, Item, Member, Record, String

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from hep_flows.expr.nodes import Dataset


@dataclass(frozen=True)
class Table:
    """A table: its schema, its events as plain Python data, the kind that its node has, and the node."""

    record: Record
    events: tuple[dict[str, Any], ...]
    kind: str = "memory"

    @property
    def dataset(self) -> Dataset:
        """The node; the content is the number of events, which the plug-ins' identities begin with too."""
        return build.dataset(self.kind, (f"{len(self.events)}:drawn",), "", self.record)

    def __repr__(self) -> str:
        """Show the kinds of the leaves, and the events."""
        return f"{_kinds(self.record)} {list(self.events)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def _kinds(record: Record) -> str:
    inner = [f"{n}: {_kinds(m.item) if isinstance(m.item, Record) else m.item}" for n, m in record.members.items()]
    return f"{{{', '.join(inner)}}}"


_INTEGERS = [Int(bits, signed=signed) for signed in (True, False) for bits in (8, 16, 32)] + [Int(64)]


@st.composite
def records(draw: DrawFn) -> Record:
    """Give a schema: the same names, other widths."""
    real = st.sampled_from([Float(32), Float(64)])
    whole = st.sampled_from(_INTEGERS)
    jet = {
        "pt": Member(draw(real)),
        "eta": Member(draw(real)),
        "phi": Member(draw(real)),
        "mass": Member(draw(real)),
        "n": Member(draw(whole)),
        "tight": Member(Bool()),
        "hits": Member(draw(st.one_of(real, whole)), ("hits",)),
        "muon": Member(Int(draw(st.sampled_from([16, 32])), refers_to="Muon")),
    }
    muon = {n: Member(draw(real)) for n in ("pt", "eta", "phi", "mass")} | {"charge": Member(Int(32))}
    met = {"pt": Member(draw(real)), "sig": Member(Float(64))}
    event = {
        "Jet": Member(Record("Jet", _stored(jet, "Jet_")), ("Jet",)),
        "Muon": Member(Record("Muon", _stored(muon, "Muon_")), ("Muon",)),
        "MET": Member(Record("MET", _stored(met, "MET_"))),
        "codes": Member(draw(whole), ("codes",)),
        "run": Member(draw(whole)),
        "good": Member(Bool()),
        "kind": Member(String()),
        "weight": Member(draw(real), optional=draw(st.booleans())),
    }
    return Record("event", _stored(event, ""))


def _stored(members: dict[str, Member], prefix: str) -> dict[str, Member]:
    """Give the leaves the names of branches."""
    return {n: m if isinstance(m.item, Record) else replace(m, column=f"{prefix}{n}") for n, m in members.items()}


def items(item: Item, *, special: bool = False) -> SearchStrategy[Any]:
    """Give values of one kind of item; ``special`` floats may be infinite, -0.0 or no number."""
    match item:
        case Bool():
            return st.booleans()
        case Int(refers_to=str(target)) if target:
            return st.integers(-1, 3)
        case Int(signed=signed):
            return st.integers(-9 if signed else 0, 9)
        case Float():
            usual = st.integers(-40, 40).map(lambda k: k / 4)
            return usual | st.sampled_from([math.nan, math.inf, -math.inf, -0.0]) if special else usual
        case String():
            return st.sampled_from(["", "a", "bc"])
        case Record():
            return objects(item, special=special)
    raise AssertionError(f"no values for {item}")


def members(member: Member, *, special: bool = False) -> SearchStrategy[Any]:
    """Give values of one member: lists for each of its axes."""
    values = items(member.item, special=special)
    if member.optional:
        values = st.none() | values
    for _ in member.axes:
        values = st.lists(values, max_size=3)
    return values


def objects(record: Record, *, special: bool = False) -> SearchStrategy[dict[str, Any]]:
    """Give objects with all members of a record."""
    return st.fixed_dictionaries({name: members(m, special=special) for name, m in record.members.items()})


@st.composite
def tables(draw: DrawFn, max_events: int = 4, *, special: bool = False, kind: str = "memory") -> Table:
    """Give a table of few events, or none."""
    record = draw(records())
    return Table(record, tuple(draw(st.lists(objects(record, special=special), max_size=max_events))), kind)
