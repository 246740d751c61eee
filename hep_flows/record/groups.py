"""Pairs, order, choice and joining of collections: what makes other elements of the elements of one collection or of several.

Nothing here computes: each construct is positions in a collection (`hep_flows.expr.build.gathered` takes the elements that are there),
a loop over another collection, or several collections one after the other. So columns, aliases, masks and members work as they
do on every other selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, FieldError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.axes import misaligned
from hep_flows.expr.loops import close, provisional_level, select
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Map
from hep_flows.expr.types import Float, Record, String, is_number
from hep_flows.record.arguments import checked
from hep_flows.record.callables import called, name_of
from hep_flows.record.members import joined_at, known_names, member_of, spread
from hep_flows.record.operands import expr_of, two_tables
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.errors import Where
    from hep_flows.record.table import Recorded, Table


def list_axis(of: Expr, title: str, where: Where) -> int:
    """Give the number of the innermost axis.

    Raises
    ------
    AxisError
        When there is no list in an event.
    """
    if len(of.type.axes) < 2:
        raise AxisError(
            f"{title} needs a collection, and this is {of.type}",
            where=where,
            why="it is about the elements of each event",
            do="take it of a collection: df.Jet",
        )
    return len(of.type.axes) - 1


def _whole_number(value: Any, least: int, title: str, where: Where) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or hasattr(value, "_expr") or value.__index__() < least:
        shown = repr(value) if isinstance(value, int) else with_article(value)
        raise LiteralError(f"{title} takes a whole number from {least} on, not {shown}", where=where)
    return int(value.__index__())


# Pairs and larger groups ---------------------------------------------------------------------------------------------------------


def field_names(fields: Any, n: int, title: str, where: Where) -> tuple[str, ...]:
    """Give the names of the members of a group.

    Raises
    ------
    LiteralError
        When they are not ``n`` different names.
    """
    if fields is None:
        return tuple([str(i) for i in range(n)])
    names = tuple(fields) if isinstance(fields, list | tuple) else (fields,)
    if not all([isinstance(f, str) and f for f in names]) or len(set(names)) < len(names) or len(names) != n:
        raise LiteralError(
            f"{title}: the fields are {n} different names, not {fields!r}",
            where=where,
            why="every member of a group has a name of its own",
            do=f"fields=({', '.join([repr(c) for c in 'abcdefghijklmnopqrstuvwxyz'[:n]])})",
        )
    return names


def combinations(of: Expr, n: Any, fields: Any, where: Where) -> Expr:
    """Give every choice of ``n`` elements of each list, as records in the collection's order: 01, 02, 12."""
    at = list_axis(of, "Combinations", where)
    n = _whole_number(n, 1, "Combinations", where)
    names = field_names(fields, n, "Combinations", where)
    members = []
    for which in range(n):
        positions = build.call("argcombinations", (of,), (("n", n), ("which", which)), where)
        members.append(build.gathered(of, positions, at, where, inside=True))
    return build.record(names, members, where)


def cartesian(parts: Sequence[Expr], fields: Any, where: Where, *, nested: bool) -> Expr:
    """Give every group of one element of each collection, the first one outermost."""
    first = parts[0]
    for part in parts:
        at = list_axis(part, "Cartesian", where)
        if part.type.axes[:at] != first.type.axes[:-1]:
            raise misaligned(part.type.axes[:at] or part.type.axes, first.type.axes[:-1] or first.type.axes, "Cartesian", where)
    names = field_names(fields, len(parts), "Cartesian", where)
    return _cartesian(parts, names, where, nested=nested)


def _cartesian(parts: Sequence[Expr], names: tuple[str, ...], where: Where, *, nested: bool) -> Expr:
    first = parts[0]
    if len(first.type.axes) > 2:
        level = provisional_level(1)
        inside = [build.bound(p, level, where) for p in parts]
        return close(first, _cartesian(inside, names, where, nested=nested), level, where)
    so_far = [_for_each(parts[: i + 1], where) for i in range(len(parts))]
    members = [spread(m, so_far[-1], where) for m in so_far]
    if not nested:
        for _ in parts[1:]:
            members = [build.flattened(m, where) for m in members]
    return build.record(names, members, where)


