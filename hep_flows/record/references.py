"""Objects that point to other objects: NanoAOD's indices, ``mu.genPart``, and the element links of xAOD, ``e.truthParticleLink``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, did_you_mean
from hep_flows.expr import build
from hep_flows.expr.loops import below, member_with, select, selected_again
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter
from hep_flows.expr.types import Int, Record, String

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hep_flows.errors import Where

    Leaf = Callable[[Expr, str], Expr | None]

_MOTHER = "genPartIdxMother"
_KEY, _INDEX = "m_persKey", "m_persIndex"
# The bits of NanoAOD's statusFlags, from the first one.
_FLAGS = (
    "isPrompt isDecayedLeptonHadron isTauDecayProduct isPromptTauDecayProduct isDirectTauDecayProduct isDirectPromptTauDecayProduct "
    "isDirectHadronDecayProduct isHardProcess fromHardProcess isHardProcessTauDecayProduct isDirectHardProcessTauDecayProduct "
    "fromHardProcessBeforeFSR isFirstCopy isLastCopy isLastCopyBeforeFSR"
).split()


def reference(of: Expr, name: str, whole: Expr, leaf_of: Leaf, where: Where) -> Expr | None:
    """Give the object that an object refers to by that name, or None where there is no such reference.

    Parameters
    ----------
    of : Expr
        The objects.
    name : str
        The name of a stored index without ``Idx`` (``genPart`` of ``genPartIdx``), or ``mother`` or ``children``; a leaf of what an
        element link points to.
    whole : Expr
        The table, whose collections the references count in.
    leaf_of : callable
        Gives a leaf of a collection, stored or derived; None where it has none.

    Raises
    ------
    FieldError
        When the file has no such collection.
    """
    record = of.type.item
    if not isinstance(record, Record):
        return None
    if {_KEY, _INDEX} <= set(record.members) and record.model == "xaod":  # not `in`: a kind that is not known whole has any name
        return _linked(of, name, whole, leaf_of, where)
    if record.model != "nanoaod":
        return None
    if name == "children" and _MOTHER in record.members:
        return select(of, lambda node: _children(node, whole, where))
    index = _MOTHER if name == "mother" and _MOTHER in record.members else _index_named(record, name)
    return None if index is None else select(of, lambda node: _object(node, index, whole, where))


def reference_names(record: Record) -> tuple[str, ...]:
    """Give the names of the objects that objects of a kind refer to."""
    if record.model != "nanoaod":
        return ()
    own = ("mother", "children") if _MOTHER in record.members else ()
    return (*[n.replace("Idx", "", 1) for n, m in record.members.items() if isinstance(m.item, Int) and m.item.refers_to], *own)


def status_flags(names: Iterable[str], where: Where) -> int:
    """Give the bits of NanoAOD's ``statusFlags`` that stand for these names.

    Raises
    ------
    LiteralError
        When there is no such flag.
    """
    bits = 0
    for name in names:
        if name not in _FLAGS:
            raise LiteralError(
                f"statusFlags has no flag {name!r}",
                where=where,
                why=f"it has {', '.join(_FLAGS)}",
                do=did_you_mean(str(name), _FLAGS),
            )
        bits |= 1 << _FLAGS.index(name)
    return bits


def _index_named(record: Record, name: str) -> str | None:
    """Give the stored index whose name without ``Idx`` this is."""
    return next(
        (
            n
            for n, m in record.members.items()
            if "Idx" in n and isinstance(m.item, Int) and m.item.refers_to and n.replace("Idx", "", 1) == name
        ),
        None,
    )


def _object(node: Expr, index: str, whole: Expr, where: Where) -> Expr | None:
    """Give what an index of this node points to."""
    given = member_with(node, index)
    if isinstance(given, bool):
        return None
    if given is None:
        item = node.type.item
        if not isinstance(node, Field | Dataset) or not isinstance(item, Record) or index not in item.members:
            return None
        given = build.field(node, index, where)
    stored = node.type.item.members[index].item  # type: ignore[union-attr]
    target = stored.refers_to if isinstance(stored, Int) else ""
    collection = _of_same_events(_collection(whole, target or _original(node, index), where), node)
    if isinstance(collection, Filter) and collection.at == 1:
        return build.gathered(collection.of, _of_those_left(given, collection.mask, where), 1, where)
    return build.gathered(collection, given, 1, where)


def _of_those_left(index: Expr, mask: Expr, where: Where) -> Expr:
    """Give an index into a whole collection, which points to nothing where a replacement of the collection drops the object."""
    if isinstance(mask, Call) and mask.function == "vary":
        source: Any = mask.option("source")
        words: Any = mask.option("words")
        others = [_of_those_left(index, one, where) for one in mask.args[1:]]
        return build.varied(index, others, source, words, where)
    kept = build.call("fill_none", (build.gathered(mask, index, 1, where), build.literal(False)), where=where)
    return build.call("where", (kept, index, build.literal(-1, "int32")), where=where)


def _original(node: Expr, index: str) -> str:
    """Give the collection that an index referred to before it was replaced."""
    found: Expr | None = node
    while found is not None:
        item = found.type.item
        stored = item.members[index].item if isinstance(item, Record) and index in item.members else None
        if isinstance(stored, Int) and stored.refers_to:
            return stored.refers_to
        found = below(found)
    return ""


def _children(node: Expr, whole: Expr, where: Where) -> Expr | None:
    """Give, for each particle, the particles whose mother it is."""
    item = node.type.item
    if not isinstance(node, Field) or not isinstance(item, Record) or _MOTHER not in item.members:
        return None
    index = build.field(node, _MOTHER, where)
    assert isinstance(index.type.item, Int)
    return build.gathered(_collection(whole, index.type.item.refers_to, where), build.referring(index, where), 1, where)


def _collection(whole: Expr, name: str, where: Where) -> Expr:
    found = select(whole, lambda node: _member(node, name))
    if found is None:
        raise FieldError(
            f"the file has no collection {name!r}, which the index refers to",
            where=where,
            do="use a file that has it; hasattr(df, name) says whether this one does",
        )
    return found


def _member(node: Expr, name: str) -> Expr | bool | None:
    given = member_with(node, name)
    if given is not None or not isinstance(node, Dataset):
        return given
    item = node.type.item
    return build.field(node, name) if isinstance(item, Record) and name in item.members else None


def _of_same_events(collection: Expr, node: Expr) -> Expr:
    """Give a collection in the events that a selection has left."""
    crossed: list[Expr] = []
    here: Expr | None = node
    while here is not None:
        if (isinstance(here, Filter) and here.at == 0) or (isinstance(here, Call) and dict(here.options).get("at") == 0):
            crossed.append(here)
        here = below(here)
    for outer in reversed(crossed):
        collection = selected_again(outer, collection)
    return collection


def _linked(of: Expr, name: str, whole: Expr, leaf_of: Leaf, where: Where) -> Expr | None:
    """Give a part of an element link, or a leaf of what it points to: of each container that has the leaf, where the key is its key."""
    parts = {"key": _KEY, "index": _INDEX}
    if name in (*parts, _KEY, _INDEX):
        return select(of, lambda node: _part_of_link(node, parts.get(name, name)))
    return select(of, lambda node: _through_link(node, name, whole, leaf_of, where))


def _part_of_link(node: Expr, name: str) -> Expr | None:
    item = node.type.item
    return build.field(node, name) if isinstance(node, Field) and isinstance(item, Record) and name in item.members else None


def _through_link(node: Expr, name: str, whole: Expr, leaf_of: Leaf, where: Where) -> Expr | None:
    key, index = _part_of_link(node, _KEY), _part_of_link(node, _INDEX)
    events = whole.type.item
    if key is None or index is None or not isinstance(events, Record):
        return None
    position = build.call("multiply", (index, build.literal(1, "int64")), where=where)
    found: Expr | None = None
    for container, member in events.members.items():
        if not isinstance(member.item, Record) or member.axes != (container,) or not member.is_plain:
            continue
        stored = member.item.members.get(name)
        if stored is not None and not stored.is_plain:
            continue
        leaf = leaf_of(_collection(whole, container, where), name)
        if leaf is None or isinstance(leaf.type.item, Record):
            continue
        if found is not None and isinstance(leaf.type.item, String) is not isinstance(found.type.item, String):
            raise FieldError(
                f"{name!r} is a text in some containers and a number in others, and the link may point into both", where=where
            )
        is_there = build.call("isin", (key,), (("values", container_keys(container)),), where)
        there = build.call("where", (is_there, position, build.literal(-1, "int64")), where=where)
        pointed = build.gathered(leaf, there, 1, where)
        if found is None:
            found = pointed
        elif len(found.type.axes) == len(pointed.type.axes):
            found = build.call("where", (is_there, pointed, found), where=where)
        else:
            raise FieldError(
                f"{name!r} is a list in some containers and none in others, and the link may point into both", where=where
            )
    return found


# An element link holds the key of the container that it points into: the last 30 bits of a CRC-64 (ECMA-182's reflected Jones polynomial,
# all bits set at first) over the container's name and the four bytes of its class identifier, as Athena's StringPool computes it. What
# the class adds is the same for all names; these are the classes that links of xAOD files point into: truth particles and vertices,
# electrons, muons, photons, jets, taus, tracks, tau tracks, vertices, clusters, b-tagging, missing energy, events.
_POLYNOMIAL = 0x95AC9329AC4BC9B5
_ALL_64, _LAST_30 = (1 << 64) - 1, (1 << 30) - 1
_CLASSES = (
    0x3865B8A6, 0x3DE8B5D0, 0x381B053A, 0x2D6BECE4, 0x0FF218B7, 0x31C57F97, 0x20FBE9BE, 0x0C4FD93C, 0x0CE7C72C, 0x05B63C49,
    0x10FCC462, 0x0096A477, 0x06C63862, 0x1A5F461A,
)  # fmt: skip


def container_keys(name: str) -> tuple[int, ...]:
    """Give the keys that links know a container of that name by: one for each class that it may be of."""
    crc = _ALL_64
    for byte in name.encode() + bytes(4):
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    return tuple([(crc ^ c) & _LAST_30 for c in _CLASSES])
