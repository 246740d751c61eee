"""The containers of ATLAS xAOD files, and what C++ calls them.

The generator knows some collections by itself; of the others a query says what they are, in metadata. A leaf is read by the method of the
data model where that gives the stored number, and else from the auxiliary store, by its name and stored type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOUR_VECTOR = {"pt": "double", "eta": "double", "phi": "double", "m": "double"}
_CHARGED = {**_FOUR_VECTOR, "charge": "float"}
_TRUTH = {"px": "float", "py": "float", "pz": "float", "e": "double", "m": "double", "pdgId": "int", "status": "int"}


@dataclass(frozen=True, slots=True)
class Accessor:
    """A method of the event that gives containers of one class.

    Parameters
    ----------
    name : str
        As queries call it.
    element : str
        The C++ class of the objects, or of the event's own container.
    header, library : str
        Of the container; empty where the generator knows both.
    methods : mapping of str to str
        The leaves that are methods, with the C++ type of what they give.
    is_list : bool
        Whether it holds objects; the event's own information is one object.
    """

    name: str
    element: str
    header: str = ""
    library: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)
    is_list: bool = True

    def metadata(self) -> Mapping[str, object] | None:
        """Give the metadata that declares the collection, None where the generator knows it."""
        if not self.header:
            return None
        return {
            "metadata_type": "add_atlas_event_collection_info",
            "name": self.name,
            "include_files": [f"{self.library}/{self.header}"],
            "container_type": f"{self.element}Container",
            "element_type": self.element,
            "contains_collection": True,
            "link_libraries": [self.library],
        }


ACCESSORS: Mapping[str, Accessor] = {
    a.name: a
    for a in (
        Accessor("Jets", "xAOD::Jet", methods=_FOUR_VECTOR),
        Accessor("Electrons", "xAOD::Electron", methods=_CHARGED),
        Accessor("Muons", "xAOD::Muon", methods=_CHARGED),
        Accessor("Photons", "xAOD::Photon", "PhotonContainer.h", "xAODEgamma", _FOUR_VECTOR),
        Accessor("TauJets", "xAOD::TauJet", "TauJetContainer.h", "xAODTau", _CHARGED),
        Accessor("DiTauJets", "xAOD::DiTauJet", "DiTauJetContainer.h", "xAODTau"),
        Accessor("TruthParticles", "xAOD::TruthParticle", methods=_TRUTH),
        Accessor("TruthVertices", "xAOD::TruthVertex", "TruthVertexContainer.h", "xAODTruth"),
        Accessor("TruthEvents", "xAOD::TruthEvent", "TruthEventContainer.h", "xAODTruth"),
        Accessor("Vertices", "xAOD::Vertex", "VertexContainer.h", "xAODTracking"),
        Accessor("TrackParticles", "xAOD::TrackParticle", "TrackParticleContainer.h", "xAODTracking"),
        Accessor("CaloClusters", "xAOD::CaloCluster", "CaloClusterContainer.h", "xAODCaloEvent"),
        Accessor("MuonSegments", "xAOD::MuonSegment", "MuonSegmentContainer.h", "xAODMuon"),
        Accessor("MissingET", "xAOD::MissingET", methods={"mpx": "float", "mpy": "float", "sumet": "float"}),
        Accessor("EventInfo", "xAOD::EventInfo", is_list=False),
    )
}

# What a container of that name holds, in PHYSLITE and wherever these names are used.
_NAMES = (
    ("EventInfo", r"EventInfo"),
    ("Electrons", r"Analysis(SiHit|Forward|LRT)?Electrons"),
    ("Muons", r"Analysis(LRT)?Muons"),
    ("Photons", r"Analysis(Forward)?Photons"),
    ("TauJets", r"Analysis(TauJets(_NoMuonRM|_MuonRM|_EleRM)?)"),
    ("DiTauJets", r"AnalysisDiTauJets"),
    ("Jets", r"Analysis(LargeR)?Jets|AntiKt\w*Jets"),
    ("MissingET", r"MET_\w+"),
    ("TruthEvents", r"TruthEvents"),
    ("TruthVertices", r"Truth\w*Vertices|HardScatterVertices"),
    ("TruthParticles", r"Truth(BSM|Boson|Bottom|Charm|Electrons|ForwardProtons|Muons|Neutrinos|Photons|Taus|Top)"),
    ("TruthParticles", r"Truth\w+WithDecayParticles|TruthParticles|BornLeptons|HardScatterParticles"),
    ("Vertices", r"\w*Vertices"),
    ("TrackParticles", r"\w+TrackParticles"),
    ("CaloClusters", r"egammaClusters|CaloCalTopoClusters"),
    ("MuonSegments", r"(Un)?[aA]ssocMuonSegments|MuonSegments"),
)


def accessor_of(container: str, declared: str = "") -> Accessor | None:
    """Give how the event hands out a container, or None when it is not known what the container holds.

    Parameters
    ----------
    container : str
        Its name in the files.
    declared : str
        The accessor that the schema names; empty where it names none.
    """
    if declared in ACCESSORS:
        return ACCESSORS[declared]
    found = next((name for name, names in _NAMES if re.fullmatch(names, container)), "")
    return ACCESSORS.get(found)


def method_metadata(accessor: Accessor, method: str, returns: str) -> Mapping[str, object]:
    """Give the metadata that says what a method gives."""
    return {"metadata_type": "add_method_type_info", "type_string": accessor.element, "method_name": method, "return_type": returns}
