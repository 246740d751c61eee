"""How many bytes there are, from the metadata of files alone: of columns in the files, and of an event in memory while it is worked on.

The second is an estimate. It walks through an expression as the evaluator does, with the mean number of entries that every stored
collection has in an event, and adds up what is alive at a time. A selection counts as if it kept everything.
"""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING

from hep_flows.contract import EventBytes
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Bound, Call, Dataset, Field, Filter, Literal, Map
from hep_flows.expr.types import Bool, Record, String
from hep_flows.expr.walk import postorder, uses
from hep_flows.plugins.awkward.needed import leaves_of, needed_fields, output_of, path_of
from hep_flows.sources.stored import told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, StoredTable, Task
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Axis, Item, Type
    from hep_flows.plugins.awkward.needed import Path
    from hep_flows.sources.open import OpenTables

_INDEX = 8  # bytes of a place, a length or an offset
_TEXT = 24  # bytes of a text, about
# Arrays of the size of the result that a function of many steps, such as DeltaR, has beside its arguments.
_STEPS = 4
# Copies of what is filled: flat, without what is missing, and as the histogram takes them.
_FILLING = 3


def column_bytes(dataset: Dataset, columns: Sequence[str], tables: OpenTables) -> int | None:
    """Give the compressed bytes of columns in all files of a dataset, with what counts their entries; None where files do not tell.

    Raises
    ------
    SourceError
        When a file cannot be read.
    """
    stored = {".".join(path): path[0] for path in _paths(dataset.type.item)}
    names = {stored.get(c, c) for c in columns}
    total = 0
    for file, content in zip(dataset.files, dataset.content, strict=True):
        with tables.lent(dataset.model, file, dataset.tree, content) as table, told_as_source_error(file, "sizes cannot be read"):
            found = table.stored_bytes(names)
        if found is None:
            return None
        total += found
    return total


def _paths(item: object) -> Iterator[tuple[str, ...]]:
    """Give the stored columns of a record and of those inside it, with the fields that lead to each leaf."""
    if isinstance(item, Record):
        for member in item.members.values():
            if member.column:
                yield member.path
            yield from _paths(member.item)


def event_bytes(tasks: Sequence[Task], keep: Collection[Key], dataset: Dataset, file_number: int, tables: OpenTables) -> EventBytes:
    """Estimate the memory of an event of a file while tasks are evaluated together.

    Parameters
    ----------
    tasks : sequence of Task
        Over the dataset.
    keep : collection of bytes
        Tasks whose results are kept.
    dataset, file_number : Dataset, int
        The table, and which of its files to look at.
    tables : OpenTables
        Where open files are.
    """
    outputs = {t.key: list(output_of(t.expr).exprs()) for t in tasks if t.expr.type.axes}
    roots = [e for t in tasks for e in outputs.get(t.key, [t.expr])]
    file, content = dataset.files[file_number], dataset.content[file_number]
    with tables.lent(dataset.model, file, dataset.tree, content) as table:
        stored = _stored(roots, dataset, table)
    sizes = _Sizes(roots, stored)
    delivered = {k: sum([sizes.of_result(e) for e in exprs]) for k, exprs in outputs.items()}
    leaving = sum([n for k, n in delivered.items() if k not in keep])
    kept = sum([n for k, n in delivered.items() if k in keep])
    return EventBytes(sizes.read, max(sizes.peak + leaving + kept, _FILLING * leaving), kept)


def _stored(roots: Sequence[Expr], dataset: Dataset, table: StoredTable) -> dict[Path, float]:
    """Give by path about how many items an event has of each leaf that is read; of a collection, of its cheapest leaf."""
    from hep_flows.sources.read import find_member, leaves_to_count

    record = dataset.type.item
    assert isinstance(record, Record)
    found: dict[Path, float] = {}
    for path in leaves_of(roots):
        leaf = find_member(record, path)
        by = leaves_to_count(record, leaf) if isinstance(leaf.member.item, Record) else [leaf]
        each = (table.item_bytes(b.member.path) / _width(b.member.item) for b in by)
        found[path] = next((n for n in each if n), 0.0) / max(1, table.entries)
    return found


