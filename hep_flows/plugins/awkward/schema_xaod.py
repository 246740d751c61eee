"""xAOD (PHYSLITE): one object per container, its leaves from the static and the dynamic store.

``AnalysisElectronsAuxDyn.pt`` is ``AnalysisElectrons.pt``. A container of the event itself (``EventInfo``) is a group of event
values. An ElementLink stays what it is: a record with the key of the container (``m_persKey``) and the place in it
(``m_persIndex``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.expr.types import Float, Member, Record
from hep_flows.plugins.awkward.forms import depth_of, member_of
from hep_flows.plugins.awkward.schema_tree import with_plain_doc
from hep_flows.plugins.awkward.stored import shared_lack

if TYPE_CHECKING:
    from hep_flows.plugins.awkward.schema_tree import Shared
    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

_MODEL = "xaod"
# AnalysisElectronsAuxDyn.pt; RNTuples have a colon there.
_LEAF = re.compile(r"^(?P<container>.+?)Aux(?P<dynamic>Dyn)?[.:](?P<leaf>.+)$")
_MEV = frozenset("pt m e et px py pz mpx mpy sumet energy mass rawe cale".split())
_MM = frozenset("d0 z0 vz x y z".split())


def xaod_record(columns: Columns, shared: Shared) -> Record:
    """Give the record of events: one member for each container, then the values that belong to none."""
    del shared
    containers: dict[str, dict[str, StoredColumn]] = {}
    loose: list[StoredColumn] = []
    for column in columns.values():
        found = _LEAF.match(column.short) or _LEAF.match(column.name.replace("/", ".").replace("..", "."))
        if found is None:
            loose.append(column)
        elif found["leaf"] and not found["leaf"].startswith("xAOD::"):
            containers.setdefault(found["container"], {}).setdefault(found["leaf"], column)
    members = {name: _container(name, leaves) for name, leaves in containers.items()}
    for column in loose:
        if column.short not in members:
            members[column.short] = _loose(column)
    return Record("event", members, _MODEL)


def _loose(column: StoredColumn) -> Member:
    """Give a value that belongs to no container; a container's own object holds nothing, so without leaves it is empty."""
    if column.form is None and "xAOD::" in column.class_name:
        name = column.short
        return Member(Record(name, {}, _MODEL), (name,), column.name, unreadable=f"the file stores no leaves of {name}")
    return member_of(column, column.short, _MODEL)


def _container(name: str, columns: dict[str, StoredColumn]) -> Member:
    # A store of event values may hold lists too; a store of objects holds lists only.
    is_list = all(depth_of(c) > 0 for c in columns.values() if c.form is not None)
    outer = (name,) if is_list else ()
    lack, lacking = shared_lack(list(columns.values())) if is_list else (frozenset[int](), "")
    leaves: dict[str, Member] = {}
    links: dict[str, dict[str, Member]] = {}
    for leaf, column in columns.items():
        link, _, part = leaf.partition(".")
        made = _leaf(name, leaf, column, outer)
        if lack and column.lack <= lack:  # there wherever the container is
            made = replace(made, lacking="")
        if part:
            links.setdefault(link, {})[part] = made
        else:
            leaves[leaf] = made
    for link, parts in links.items():
        leaves.setdefault(link, Member(Record(link, parts, _MODEL)))
    return Member(Record(name, leaves, _MODEL), outer, lacking=lacking)


def _leaf(container: str, leaf: str, column: StoredColumn, outer: tuple[str, ...]) -> Member:
    made = member_of(column, leaf, _MODEL, outer)
    unit = _unit_of(container, leaf) if isinstance(made.item, Float) else ""
    doc = "" if made.doc == column.short else made.doc
    return with_plain_doc(replace(made, axes=made.axes[len(outer) :], unit=unit, doc=doc))


def _unit_of(container: str, leaf: str) -> str:
    """Give MeV or mm where the name leaves no doubt, else an empty string."""
    name = leaf.lower()
    if name in _MEV:
        return "MeV"
    is_position = name in {"d0", "z0", "vz"} or "Vert" in container or "Vtx" in container
    return "mm" if name in _MM and is_position else ""
