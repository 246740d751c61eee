"""Cut labelled expressions into tasks.

Before: ``fill(histogram, record(J.pt / J.pt.Max().Max()))``, each node with its label and its reach. After: one task for the
global maximum (a number), one for the record (columns, which takes the number as an `Input`), one for the fill.

A border lies between a node and its user where the label changes, where events meet merged results, above every reduction over
events, and above every function that is declared ``pure=False``: all that use it take the same values. Borders are the plan's own
affair: a task's key is that of what it delivers, uncut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.contract import Task
from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Input, Literal, Map
from hep_flows.expr.types import Loop, Record
from hep_flows.expr.walk import over, postorder
from hep_flows.planning.keys import Forms, output_of, result_key
from hep_flows.planning.spread import takes_merged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hep_flows.contract import Key, Label, Numerics, Reach


@dataclass(frozen=True, slots=True)
class Borders:
    """What decides where expressions are cut: label and reach of each node, and nodes to cut above in any case."""

    labels: Mapping[Key, Label]
    reach: Mapping[Key, Reach]
    extra: Collection[Key] = ()

    def between(self, node: Expr, user: Expr, runs_user: Label) -> bool:
        """Say whether the user, which a plug-in runs, sees the node only through the result of a task."""
        if isinstance(node, Literal) or node.type.loops:
            return False  # What depends on a loop's element has a value only inside the loop.
        if node.key in self.extra or self.labels[node.key] != runs_user or is_made_once(node):
            return True
        return takes_merged(node, user, self.reach)


def is_made_once(node: Expr) -> bool:
    """Say whether what a node gives may be something else when it is computed again."""
    return isinstance(node, Call) and isinstance(node.function, UserFunction) and not node.function.pure


def cut(
    exprs: Sequence[Expr], borders: Borders, numerics_of: Callable[[Label, str], Numerics]
) -> tuple[tuple[Task, ...], tuple[Key, ...], Forms]:
    """Give the tasks, producers first, the key of the task of each expression, and what tasks compute on each batch.

    Parameters
    ----------
    exprs : sequence of Expr
        The expressions, each over at most one table.
    borders : Borders
        Where to cut.
    numerics_of : callable
        Gives the numerics of a plug-in over a kind of table.
    """
    tasks: dict[Key, Task] = {}
    delivered: dict[Key, Expr] = {}
    inner: dict[tuple[Key, Label], Expr] = {}
    tables = _tables(exprs)
    run_by = _run_by(exprs, borders.labels, tables, numerics_of)
    meanings = _Meanings(exprs, borders.labels, run_by)

    def task_of(node: Expr) -> Key:
        key = meanings.key_of(node)
        if key not in tasks:
            delivered[key] = node
            plugin, meaning = borders.labels[node.key], meanings.of(node)
            expr = inner[node.key, plugin]
            by_parts = borders.reach[node.key] == "partitions"
            tasks[key] = Task(
                key=key,
                plugin=plugin,
                expr=expr,
                meaning=meaning,
                numerics=meanings.numerics(node),
                inputs=tuple(dict.fromkeys([n.task for n in postorder(expr) if isinstance(n, Input)])),
                output=output_of(meaning),
                spread="partitions" if by_parts else "whole",
                dataset=tables[node.key] if by_parts else None,
            )
        return key

    def seen(i: Expr, user: Expr, plugin: Label) -> Expr:
        if borders.between(i, user, plugin):
            return build.task_input(task_of(i), i.type)
        return i if isinstance(i, Literal) else inner[i.key, plugin]

    for node in postorder(*exprs):
        for plugin in run_by[node.key]:
            inner[node.key, plugin] = over(node, tuple([seen(i, node, plugin) for i in _read_by(node)]))
    targets = tuple([task_of(e) for e in exprs])
    return tuple(tasks.values()), targets, Forms(delivered, run_by, borders.reach, meanings.key_of)


class _Meanings:
    """What nodes mean, and the keys of their results: where numerics families meet, the result of one enters the other as it is."""

    def __init__(self, exprs: Sequence[Expr], labels: Mapping[Key, Label], run_by: Mapping[Key, Mapping[Label, Numerics]]) -> None:
        self._labels, self._run_by = labels, run_by
        self._keys: dict[Key, Key] = {}
        self._meant: dict[tuple[Key, Numerics], Expr] = {}
        if len({n for by in run_by.values() for n in by.values()}) > 1:
            for node in postorder(*exprs):
                for numerics in set(run_by[node.key].values()):
                    self._meant[node.key, numerics] = over(node, tuple([self._seen(i, numerics) for i in node.inputs()]))

    def numerics(self, node: Expr) -> Numerics:
        """Give the family that a node is computed in."""
        return self._run_by[node.key][self._labels[node.key]]

    def of(self, node: Expr) -> Expr:
        """Give what a node means: itself, where one family computes all of it."""
        return self._meant.get((node.key, self.numerics(node)), node)

    def key_of(self, node: Expr) -> Key:
        """Give the key of its result."""
        if node.key not in self._keys:
            self._keys[node.key] = result_key(self.numerics(node), self.of(node))
        return self._keys[node.key]

    def _seen(self, node: Expr, numerics: Numerics) -> Expr:
        if isinstance(node, Literal):
            return node
        if node.type.loops or self.numerics(node) == numerics:
            return self._meant[node.key, numerics]
        return build.task_input(self.key_of(node), node.type)


def _tables(exprs: Sequence[Expr]) -> dict[Key, Dataset | None]:
    """Give the table that each node is over."""
    found: dict[Key, Dataset | None] = {}
    for node in postorder(*exprs):
        with_axes = [i for i in node.inputs() if i.type.axes or i.type.loops]
        below = [found[i.key] for i in (*with_axes, *node.inputs())]
        found[node.key] = node if isinstance(node, Dataset) else next((t for t in below if t is not None), None)
    return found


def _run_by(
    exprs: Sequence[Expr],
    labels: Mapping[Key, Label],
    tables: Mapping[Key, Dataset | None],
    numerics: Callable[[Label, str], Numerics],
) -> dict[Key, dict[Label, Numerics]]:
    """Give the plug-ins that run each node, with their numerics: its own, but of what depends on a loop's element those of all its loops.

    Loops of several plug-ins may share a body: each runs it itself.
    """
    known: dict[tuple[Label, str], Numerics] = {}

    def by(node: Expr) -> Numerics:
        table = tables[node.key]
        place = labels[node.key], "" if table is None else table.kind
        if place not in known:
            known[place] = numerics(*place)
        return known[place]

    found: dict[Key, dict[Label, Numerics]] = {}
    for node in reversed(list(postorder(*exprs))):
        mine = found.setdefault(node.key, {})
        if not mine or not node.type.loops:
            mine[labels[node.key]] = by(node)
        for i in node.inputs():
            if i.type.loops:
                found.setdefault(i.key, {}).update(mine)
    return found


def _read_by(node: Expr) -> tuple[Expr, ...]:
    """Give the inputs of a node.

    Of a loop over objects, the lists are all that is read: a leaf that its body takes anyway has them too, and costs no transfer of
    whole objects.
    """
    if not isinstance(node, Map) or not isinstance(node.over.type.item, Record):
        return node.inputs()
    over = node.over.type
    loop = Loop(over.axes[1], node.level)
    for inside in postorder(node.body, into=lambda n: loop in n.type.loops):
        if isinstance(inside, Bound) and inside.level == node.level and not isinstance(inside.type.item, Record):
            leaf = inside.of.type
            if (leaf.axes[:2], leaf.loops) == (over.axes[:2], over.loops):
                return (inside.of, node.body)
    return node.inputs()