def _for_each(parts: Sequence[Expr], where: Where) -> Expr:
    """Give the last collection for each element of those before it."""
    body = parts[-1]
    for over in reversed(parts[:-1]):
        body = build.mapped(over, body, 0, where)
    return body


# Choice and order by a key -------------------------------------------------------------------------------------------------------


def key_of(frame: Recorded, key: Any, title: str, where: Where) -> Expr:
    """Give a key of elements: a function of the whole collection, or an expression with a number for each element.

    Raises
    ------
    LiteralError
        When it is no number.
    AxisError
        When it belongs to other elements.
    """
    of, table = frame._expr, frame._table  # noqa: SLF001
    list_axis(of, title, where)
    if not hasattr(key, "_expr"):
        if not callable(key):
            raise LiteralError(
                f"{title} takes a function of the collection or an expression, not {with_article(key)}",
                where=where,
                do=f"X.{title}(lambda x: x.pt), or X.{title}(X.pt)",
            )
        key = called(key, frame, where)
    found = expr_of(key, table, where)
    if not is_number(found.type.item):
        what = "text" if isinstance(found.type.item, String) else f"a {found.type.item}"
        raise LiteralError(f"the key of {title} is a number, and this is {what}", where=where, do=f"X.{title}(lambda x: x.pt)")
    if found.type.axes != of.type.axes:
        shared = found.type.axes == of.type.axes[: len(found.type.axes)]
        if not shared:
            raise misaligned(found.type.axes, of.type.axes, f"the key of {title}", where)
        raise AxisError(
            f"the key of {title} has one value for each {'event' if len(found.type.axes) < 2 else found.type.axes[-1]}, and "
            f"{of.type.axes[-1]} needs one for each element",
            where=where,
            do=f"X.{title}(lambda x: x.pt)",
        )
    return found


def chosen_by(frame: Recorded, key: Any, where: Where, *, largest: bool) -> Expr:
    """Give the element of each list with the largest or smallest key: the first of equals, missing where there is none."""
    title, name = ("MaxBy", "argmax") if largest else ("MinBy", "argmin")
    best = build.call(name, (key_of(frame, key, title, where),), where=where)
    of = frame._expr  # noqa: SLF001
    return build.gathered(of, best, len(of.type.axes) - 1, where)


def ordered_by(frame: Recorded, key: Any, where: Where, *, descending: bool) -> Expr:
    """Give the elements of each list in the order of a key: equal ones as they come, those without a key last."""
    order = build.call("argsort", (key_of(frame, key, "OrderBy", where),), (("descending", descending),), where)
    of = frame._expr  # noqa: SLF001
    return build.gathered(of, order, len(of.type.axes) - 1, where, inside=True)


def is_order_of(index: Expr, of: Expr, at: int) -> bool:
    """Say whether an index is an order of the elements of that axis, so that there is an element for each."""
    return isinstance(index, Call) and index.function == "argsort" and index.args[0].type.axes == of.type.axes[: at + 1]


