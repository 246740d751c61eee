"""Stored things: containers of the event, leaves of their objects, lists in leaves."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugins.servicex.translate import Refused, called, member_of, method
from hep_flows.plugins.servicex.xaod.own_functions import STORED, declaring
from hep_flows.plugins.servicex.xaod.value import Value, bits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Field
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.xaod.value import Kind

# The containers of ATLAS xAOD files, and what C++ calls them ---------------------------------------------------------------------
#
# The generator knows some collections by itself; of the others a query says what they are, in metadata. A leaf is read by the method of the
# data model where that gives the stored number, and else from the auxiliary store, by its name and stored type.

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


# The column of a leaf that the data model computes: a call, and not the name of a branch.
CALLED = "()"
_KINDS: dict[str, Kind] = {
    "double": "double",
    "float": "float",
    "int": "int",
    "bool": "bool",
    "long": "wide",
    "unsigned long": "wide",
}

_DECLARED = {"float64": "double", "float32": "float", "bool": "bool", "int32": "int", "int64": "long", "uint64": "unsigned long"}


def container(node: Field) -> ast.expr:
    """Give a container of the event.

    Raises
    ------
    Refused
        When it is not known how the event hands it out.
    """
    accessor = _accessor(node)
    return declaring(method(ast.Name("e", ast.Load()), accessor.name, ast.Constant(node.name)), accessor.metadata())


def stored_leaf(node: Field, of: ast.expr, *, of_list: bool = False) -> Value:
    """Give a leaf of an object, or with ``of_list`` what an element of a list-valued leaf stands for.

    Raises
    ------
    Refused
        When it is no number, or not one of an object of a known container.
    """
    item = _number(node)
    if of_list:
        return _as_used(of, item)
    accessor, name = _accessor(_container_of(node)), node.name
    if member_of(node).column.endswith(CALLED):
        return _declared(accessor, node, of, item)
    returns = accessor.methods.get(name, "")
    if returns:
        read = declaring(method(of, name), method_metadata(accessor, name, returns))
        return Value(read, _KINDS[returns], item, bits_of(item))
    return _as_used(called(f"hf_leaf_{item}", of, ast.Constant(name)), item)


def leaf_list(node: Field, of: Value) -> ast.expr:
    """Give a leaf that is a list of numbers.

    Raises
    ------
    Refused
        When it is no list of numbers, or the object may be missing.
    """
    item = _number(node)
    if of.valid:
        raise Refused("a list that may be missing")
    _accessor(_container_of(node))
    if member_of(node).column.endswith(CALLED):
        raise Refused(f"{node.name} is a list that a method gives")
    return called(f"hf_list_{item}", of.node, ast.Constant(node.name))


def _declared(accessor: Accessor, node: Field, of: ast.expr, item: Item) -> Value:
    """Give a leaf that the schema says is a method; the generator can go on with few types."""
    returns = _DECLARED.get(str(item), "double")
    read = declaring(method(of, node.name), method_metadata(accessor, node.name, returns))
    # The generator does no arithmetic on narrow and unsigned integers; a double holds them all.
    is_narrow = isinstance(item, Int) and returns == "double"
    return Value(called("hf_double", read) if is_narrow else read, _KINDS[returns], item, bits_of(item))


def _as_used(node: ast.expr, item: Item) -> Value:
    return Value(node, _KINDS[STORED[str(item)][1]], item, bits_of(item))


def _number(node: Field) -> Item:
    item, member = node.type.item, member_of(node)
    if isinstance(item, Record):
        raise Refused(f"{node.name} is an object inside of an object")
    if not isinstance(item, Bool | Int | Float) or str(item) not in STORED:
        raise Refused(f"{node.name} is a {item}, and the query language has numbers only")
    if member.optional:
        raise Refused(f"values of {node.name} may be missing")
    return item


def _container_of(node: Field) -> Field:
    """Give the container whose objects have the leaf."""
    from hep_flows.expr.nodes import Bound, Call, Dataset, Field, Filter, Map

    of = node.of
    while True:
        match of:
            case Field(of=Dataset()):
                return of
            case Filter() | Bound():
                of = of.of
            case Map():
                of = of.body
            case Call(function="pick" | "slice"):
                of = of.args[0]
            case _:
                raise Refused(f"{node.name} is not a leaf of a container's objects")


def _accessor(node: Field) -> Accessor:
    member = member_of(node)
    if not isinstance(member.item, Record):
        raise Refused(f"{node.name} is no container of the event")
    found = accessor_of(node.name, member.column)
    if found is None:
        raise Refused(f"it is not known which class the objects of {node.name} have")
    if found.is_list != bool(member.axes):
        raise Refused(f"{node.name} is not what {found.name} is in the data model")
    return found
