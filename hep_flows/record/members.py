"""What a name means on an event, a collection or an object: a column, an alias, a stored leaf, or one derived by the data model.

Columns win over aliases, aliases over stored leaves, before and after filters alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, RecordError, did_you_mean, with_article
from hep_flows.expr import build
from hep_flows.expr.axes import misaligned
from hep_flows.expr.build import fitted
from hep_flows.expr.loops import below, close, is_with, member_with, names_with, provisional_level, select
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Map
from hep_flows.expr.types import Record, item_of
from hep_flows.record import aliases
from hep_flows.record.follow import carried, followed
from hep_flows.record.instead import instead_of
from hep_flows.record.references import reference, reference_names
from hep_flows.record.vectors import Operand, derived_leaf, derived_names, is_made_vector
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Where
    from hep_flows.record.table import Recorded, Table
    from hep_flows.record.vectors import LookUp

# The names of the xAOD event: the methods that give a container by name, and the keys that links know containers by --------------

ACCESSORS = frozenset(
    "Electrons Muons Photons Jets FatJets TauJets DiTauJets TruthParticles TruthVertices TruthEvents Vertices TrackParticles "
    "CaloClusters MissingET EventInfo BTagging TrigElectrons Tracks PFOs FlowElements MuonSegments".split()
)


# Repeat what is not per element for each element: the axes of the collection come first ------------------------------------------


def spread(value: Expr, over: Expr, where: Where, n_axes: int | None = None) -> Expr:
    """Give a value with the axes of its collection first (or the first ``n_axes`` of them); what is not per element is repeated.

    Raises
    ------
    AxisError
        When the value belongs to another selection of the same collection, or to other events.
    """
    v, o = value.type.axes, over.type.axes[:n_axes]
    if v[: len(o)] == o or len(o) < 2:
        if v and o and v[0] != o[0]:
            raise misaligned(v, o, "a column", where)
        return value
    shared = v[: len(o)] == o[: len(v)]
    if not shared:
        own = {a.root for a in o}
        if (v and v[0] != o[0]) or any(a.root in own for a in v[1:]):
            raise misaligned(v, o, "a column", where)
    if len(o) == 2:
        return build.mapped(over, value, 0, where)
    level = provisional_level(1)
    element = build.bound(over, level, where)
    inside = build.bound(value, level, where) if shared and len(v) > 1 else value
    return close(over, spread(inside, element, where, len(o) - 1), level, where)


_NAMES = "dir(X) lists all names; X['name'] = ... adds a column"
_EXPRESSION = "print(x) shows what it is; leaves belong to the collection: X.pt, X.eta"


REQUIRED: Any = object()  # no default was given


def given_of(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give what the user gave the name to, on the expression or on what it is a selection of: a replaced leaf, or a column.

    The nearest wins. A column that uses a leaf which was replaced further out follows it.
    """
    if not table.has_column(name):
        return None
    known = table.found_columns.get((table.whole.key, of.key, name))
    if known is not None:
        return known
    crossed: list[Expr] = []
    node: Expr | None = of
    column: Expr | None = None
    while node is not None:
        given = member_with(node, name)
        if given is False:
            return None
        if isinstance(given, Expr):
            return select(of, lambda here: member_with(here, name))
        column = table.column(node, name)
        if column is not None:
            break
        before = table.before.get(node.key)
        if before is not None:
            # The table replaced the collection: its columns are those of the new one already.
            column = table.column(before, name)
            break
        crossed.append(node)
        node = below(node)
    if column is None or node is None:
        return None
    found = _followed_up(column, node, crossed, name, table, where)
    table.found_columns[table.whole.key, of.key, name] = found
    return found


def _followed_up(column: Expr, base: Expr, crossed: Sequence[Expr], title: str, table: Table, where: Where) -> Expr:
    """Carry a column from where it was defined up through selections and replaced leaves, which it follows."""
    selections: list[Expr] = []
    waiting = list(crossed)
    while waiting:
        node = waiting.pop()
        if not is_with(node):
            selections.insert(0, node)
            continue
        names = dict.fromkeys(names_with(node))
        while waiting and is_with(waiting[-1]):
            node = waiting.pop()
            names.update(dict.fromkeys(names_with(node)))
        new: dict[bytes, Expr] = {}
        for name in names:
            old = given_of(base, name, table, where) or leaf_of(base, name, table, where)
            now = None if old is None else plain_member(node, name, table, where)
            if old is not None and now is not None:
                new[old.key] = now
        column = followed(column, base, new, selections, repr(title), where)
        base, selections = node, []
    return carried(column, selections)