def nearest(frame: Recorded, other: Any, within: Any, key: Any, where: Where) -> Expr:
    """Give, for each element, the element of another collection at the smallest distance: the first of equals."""
    table = frame._table  # noqa: SLF001
    if not hasattr(other, "_expr"):
        raise LiteralError(
            f"Nearest looks in another collection, not in {with_article(other)}", where=where, do="X.Nearest(df.GenPart)"
        )
    if other._table is not table:  # noqa: SLF001
        raise two_tables(table, other._table, where)  # noqa: SLF001
    if len(other._expr.type.axes) < 2:  # noqa: SLF001
        list_axis(other._expr, "Nearest", where)  # noqa: SLF001
    if within is not None and (isinstance(within, bool) or not isinstance(within, int | float) or not within > 0):
        raise LiteralError(f"within is a distance above 0, not {within!r}", where=where, do="X.Nearest(Y, within=0.1)")
    if key is not None and (hasattr(key, "_expr") or not callable(key)):
        raise LiteralError(
            f"the key of Nearest is a function of two objects, not {with_article(key)}",
            where=where,
            do="key=lambda x, y: abs(x.pt - y.pt)",
        )

    def of_element(x: Recorded) -> Expr:
        own, theirs = x._expr.type.axes, other._expr.type.axes  # noqa: SLF001
        # Where each element has a list of its own, X.Nearest(X.matches), that one is looked in.
        if len(own) > 1 and not (len(own) < len(theirs) and theirs[: len(own)] == own):
            return _for_each_element(x, of_element, where)
        distance = expr_of(x.DeltaR(other) if key is None else key(x, other), table, where)  # type: ignore[attr-defined]
        y: Expr = other._expr  # noqa: SLF001
        if not is_number(distance.type.item) or distance.type.axes != y.type.axes:
            raise AxisError(
                f"{'key' if key is None else name_of(key)} gives {distance.type} for one element",
                where=where,
                why="a distance is one number for each element of the other collection",
                do="key=lambda x, y: abs(x.pt - y.pt)",
            )
        if within is not None:
            near = build.call("less", (distance, build.literal(within)), where=where)
            distance = build.call("where", (near, distance, build.literal(float("nan"))), where=where)
        best = build.call("argmin", (distance,), where=where)
        return build.gathered(y, best, len(y.type.axes) - 1, where)

    return of_element(frame)


def _for_each_element(frame: Recorded, body: Callable[[Any], Expr], where: Where) -> Expr:
    over = frame._expr  # noqa: SLF001
    level = provisional_level(1)
    element = frame._table.frame(build.bound(over, level, where))  # noqa: SLF001
    return close(over, body(element), level, where)


# Positions, and lists of one length ----------------------------------------------------------------------------------------------


def index_of(of: Expr, where: Where, *, stored: bool) -> Expr:
    """Give the position of each element in its list, or in the list that the file has.

    Raises
    ------
    FieldError
        When the elements are not those of a stored collection.
    """
    if not stored:
        return build.call("index", (of,), where=where)

    def found(node: Expr) -> Expr | None:
        if isinstance(node, Field):
            return build.call("index", (node,), where=where)
        if isinstance(node, Call) and node.function == "concatenate":
            parts = [select(a, found) for a in node.args]
            at: Any = node.option("at")
            return None if None in parts else build.concatenated(parts, at, where)  # type: ignore[arg-type]
        return None

    position = select(of, found)
    if position is None:
        raise FieldError(
            f"these are no elements of a stored collection: {of.type}",
            where=where,
            why="they were made by an expression, and the file has no place for them",
            do="X.Index() is the position in X as it stands; members of a pair have theirs: pair.a.Index(stored=True)",
        )
    return position


def padded(of: Expr, n: Any, where: Where, *, clip: bool) -> Expr:
    """Give lists of ``n`` entries: the first ones, and missing ones where there are fewer."""
    at = list_axis(of, "Pad", where)
    places = build.call("argpad", (of,), (("clip", clip), ("n", _whole_number(n, 0, "Pad", where))), where)
    return build.gathered(of, places, at, where)


