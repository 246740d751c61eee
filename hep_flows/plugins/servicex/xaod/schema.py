"""The schema of ATLAS events that no file at hand describes: what the xAOD data model offers.

With a package of typed queries (``func_adl_servicex_xaodr25``) installed, it says which methods the objects have and what they give, so
that a wrong name is found before anything is sent. Without one, an unknown leaf of an object is taken for a method that gives a double, as
the paper does; `assumed_leaves` names them.

::

    typed_event("25")                                                    all methods of the release, of PHYSLITE's containers
    typed_event("25", containers={"MyJets": "Jets"})                     and another container
    typed_event("25", leaves={"AnalysisJets": {"EMFrac": "float32"}})    and a leaf of the auxiliary store
    open_event()                                                         any leaf, as a double
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.nodes import Field
from hep_flows.expr.types import Bool, Float, Int, Member, OpenMembers, Record
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.xaod.stored import ACCESSORS, Accessor, accessor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Item

    Methods = Callable[[Accessor], Mapping[str, Member]]

RELEASES = ("25", "22")
ASSUMED = "not in the schema: taken for a method that gives a double"
_EVENT = "xaod"
_PHYSLITE = (
    "EventInfo AnalysisJets AnalysisLargeRJets AnalysisElectrons AnalysisMuons AnalysisPhotons AnalysisTauJets MET_Core_AnalysisMET "
    "MET_Truth PrimaryVertices InDetTrackParticles TruthElectrons TruthMuons TruthTaus TruthPhotons TruthNeutrinos TruthBottom TruthTop "
    "TruthBoson TruthBSM TruthEvents AntiKt4TruthDressedWZJets"
).split()
_ITEMS: dict[str, Item] = {
    "double": Float(64), "float": Float(32), "bool": Bool(), "int": Int(32), "unsigned int": Int(32, signed=False),
    "uint8_t": Int(8, signed=False), "uint16_t": Int(16, signed=False), "uint32_t": Int(32, signed=False),
    "uint64_t": Int(64, signed=False), "unsigned long long": Int(64, signed=False), "size_t": Int(64, signed=False),
}  # fmt: skip
_DTYPES: dict[str, Item] = {str(i): i for i in _ITEMS.values()} | {"int8": Int(8), "int16": Int(16), "int64": Int(64)}
_MEV = frozenset("pt m e px py pz met mpx mpy sumet".split())
# What the data model offers for sure, besides the leaves that `ACCESSORS` names.
_USUAL: dict[str, dict[str, str]] = {
    "TruthParticles": {"pt": "double", "eta": "double", "phi": "double"},
    "MissingET": {"met": "float", "phi": "float"},
    "EventInfo": {
        "runNumber": "uint32_t", "eventNumber": "uint64_t", "lumiBlock": "uint32_t", "bcid": "uint32_t", "mcChannelNumber": "uint32_t",
        "averageInteractionsPerCrossing": "float", "actualInteractionsPerCrossing": "float",
    },
}  # fmt: skip
# Of every object, and about its place in memory.
_OF_THE_STORE = frozenset(
    "usingPrivateStore usingStandaloneStore hasStore hasNonConstStore clearDecorations trackIndices isAvailable auxdataConst".split()
)
# Names that the language gives a meaning: an open record does not claim them.
_OF_THE_LANGUAGE = frozenset("count first sum max min any all mean prod mass energy map".split())


def typed_event(
    release: str = "25",
    *,
    containers: Mapping[str, str] | None = None,
    leaves: Mapping[str, Mapping[str, str]] | None = None,
) -> Record:
    """Give the schema of events from the package of typed queries of a release.

    Parameters
    ----------
    release : str
        ``"25"`` or ``"22"``.
    containers : mapping of str to str, optional
        Containers besides those of PHYSLITE, each with the method of the event that gives it: ``{"MyJets": "Jets"}``.
    leaves : mapping, optional
        Leaves of the auxiliary store, by container, with numpy's name of their type.

    Raises
    ------
    SourceError
        When the package is not installed, or a container or a type is not known.
    """
    event, collections = _package(release)
    made: dict[str, Mapping[str, Member]] = {}

    def methods(accessor: Accessor) -> Mapping[str, Member]:
        if accessor.name not in collections:
            return {}
        if accessor.name not in made:
            made[accessor.name] = _methods(event, accessor)
        return made[accessor.name]

    return _event(methods, containers or {}, leaves or {}, is_open=False)


def open_event(*, containers: Mapping[str, str] | None = None, leaves: Mapping[str, Mapping[str, str]] | None = None) -> Record:
    """Give the schema of events of which only the usual leaves are known: any other is taken for a method that gives a double.

    Raises
    ------
    SourceError
        When a container or a type is not known.
    """
    return _event(_usual, containers or {}, leaves or {}, is_open=True)


def installed_release() -> str:
    """Give the newest release whose package is installed; empty when there is none."""
    from importlib.util import find_spec

    return next((r for r in RELEASES if find_spec(f"func_adl_servicex_xaodr{r}") is not None), "")


def assumed_leaves(exprs: Iterable[Expr]) -> tuple[str, ...]:
    """Give the leaves of expressions that are in no schema, each once: ``AnalysisJets.width``."""
    found: dict[str, None] = {}
    for node in postorder(*exprs):
        if isinstance(node, Field) and isinstance(node.of.type.item, Record):
            member = node.of.type.item.members.get(node.name)
            if member is not None and member.doc == ASSUMED:
                found[f"{node.of.type.item.name}.{node.name}"] = None
    return tuple(found)


def _event(methods: Methods, containers: Mapping[str, str], leaves: Mapping[str, Mapping[str, str]], *, is_open: bool) -> Record:
    _check_names([*containers.values()], ACCESSORS, "method of the event")
    _check_names([t for of in leaves.values() for t in of.values()], _DTYPES, "type of a leaf")

    def container(name: str) -> Member | None:
        accessor = accessor_of(name, containers.get(name, ""))
        return None if accessor is None else _container(name, accessor, methods(accessor), leaves.get(name, {}), is_open=is_open)

    known = {n: m for n in (*_PHYSLITE, *containers, *leaves) if (m := container(n)) is not None}
    lost = next((n for n in leaves if n not in known), None)
    if lost is not None:
        raise SourceError(f"it is not known what the container {lost} holds", do="say so: containers={'" + lost + "': 'Jets'}")
    return Record("event", OpenMembers(known, container), _EVENT)


def _check_names(given: Sequence[str], known: Iterable[str], what: str) -> None:
    wrong = next((n for n in given if n not in set(known)), None)
    if wrong is not None:
        raise SourceError(f"{wrong!r} is no {what}", why=f"known are {', '.join(known)}", do=did_you_mean(wrong, list(known)))


def _container(name: str, accessor: Accessor, methods: Mapping[str, Member], leaves: Mapping[str, str], *, is_open: bool) -> Member:
    stored = {leaf: Member(_DTYPES[kind], doc="a leaf of the auxiliary store") for leaf, kind in leaves.items()}
    known: Mapping[str, Member] = {**methods, **stored}
    members = OpenMembers(known, _as_double) if is_open else known
    return Member(Record(name, members, _EVENT), (name,) if accessor.is_list else (), accessor.name)


def _as_double(name: str) -> Member | None:
    is_name = name.isidentifier() and not name.startswith("_") and not name[0].isupper()
    return _method(name, Float(64), ASSUMED) if is_name and name not in _OF_THE_LANGUAGE else None


def _method(name: str, item: Item, doc: str = "") -> Member:
    unit = "MeV" if name in _MEV and isinstance(item, Float) else ""
    return Member(item, column=f"{name}()", doc=doc, unit=unit)


def _usual(accessor: Accessor) -> Mapping[str, Member]:
    usual = {**accessor.methods, **_USUAL.get(accessor.name, {})}
    return {name: _method(name, _ITEMS[returns]) for name, returns in usual.items()}


def _package(release: str) -> tuple[Any, Mapping[str, Any]]:
    """Give the class of the event, and what the package says about its collections."""
    from importlib import import_module

    package = f"func_adl_servicex_xaodr{release}"
    if release not in RELEASES:
        raise SourceError(f"there is no schema of release {release!r}", why=f"the releases are {', '.join(RELEASES)}")
    try:
        module = import_module(f"{package}.event_collection")
    except ModuleNotFoundError as error:
        raise SourceError(
            f"the schema of release {release} cannot be read",
            why=f"{error.name} is not installed",
            do=f"pip install {package.replace('_', '-')}, or go without: open_event()",
        ) from None
    return module.Event, module._collection_map  # noqa: SLF001 - the package has no other table


def _methods(event: Any, accessor: Accessor) -> Mapping[str, Member]:
    """Give the methods without parameters that give numbers."""
    import inspect
    import typing

    hint = typing.get_type_hints(getattr(event, accessor.name))["return"]
    of = next(iter(typing.get_args(hint)), hint)
    found: dict[str, Member] = {}
    for name, said in sys.modules[of.__module__]._method_map.items():  # noqa: SLF001 - the package has no other table
        function = of.__dict__.get(name)
        item = _ITEMS.get(str(said.get("return_type", "")).removeprefix("const "))
        if item is None or name in _OF_THE_STORE or not inspect.isfunction(function):
            continue
        if len(inspect.signature(function).parameters) == 1:
            found[name] = _method(name, item)
    return found