def plain_member(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give what a name means without aliases."""

    def look_up(n: str) -> tuple[Expr, bool] | None:
        given = given_of(of, n, table, where)
        if given is not None:
            return given, True
        stored = _stored(of, n, table, where)
        return None if stored is None else (stored, False)

    found = look_up(name)
    return derived_leaf(of, name, look_up, where) if found is None else found[0]


def leaf_of(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give a stored leaf or collection, chosen before every selection that the expression makes."""

    def found(node: Expr) -> Expr | bool | None:
        known = table.leaves.get((node.key, name))
        if known is not None:
            return known
        if (given := member_with(node, name)) is not None:
            return given
        if isinstance(node, Call) and node.function == "record":
            return _member_of_record(node, name, where)
        if isinstance(node, Call) and node.function == "concatenate" and name == "part":
            return build.part_numbers(node)
        if isinstance(node, Field | Dataset) and isinstance(node.type.item, Record) and name in node.type.item.members:
            return build.field(node, name, where)
        return None

    try:
        leaf = select(of, found)
    except FieldError:  # it is there, and cannot be read
        table.looked.whole_schema = True
        raise
    if leaf is not None:
        table.leaves[of.key, name] = leaf
    table.looked.names[of.key, name] = (of, leaf)
    return leaf


def joined_at(of: Expr) -> Call | None:
    """Give the concatenation whose elements these are, if they are of one."""
    found: list[Call] = []

    def look(node: Expr) -> Expr | None:
        if isinstance(node, Call) and node.function == "concatenate":
            found.append(node)
        return None

    select(of, look)
    return found[0] if found else None


def _member_of_parts(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give what a name means on a concatenation: what it means on its parts, where all of them have it."""

    def found(node: Expr) -> Expr | None:
        if not (isinstance(node, Call) and node.function == "concatenate"):
            return None
        parts = [member_of(table.frame(a), a, name, table, where) for a in node.args]
        at: Any = node.option("at")
        return None if None in parts else build.concatenated(parts, at, where)  # type: ignore[arg-type]

    return select(of, found)


def _lacking_part(of: Expr, name: str, table: Table, where: Where) -> FieldError | None:
    """Say which part of a concatenation lacks a name that another one has."""
    node = joined_at(of)
    parts = node.args if node is not None else ()
    lack = [a for a in parts if member_of(table.frame(a), a, name, table, where) is None]
    if not lack or len(lack) == len(parts):
        return None
    title = _title(lack[0])
    return FieldError(
        f"{title} has no leaf {name!r}, and others that it is joined with have",
        where=where,
        why="a concatenation has the names that all of its parts have",
        do=did_you_mean(name, known_names(of, table)) or f"define a column {name!r} on {title} before they are joined",
    )


def leaf_or_default(frame: Recorded, name: Any, default: Any, as_: str, where: Where) -> Expr:  # noqa: C901
    """Give what `DataFrame.get` gives: a column or an alias as it is, a stored leaf with a default for the files that lack it."""
    of, table = frame._expr, frame._table  # noqa: SLF001
    if not isinstance(name, str) or not name:
        raise LiteralError(f"get takes the name of a leaf, not {with_article(name)}", where=where, do='X.get("pt", 0.0)')
    if not isinstance(of.type.item, Record):
        raise no_member(of, name, table, where)
    if (column := given_of(of, name, table, where)) is not None:
        return column
    if aliases.any_aliases() and aliases.alias_for(path_of(of), name) is not None:
        found = member_of(frame, of, name, table, where)
        assert found is not None
        return found
    if as_ and item_of(as_) is None:
        raise LiteralError(f"as_ is the name of a kind of numbers, not {as_!r}", where=where, do='as_="float64", "int64", "bool"')

    def found_at(node: Expr) -> Expr | None:
        if isinstance(node, Call) and node.function == "record":
            return _member_of_record(node, name, where)
        if isinstance(node, Call) and node.function == "concatenate":
            at: Any = node.option("at")
            return build.concatenated([leaf_or_default(table.frame(a), name, default, as_, where) for a in node.args], at, where)
        if isinstance(node, Field | Dataset) and isinstance(node.type.item, Record) and node.type.item.model != "tuple":
            return build.field(node, name, where, _default(node, name, default, as_, where))
        return None

    leaf = select(of, found_at)
    if leaf is None:
        raise no_member(of, name, table, where)
    table.looked.gets[leaf.key] = leaf
    return leaf


def _default(node: Expr, name: str, value: Any, as_: str, where: Where) -> Default:
    """Give a default as the leaf's kind holds it."""
    record = node.type.item
    assert isinstance(record, Record)
    member = record.members.get(name)
    is_collection = member is not None and isinstance(member.item, Record)
    if value is REQUIRED and not is_collection:
        raise LiteralError(
            f"get needs what {name} is to be in files that lack it", where=where, do=f'X.get("{name}", 0.0), or None for missing'
        )
    if is_collection:
        if as_ or value not in (REQUIRED, None):
            raise LiteralError(f"{name} is no single leaf: files that lack it have none", where=where, do=f'X.get("{name}")')
        return Default()
    value = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    if value is not None and not isinstance(value, bool | int | float | str):
        raise LiteralError(f"a default is a number, a text or None, not {with_article(value)}", where=where)
    item = item_of(as_) if as_ else member.item if member is not None else None
    return Default(value if item is None else fitted(value, item, f"{record.name}.{name}", where), as_)


def _member_of_record(record: Call, name: str, where: Where) -> Expr | None:
    """Give a member with the axes of its record: the event's value beside a jet's is one for each jet."""
    names: tuple[str, ...] = record.option("names")  # type: ignore[assignment]
    if name not in names:
        return None
    member = record.args[names.index(name)]
    n_axes = len(record.type.axes)
    if len(member.type.axes) >= n_axes:
        return member
    return spread(member, next(a for a in record.args if len(a.type.axes) >= n_axes), where, n_axes)


def path_of(of: Expr) -> tuple[str, ...]:
    """Give the names that lead from the table to a collection, whatever selections were made of it."""
    names: list[str] = []
    while True:
        match of:
            case Field():
                names.append(of.name)
                of = of.of
            case Filter() | Bound():
                of = of.of
            case Map():
                of = of.body
            case Call() if of.args and of.function in ("pick", "slice", "gather", "flatten", "replace"):
                of = of.args[0]
            case _:
                return tuple(reversed(names))


def member_of(frame: Recorded, of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give what a name means on an expression, or None when it means nothing.

    Parameters
    ----------
    frame : DataFrame
        What the user holds: handed to the definition of an alias.
    of : Expr
        Its expression.
    name : str
        The name.
    table : Table
        Its table.
    where : Site
        The user's line.
    """
    look_up = _look_up(frame, of, table, where)
    found = look_up(name)
    if found is not None:
        return found[0]
    derived = derived_leaf(of, name, look_up, where)
    if derived is not None:
        table.looked.whole_schema = True  # The formula depends on what else is stored.
    return derived


def _look_up(frame: Recorded, of: Expr, table: Table, where: Where) -> LookUp:
    """Give what looks a name up: what the user gave (a column, an alias) before what is stored."""

    def found(name: str) -> tuple[Expr, bool] | None:
        given = given_of(of, name, table, where)
        if given is not None:
            return given, True
        if aliases.any_aliases():
            path = path_of(of)
            alias = aliases.alias_for(path, name)
            if alias is not None:
                return aliases.expand(alias, frame, path)._expr, True  # noqa: SLF001
        stored = _stored(of, name, table, where) if isinstance(of.type.item, Record) else None
        return None if stored is None else (stored, False)

    return found


def _stored(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give a stored leaf, or what a stored index or link refers to."""
    if table.whole is not table.dataset and (leaf := _of_replaced(of, name, table, where)) is not None:
        return leaf
    leaf = leaf_of(of, name, table, where) or _member_of_parts(of, name, table, where)
    if leaf is not None:
        return leaf
    found = reference(of, name, table.whole, lambda of_it, n: plain_member(of_it, n, table, where), where)
    if found is not None:
        table.looked.whole_schema = True  # Which collections there are decides what it refers to.
    return found


def _of_replaced(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give ``df.Jet_pt``, the leaf of a collection under the name of its branch, where the table replaces that collection."""
    record = table.dataset.type.item
    assert isinstance(record, Record)
    if path_of(of) or name not in record.members:
        return None
    replaced: list[str] = []
    node = table.whole
    while is_with(node):
        replaced += names_with(node)
        node = node.args[0]
    for collection in replaced:
        leaf = name.removeprefix(f"{collection}_")
        group = record.members.get(collection)
        if leaf == name or group is None or not isinstance(group.item, Record):
            continue
        stored, same = record.members[name], group.item.members.get(leaf)
        if same is not None and stored.column and (stored.column, stored.inside) == (same.column, same.inside):
            objects = plain_member(of, collection, table, where)
            return None if objects is None else plain_member(objects, leaf, table, where)
    return None


def operand_of(frame: Recorded, table: Table, where: Where) -> Operand:
    """Give an object as an operand of vector arithmetic."""
    table.looked.whole_schema = True  # Which components there are decides what is computed.
    of = frame._expr  # noqa: SLF001
    return Operand(of, _look_up(frame, of, table, where), is_users=type(frame) is not type(table.frame(of)))


def known_names(of: Expr, table: Table, *, derived: bool = True) -> tuple[str, ...]:
    """Give every name that means something on an expression: columns, aliases, leaves, and what is derived from them."""
    names: dict[str, None] = {}
    select(of, lambda node: names.update(dict.fromkeys((*table.columns(node), *table.columns(table.before.get(node.key, node))))))
    names.update(dict.fromkeys(aliases.alias_names(path_of(of))))
    if (joined := joined_at(of)) is not None:
        every = [known_names(a, table, derived=derived) for a in joined.args]
        names.update(dict.fromkeys([n for n in every[0] if all([n in others for others in every[1:]])]))
    if isinstance(of.type.item, Record):
        names.update(dict.fromkeys(of.type.item.members))
        if derived:
            names.update(dict.fromkeys((*reference_names(of.type.item), *derived_names(of.type.item))))
    return tuple(names)


def no_member(of: Expr, name: str, table: Table, where: Where) -> RecordError:
    """Say that a name means nothing here, and which names are near."""
    circle = aliases.circle_of(path_of(of), name)
    if circle:
        return RecordError(f"aliases are defined in a circle: {circle}", where=where, do="define one of them by stored leaves")
    item = of.type.item
    if not isinstance(item, Record):
        return FieldError(
            f"{_title(of)} has no leaf {name!r}",
            where=where,
            why=f"it is itself a leaf ({of.type}), and leaves have none",
            do="columns belong to the collection: X.name, not X.pt.name"
            if table.has_column(name)
            else instead_of(name) or _EXPRESSION,
        )
    if not name.isidentifier() and any(c in name for c in "<>=!&|") and name not in item.members:
        return FieldError(
            f"{_title(of)} has no leaf {name!r}",
            where=where,
            why="a text in brackets is the name of a leaf, and conditions are no texts here",
            do="write the condition as Python: X[X.pt > 30]",
        )
    lacking = _lacking_part(of, name, table, where)
    if lacking is not None:
        return lacking
    if is_made_vector(item):
        return FieldError(
            f"a four-vector that was computed has no {name!r}",
            where=where,
            why="it has px, py, pz, e and what follows from them",
            do=f"add it leaf by leaf: a.{name} + b.{name}",
        )
    known, given = known_names(of, table), known_names(of, table, derived=False)
    shown = ", ".join(given[:12]) + (f", ... ({len(given)} names)" if len(given) > 12 else "")
    about = {n: m.doc for n, m in item.members.items() if m.doc}
    more = ACCESSORS if isinstance(of, Dataset) and item.model == "xaod" else ()
    return FieldError(
        f"{_title(of)} has no leaf {name!r}",
        where=where,
        why=f"its names are {shown}",
        do=_within(of, name, table) or did_you_mean(name, [*known, *more], about=about) or instead_of(name) or _NAMES,
    )


def _within(of: Expr, name: str, table: Table) -> str:
    """Give how a path such as ``"MET.pt"`` or ``"Jet/pt"`` is written."""
    head, *rest = re.split(r"[./]", name)
    if not rest or not all(p.isidentifier() for p in (head, *rest)):
        return ""
    at = of
    for part in (head, *rest):
        found = leaf_of(at, part, table, None)
        if found is None:
            return ""
        at = found
    return f"name one after the other: X{''.join([f'[{p!r}]' for p in (head, *rest)])}"


def _title(of: Expr) -> str:
    item = of.type.item
    if isinstance(item, Record):
        return "the table" if isinstance(of, Dataset) else item.name
    return ".".join(path_of(of)) or "this value"


def document_of(of: Expr) -> str:
    """Give the type of an expression, with its unit and what the file says about it."""
    node = of
    while not isinstance(node, Field | Dataset) and node.inputs():
        node = node.inputs()[0]
    lines = [str(of.type)]
    if of.type.unit:
        lines.append(f"unit: {of.type.unit}")
    if isinstance(node, Field) and isinstance(of.type.item, type(node.type.item)):
        item = node.of.type.item
        member = item.members.get(node.name) if isinstance(item, Record) else None
        lines.extend(t for t in (member.doc if member else "",) if t)
    if isinstance(of.type.item, Record):
        named = [f"{n} (in some files)" if m.lacking else n for n, m in of.type.item.members.items()]
        lines.append("names: " + ", ".join(named))
    return "\n".join(lines)


def leaves_within(of: Expr) -> list[tuple[str, str]]:
    """Give the path of every leaf of a table or a collection, ``Jet.pt``, with its unit and title; each stored column once."""
    item = of.type.item
    members = item.members if isinstance(item, Record) else {}
    grouped = {n: m.item.members for n, m in members.items() if isinstance(m.item, Record)}
    found = {f"{name}.{n}": m for name, inside in grouped.items() for n, m in inside.items()}
    known = {m.path for m in found.values()}
    found |= {n: m for n, m in members.items() if n not in grouped and m.path not in known}
    return [(path, f"{m.unit} {m.doc}") for path, m in found.items()]


def rows_of(of: Expr) -> list[tuple[str, str, str, str]]:
    """Give name, kind (of a collection, how many leaves it has), unit and title of all that a table or a collection has."""
    item = of.type.item
    found = []
    for name, m in item.members.items() if isinstance(item, Record) else ():
        has = f"{len(m.item.members)} leaves" if isinstance(m.item, Record) else f"{m.item}"
        notes = [t for t, is_so in (("in some files", bool(m.lacking)), ("cannot be read", bool(m.unreadable))) if is_so]
        found.append((name, ", ".join([f"{has} x {' x '.join(m.axes)}" if m.axes else has, *notes]), m.unit, m.doc))
    return found


# The xAOD way to name things: ``df.Electrons("Electrons")`` for a container, ``p.eta()`` for a leaf ------------------------------


@dataclass(frozen=True, slots=True)
class Accessor:
    """A method of the xAOD event that waits for the name of a container."""

    frame: Recorded
    name: str

    def __call__(self, container: Any = "", *more: Any) -> Any:
        """Give the container of that name: as given, else with ``Analysis`` in front, as PHYSLITE writes it."""
        where = user_site()
        if more or not isinstance(container, str) or not container:
            raise LiteralError(f"{self.name} takes the name of a container", where=where, do=f'df.{self.name}("{self.name}")')
        frame = self.frame
        for tried in (container, f"Analysis{container}"):
            found = member_of(frame, frame._expr, tried, frame._table, where)  # noqa: SLF001
            if found is not None:
                return frame._made(found)  # noqa: SLF001
        known = [n for n, m in frame._expr.type.item.members.items() if isinstance(m.item, Record)]  # type: ignore[union-attr]  # noqa: SLF001
        raise FieldError(
            f"the file has no container {container!r}",
            where=where,
            why=f"tried {container!r} and 'Analysis{container}'; it has {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}",
            do=did_you_mean(container, [*known, *(k.removeprefix("Analysis") for k in known)]),
        )

    def __getattr__(self, name: str) -> Any:
        """Say that the container's name is missing."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise FieldError(
            f"df.{self.name} needs the name of a container", where=user_site(), do=f'df.{self.name}("{self.name}").{name}'
        )


def accessed(frame: Recorded, name: str) -> Accessor | None:
    """Give the accessor of that name, on an xAOD event only."""
    item = frame._expr.type.item  # noqa: SLF001
    is_event = len(frame._expr.type.axes) == 1 and isinstance(item, Record) and item.model == "xaod"  # noqa: SLF001
    return Accessor(frame, name) if is_event and name in ACCESSORS else None


def called_leaf(frame: Recorded, args: Sequence[Any], kwargs: dict[str, Any], where: Where) -> Any:
    """Give an xAOD leaf that is written as a call.

    Raises
    ------
    LiteralError
        For a call with arguments, or of something that is no xAOD leaf.
    """
    expr = frame._expr  # noqa: SLF001
    item = expr.type.item
    if isinstance(expr, Dataset) or not is_xaod(frame):
        name = getattr(expr, "name", "this expression")
        raise LiteralError(
            f"{name} is not a method here",
            where=where,
            why="no plug-in or schema knows a call of that name",
            do="leave the parentheses out, or declare a function with @user_func",
        )
    if isinstance(item, Record) and len(args) == 1 and isinstance(args[0], str):
        root = frame._made(frame._table.whole)  # noqa: SLF001
        return Accessor(root, getattr(expr, "name", "container"))(args[0])
    if args or kwargs:
        raise LiteralError("an xAOD leaf takes no arguments", where=where, do="write it as p.pt or p.pt()")
    return frame


def is_xaod(frame: Recorded) -> bool:
    """Say whether the frame belongs to an xAOD table."""
    item = frame._table.dataset.type.item  # noqa: SLF001
    return isinstance(item, Record) and item.model == "xaod"