class _Sizes:
    """What an event takes, on average, while some expressions are evaluated; see `hep_flows.plugins.awkward.evaluate`.

    Attributes
    ----------
    read : float
        Bytes of the columns.
    peak : float
        The most bytes that are alive at a time, without the columns.
    """

    def __init__(self, roots: Sequence[Expr], stored: Mapping[Path, float]) -> None:
        self._means: dict[bytes, float] = {}
        self.read = self._of_columns(roots, stored)
        self.peak = self._walked(roots)

    def of_result(self, node: Expr) -> float:
        """Give the bytes of a delivered expression: its items, and the offsets of its lists."""
        return self._items(node.type) * _size(node.type) + _INDEX * self._entries(node.type)

    def _of_columns(self, roots: Sequence[Expr], stored: Mapping[Path, float]) -> float:
        fields = [n for n in needed_fields(roots).values() if isinstance(path_of(n)[0], Dataset)]
        total = 0.0
        for node in sorted(fields, key=lambda n: len(n.type.axes)):
            n_items = stored.get(path_of(node)[1])
            axes = node.type.axes[1:]
            if n_items is None:
                continue
            if axes and axes[-1].root not in self._means:
                outer = 1.0
                for axis in axes[:-1]:
                    outer *= self._mean(axis)
                self._means[axes[-1].root] = n_items / outer
            total += n_items * _size(node.type) + _INDEX * self._entries(node.type)
        return total

    def _walked(self, roots: Sequence[Expr]) -> float:
        left, needed, kept_alive = uses(*roots), needed_fields(roots), {r.key for r in roots}
        alive: dict[bytes, float] = {}
        lasting = now = peak = 0.0
        seen: set[object] = set()
        for node in postorder(*roots):
            self._new_axes(node)
            if not isinstance(node, Field) or node.key in needed:
                own, passing, stays = self._node(node, seen)
                lasting += stays
                alive[node.key] = own
                now += own
                peak = max(peak, now + lasting + passing)
            for i in node.inputs():
                left[i.key] -= 1
                if not left[i.key] and i.key not in kept_alive:
                    now -= alive.pop(i.key, 0.0)
        return peak

    def _node(self, node: Expr, seen: set[object]) -> tuple[float, float, float]:
        """Give the bytes of a value, of what is alive only while it is made, and of what stays to the end: lists and selections."""
        n_items, of = self._items(node.type), node.type
        lasting = 0.0
        if of.loops and ("frame", of.loops) not in seen:
            seen.add(("frame", of.loops))
            lasting += 3 * _INDEX * self._frame(of)
        match node:
            case Dataset() | Literal() | Bound():
                return 0.0, 0.0, lasting
            case Field():
                return _INDEX * self._entries(of), 0.0, lasting
            case Filter() | Call(function="pick" | "slice" | "gather"):
                axes = (*of.axes, *of.loops)
                if axes not in seen:
                    seen.add(axes)
                    lasting += _INDEX * (2 * n_items + 2 * self._entries(of))
                return n_items * _size(of), _INDEX * self._items(node.inputs()[0].type), lasting
            case Map(body=body):
                lifted = 0.0 if body.type.loops else n_items
                return (_size(of) + _INDEX) * lifted, 0.0, lasting
            case Call(function=str(name)) if FUNCTIONS[name].kind == "reduce":
                below = self._items(node.args[0].type)
                return n_items * _size(of), 2 * _INDEX * below, lasting + _INDEX * below
        passing, more = self._elementwise(node, seen)
        return n_items * _size(of), passing, lasting + more

    def _elementwise(self, node: Expr, seen: set[object]) -> tuple[float, float]:
        """Give the bytes of the steps of a function, with arguments that are repeated, and of what says how they are."""
        n_items, of, lasting = self._items(node.type), node.type, 0.0
        passing = (_STEPS if isinstance(node, Call) and len(node.args) != 1 else 1) * _INDEX * n_items
        for argument in node.inputs():
            here = argument.type
            if here.axes and (here.axes, here.loops) != (of.axes, of.loops):
                passing += n_items * _size(here)
                repeated = ("repeated", here.axes, here.loops, of.axes, of.loops)
                if repeated not in seen:
                    seen.add(repeated)
                    lasting += _INDEX * n_items
        return passing, lasting

    def _new_axes(self, node: Expr) -> None:
        """Find out how long the lists of an axis are that no column has: joined lists hold what was in them."""
        for axis in node.type.axes[1:]:
            if axis.key in self._means or axis.root in self._means or isinstance(node, Field | Bound):
                continue
            if isinstance(node, Call) and node.function in {"argcombinations", "concatenate"} and axis is node.type.axes[-1]:
                self._means[axis.key] = self._of_groups(node)
                continue
            known = [a for a in node.type.axes[1:] if a is not axis]
            rest = 1.0
            for other in (*known, *[o.axis for o in node.type.loops]):
                rest *= self._mean(other)
            self._means[axis.key] = max([self._items(i.type) for i in node.inputs()], default=1.0) / rest

    def _of_groups(self, node: Call) -> float:
        """Give the mean length of joined lists, or of lists of combinations: m^n / n! is that of lengths which vary about m by chance."""
        means = [self._mean(a.type.axes[-1]) for a in node.args]
        n = dict(node.options).get("n")
        return (means[0] + 1) ** n / factorial(n) if isinstance(n, int) else sum(means)

    def _mean(self, axis: Axis) -> float:
        """Give the mean length of the lists of an axis; of a selection, that of all."""
        return max(1e-3, self._means.get(axis.key, self._means.get(axis.root, 1.0)))

    def _frame(self, of: Type) -> float:
        n_entries = 1.0
        for loop in of.loops:
            n_entries *= self._mean(loop.axis)
        return n_entries

    def _items(self, of: Type) -> float:
        n_items = self._frame(of)
        for axis in of.axes[1:]:
            n_items *= self._mean(axis)
        return n_items if of.axes else 0.0

    def _entries(self, of: Type) -> float:
        """Give the number of lists of all axes."""
        total, n_lists = 0.0, self._frame(of)
        for axis in of.axes[1:]:
            total += n_lists
            n_lists *= self._mean(axis)
        return total


def _size(of: Type) -> float:
    return 0.0 if isinstance(of.item, Record) else _width(of.item) + of.optional


def _width(item: Item) -> int:
    if isinstance(item, String):
        return _TEXT
    return 1 if isinstance(item, Bool) else getattr(item, "bits", 8 * _INDEX) // 8
