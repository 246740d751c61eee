"""What NanoAOD's names mean: which collection an index points into, and the obvious units."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hep_flows.expr.types import Float

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hep_flows.expr.types import Member

# genPartIdx, genPartIdxMother, subJetIdx1, muonIdx3SJ
_INDEX = re.compile(r"^(?P<target>[A-Za-z]\w*?)Idx(Mother|\d+(SJ)?)?$")
_GEV = frozenset("pt mass energy sumet sumpt ht vpt htincoming msoftdrop rawpt pterr energyerr masserr ptcorr tunep_pt".split())
_GEV_ENDS = ("_pt", "_mass", "_energy")
_CM = frozenset("dxy dxyerr dz dzerr ip3d dxybs dxybserr dlen z0".split())
_VERTICES = frozenset(("PV", "OtherPV", "SV", "GenVtx", "BeamSpot"))


def reference_of(leaf: str, collections: Iterable[str]) -> str:
    """Give the collection of the file that a leaf's name refers to, or an empty string."""
    found = _INDEX.match(leaf)
    if found is None:
        return ""
    target = found["target"].lower()
    return next((c for c in collections if c.lower() == target), "")


def unit_of(prefix: str, leaf: str, member: Member) -> str:
    """Give GeV or cm where the name leaves no doubt, else an empty string."""
    if not isinstance(member.item, Float):
        return ""
    name = leaf.lower()
    if name in _GEV or name.endswith(_GEV_ENDS):
        return "GeV"
    if name in _CM or (prefix in _VERTICES and name in {"x", "y", "z"}):
        return "cm"
    return ""