@checked
def ml_features(X: Any, features: Sequence[str], *, pad: int | None = None, fill: float = 0.0) -> Any:  # noqa: N803 - a collection
    """Give some leaves of objects as one rectangular block of float32, for models and for numpy.

    Parameters
    ----------
    X : DataFrame
        A collection (events x objects), or one object for each event: ``df.MET``, ``df.Jet[0]``, a pair that was chosen.
    features : sequence of str
        Leaves, columns and derived quantities of an object, in the order of the last axis; ``"a.pt"`` is a leaf of a member.
    pad : int, optional
        How many objects the block has for each event: the first ones, and ``fill`` where there are fewer. A collection needs it.
    fill : float
        What stands for objects that are not there, and for values that are missing.

    Returns
    -------
    DataFrame
        make_local gives a `numpy.ndarray` of float32 with the shape (events, objects, features), or (events, features) for one object for
        each event. `onnx_model` takes it as one argument.

    Raises
    ------
    AxisError
        When X has more than one level of lists, or a feature is a list for each object.
    LiteralError
        When ``pad`` is missing, or a feature is no number.
    """
    where = user_site()
    if not hasattr(X, "_expr") or not isinstance(X._expr.type.item, Record):  # noqa: SLF001
        what = X._expr.type if hasattr(X, "_expr") else with_article(X)  # noqa: SLF001
        raise LiteralError(f"ml_features takes objects, not {what}", where=where, do='ml_features(df.Jet, ["pt", "eta"], pad=4)')
    names = (features,) if isinstance(features, str) else tuple(features)
    if not names or not all(type(n) is str and n for n in names):
        raise LiteralError("the features are names of leaves", where=where, do='ml_features(df.Jet, ["pt", "eta"], pad=4)')
    axes = X._expr.type.axes  # noqa: SLF001
    if not 1 <= len(axes) <= 2 or X._expr.type.loops:  # noqa: SLF001
        do = "choose one of the lists, or join them: ak.flatten(X, axis=-1); outside of a lambda"
        raise AxisError(f"a block has one list of objects for each event, and this is {X._expr.type}", where=where, do=do)  # noqa: SLF001
    if (len(axes) == 2) != (pad is not None):
        what = (
            f"ml_features needs to know how many {axes[-1].name} an event has"
            if len(axes) == 2
            else "there is one object for each event"
        )
        raise LiteralError(what, where=where, do="give it pad=4" if len(axes) == 2 else "leave out pad")
    length = 0 if pad is None else _whole_number(pad, 1, "ml_features", where)
    objects: Any = X._like(padded(X._expr, length, where, clip=True)) if length else X  # noqa: SLF001
    if isinstance(fill, bool) or not isinstance(fill, int | float):
        raise LiteralError(f"fill is a number, not {fill!r}", where=where, do="fill=0.0, or fill=float('nan')")
    number = build.fitted(float(fill), Float(32), "fill", where)
    block = [_feature(objects, name, number, where) for name in names]
    return X._made(build.record(names, block, where, block=length))  # noqa: SLF001


def block_columns(frame: Any, n: int) -> dict[str, Any] | None:
    """Give the features of a block by name, as expressions; None for what is no block.

    Where the numbers of all its objects are ``n``, these: ``pt_0``, ``eta_0``, ``pt_1``, ... as `numpy.ravel` puts them.
    """
    of = frame._expr  # noqa: SLF001
    while isinstance(of, Filter) or (isinstance(of, Call) and of.function == "slice"):
        of = of.inputs()[0]
    if not (isinstance(of, Call) and of.function == "record" and "block" in dict(of.options)):
        return None
    options: dict[str, Any] = dict(of.options)
    columns = {name: frame[name] for name in options["names"]}
    if n == len(columns) or n != options["block"] * len(columns):
        return columns
    return {f"{name}_{i}": _present(c[i]) for i in range(options["block"]) for name, c in columns.items()}


def _present(number: Any) -> Any:
    """Say of what is never missing that it is not: lists of a block have all their entries."""
    of: Expr = number._expr  # noqa: SLF001
    return number._made(build.call("fill_none", (of, build.literal(0.0, "float32")), (), of.where))  # noqa: SLF001


def _feature(objects: Any, name: str, fill: Any, where: Where) -> Expr:
    of = objects
    for part in name.split("."):
        found = member_of(of, of._expr, part, of._table, where)  # noqa: SLF001
        of = getattr(of, part) if found is None else of._made(found)  # noqa: SLF001
    leaf = expr_of(of, objects._table, where)  # noqa: SLF001
    if len(leaf.type.axes) != len(objects._expr.type.axes):  # noqa: SLF001
        raise AxisError(
            f"{name} is no one number for each object, but {leaf.type}", where=where, do="reduce it: Sum(), Max(), First(), ..."
        )
    if not is_number(leaf.type.item):
        raise LiteralError(f"{name} is no number, but {leaf.type}", where=where)
    kind = build.call("astype", (leaf,), (("dtype", "float32"),), where)
    return build.call("fill_none", (kind, build.literal(fill, "float32")), (), where)


# The event of each element -------------------------------------------------------------------------------------------------------


def event_of(of: Expr, whole: Expr, where: Where) -> Expr:
    """Give the event's record for each element: of the table as it is, with the collections that it replaces."""
    events = _events(of, whole)
    if events is None:
        raise AxisError(f"this has no event: {of.type}", where=where, why="it is one value for all events", do="df is the table")
    return spread(events, of, where)


def _events(of: Expr, whole: Expr) -> Expr | None:
    """Give the table with the event selections that an expression has."""
    match of:
        case Dataset():
            return whole
        case Filter(at=0):
            events = _events(of.of, whole)
            return None if events is None else build.filtered(events, of.mask, 0, of.where)
        case Call(function="slice") if of.option("at") == 0:
            events = _events(of.args[0], whole)
            bounds: Any = (of.option("start"), of.option("stop"), of.option("step"))
            return None if events is None else build.sliced(events, bounds, 0, of.where)
        case Field() | Filter() | Bound():
            return _events(of.of, whole)
        case Map():
            return _events(of.over, whole)
        case Call():
            return next(
                (e for a in of.args if a.type.axes and a.type.axes[0] == (of.type.axes or (None,))[0] and (e := _events(a, whole))),
                None,
            )
        case _:
            return None


# Several collections as one ------------------------------------------------------------------------------------------------------


@checked
def Concatenate(*collections: Any) -> Any:  # noqa: N802
    """Give one collection with the elements of several, in each event those of the first one first.

    Parameters
    ----------
    collections : DataFrame
        Collections of one table, or leaves of them. The result has the names that all of them have, columns and aliases too.

    Returns
    -------
    DataFrame
        Axes: events, elements. ``.part`` is the number of the argument that an element comes from.

    Raises
    ------
    LiteralError
        When there are fewer than two, or kinds that have nothing in common.
    AxisError
        When they are no collections of the same events.
    FieldError
        When one of them has a leaf ``part``.
    """
    where = user_site()
    frames = list(collections[0]) if len(collections) == 1 and isinstance(collections[0], list | tuple) else list(collections)
    frame = next((f for f in frames if hasattr(f, "_expr")), None)
    if frame is None or len(frames) < 2:
        raise LiteralError("Concatenate joins two collections or more", where=where, do="Concatenate(df.Electron, df.Muon)")
    table: Table = frame._table  # noqa: SLF001
    return table.frame(joined([expr_of(f, table, where) for f in frames], table, where))


def joined(parts: Sequence[Expr], table: Table, where: Where) -> Expr:
    """Give the parts as one collection."""
    for part in parts:
        list_axis(part, "Concatenate", where)
    kinds = [isinstance(p.type.item, Record) for p in parts]
    if any(kinds) and not all(kinds):
        raise LiteralError(
            "Concatenate joins collections with collections, or leaves with leaves",
            where=where,
            do="Concatenate(df.Electron, df.Muon).pt, or Concatenate(df.Electron.pt, df.Muon.pt)",
        )
    for part in parts:
        if all(kinds) and "part" in known_names(part, table) and joined_at(part) is None:
            raise FieldError(
                f"{part.type.item} has a leaf 'part'",
                where=where,
                why="in a concatenation, part is the number of the argument that an element comes from",
                do="take the names that you need: X[['pt', 'eta', 'phi']]",
            )
    return build.concatenated(parts, len(parts[0].type.axes) - 1, where)
